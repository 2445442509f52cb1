/**
 * `node bench/profile-summary.ts FILE.cpuprofile [answers]`: where a program's time goes, by area of the code and by function,
 * in percent of what it was busy, or in microseconds for each of so many answers. A sample counts for the function on top.
 */
import { readFileSync } from "node:fs";

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const FUNCTIONS = 40;
/** Not the program's own: waiting, and the profiler's own start. */
const ASIDE = new Set(["(idle)", "node:inspector"]);

const [file, answersText] = process.argv.slice(2);
if (file === undefined) {
  console.error("usage: node bench/profile-summary.ts FILE.cpuprofile [answers]");
  process.exit(2);
}
const profile = JSON.parse(readFileSync(file, "utf8")) as Profile;
const nodes = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
const areas = new Map<string, number>();
const functions = new Map<string, number>();
for (const [i, id] of profile.samples.entries()) {
  const { functionName, url, lineNumber } = nodes.get(id)!;
  const us = profile.timeDeltas[i] as number;
  const area = areaOf(functionName, url);
  areas.set(area, (areas.get(area) ?? 0) + us);
  const at = url === "" ? functionName : `${functionName || "(anonymous)"}  ${area}:${lineNumber + 1}`;
  if (!ASIDE.has(area)) functions.set(at, (functions.get(at) ?? 0) + us);
}
const totalUs = [...areas.values()].reduce((sum, us) => sum + us, 0);
const busyUs = [...areas].reduce((sum, [area, us]) => (ASIDE.has(area) ? sum : sum + us), 0);
const answers = answersText === undefined ? undefined : Number(answersText);
console.log(`${(totalUs / 1e6).toFixed(2)} s, busy ${(busyUs / 1e6).toFixed(2)} s`);
print("by area", areas, Number.POSITIVE_INFINITY);
print("by function", functions, FUNCTIONS);

/** A file of ours, a package, a module of Node, or what V8 does by itself. */
function areaOf(functionName: string, url: string): string {
  const inPackage = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  if (inPackage !== undefined) return inPackage;
  const ours = /\/(src\/.*)$/.exec(url)?.[1];
  if (ours !== undefined) return ours;
  if (url !== "") return url;
  return functionName.startsWith("(") && functionName !== "(anonymous)" ? functionName : "(native)";
}

function print(title: string, times: ReadonlyMap<string, number>, count: number): void {
  const per = answers === undefined ? busyUs / 100 : answers;
  console.log(`\n${title}, ${answers === undefined ? "% of busy" : "µs for each answer"}`);
  const sorted = [...times].filter(([name]) => !ASIDE.has(name)).sort(([, a], [, b]) => b - a);
  for (const [name, us] of sorted.slice(0, count)) {
    if (us / busyUs < 0.002) break;
    console.log(`${(us / per).toFixed(1).padStart(9)}  ${name}`);
  }
}
