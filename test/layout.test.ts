/**
 * The layout rules of this repository, executed. Each rule says why it is there when it fails.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "..");
const SRC = join(ROOT, "src");

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
  readonly relative: boolean;
}

const files = readdirSync(SRC, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
  .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
  .filter((file) => !file.includes("generated"));

const IMPORT = /^(?:import|export)\s+(type\s+)?(?:[^;]*?\sfrom\s+)?["']([^"']+)["'];?/gm;
const DYNAMIC = /\bimport\(\s*["']([^"']+)["']\s*\)|new URL\(\s*["'](\.[^"']+\.ts)["']\s*,\s*import\.meta\.url/g;

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), "utf8");
  const found: Import[] = [];
  const add = (spec: string, typeOnly: boolean) => {
    const isRelative = spec.startsWith(".");
    const to = isRelative ? relative(ROOT, resolve(ROOT, dirname(file), spec)) : spec;
    found.push({ from: file, to, typeOnly, relative: isRelative });
  };
  for (const match of text.matchAll(IMPORT)) {
    const onlyTypes = /^import\s*\{([^}]*)\}/.exec(match[0]);
    const everyNameIsType = onlyTypes?.[1]
      ?.split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "")
      .every((name) => name.startsWith("type "));
    add(match[2] as string, match[1] !== undefined || everyNameIsType === true);
  }
  for (const match of text.matchAll(DYNAMIC)) add((match[1] ?? match[2]) as string, false);
  return found;
}

const imports = files.flatMap(importsOf);
const area = (path: string) => path.split("/")[1] ?? "";
const describeImport = (i: Import) => `${i.from} imports ${i.to}`;

/** Which areas of src an area may import besides itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  mesh: [],
  fault: [],
  process: ["fault", "mesh"],
  telemetry: ["process", "fault", "mesh"],
  accumulator: ["fault", "mesh", "wire"],
  wire: ["fault", "mesh", "process"],
  // Gateway and service kit read annotations and order values by the same code: if they differed, a top list would be
  // wrong without anyone noticing.
  "merge-plan": ["accumulator", "wire", "fault", "mesh"],
  log: ["process", "fault", "mesh", "telemetry"],
  produce: ["row-format", "log", "process", "fault", "mesh", "telemetry"],
  archive: ["telemetry", "process", "fault", "mesh"],
  seal: ["archive", "wire", "process", "fault", "mesh"],
  // What a record's bytes mean: the manifest checks what nodes will read by.
  "row-format": ["fault", "mesh"],
  manifest: ["row-format", "fault", "mesh", "process"],
  lifecycle: ["manifest", "wire", "seal", "process", "fault", "mesh"],
  gateway: ["merge-plan", "accumulator", "archive", "seal", "wire", "telemetry", "process", "fault", "mesh"],
  // What node and service kit both know of a store on a server: how it is reached, and how rows lie there.
  mysql: ["process", "fault", "mesh"],
  node: ["row-format", "log", "mysql", "archive", "seal", "wire", "telemetry", "process", "fault", "mesh"],
  service: ["merge-plan", "mysql", "accumulator", "wire", "telemetry", "process", "fault", "mesh"],
  up: [
    "lifecycle",
    "manifest",
    "row-format",
    "produce",
    "log",
    "archive",
    "seal",
    "wire",
    "telemetry",
    "process",
    "fault",
    "mesh",
  ],
  client: ["wire", "process", "fault", "mesh"],
};
const WAYS = ["gateway", "node", "service", "operator", "up"];

/** Packages have homes, so that replacing one touches one place. */
const PACKAGE_HOMES: Record<string, readonly string[]> = {
  fastify: ["src/gateway/door"],
  "@opentelemetry": ["src/telemetry"],
  "@duckdb/node-api": ["src/node/store", "src/node/snapshot", "src/service/load", "src/produce", "src/mysql"],
  mysql2: ["src/mysql"],
  "@grpc/grpc-js": [
    "src/wire",
    "src/gateway/scatter",
    "src/gateway/door",
    "src/gateway/receive/grpc",
    "src/gateway/start-gateway.ts",
    "src/node/start-node.ts",
    "src/service/serve",
    "src/up",
  ],
  avsc: ["src/row-format"],
  undici: ["src/client"],
  commander: ["src/main"],
  typebox: ["src/manifest"],
  "@platformatic/kafka": ["src/log/kafka"],
};

/** The files that the published package shows. */
function packageEntries(): string[] {
  const packageJson = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { exports?: unknown };
  const exported = JSON.stringify(packageJson.exports ?? {}).matchAll(/dist\/([^"]+)\.js/g);
  return [...exported].map((match) => `src/${match[1]}.ts`);
}

describe("layout", () => {
  test("an area imports only the areas below it, and the ways never import one another", () => {
    const broken = imports.filter((i) => {
      if (!i.relative || !i.to.startsWith("src/")) return false;
      const from = area(i.from);
      const to = area(i.to);
      if (from === "main" || from === to) return false;
      return !(MAY_IMPORT[from] ?? []).includes(to);
    });
    expect(
      broken.map(describeImport),
      `what two programs must agree on lives in an area both may import; ${WAYS.join(", ")} are separate programs`,
    ).toEqual([]);
  });

  test("every area is in the table of who may import whom", () => {
    const unknown = [...new Set(files.map(area))].filter((a) => a !== "main" && !(a in MAY_IMPORT));
    expect(unknown, "a new area needs a place in the order before it is imported").toEqual([]);
  });

  const STEPS: Record<string, readonly string[]> = {
    gateway: ["receive", "resolve", "plan", "scatter", "merge", "reply"],
    node: ["ingest", "store", "snapshot", "archive"],
    service: ["load", "bind", "serve"],
  };
  /** Pure vocabulary and storage that later steps call. */
  const CALLED_BY_LATER: Record<string, readonly string[]> = {
    gateway: ["plan"],
    node: ["store", "archive"],
    service: ["load", "bind"],
  };
  const betweenSteps = imports.flatMap((i) => {
    const [, way = "", fromStep = ""] = i.from.split("/");
    const [, toWay, toStep = ""] = i.to.split("/");
    const order = STEPS[way] ?? [];
    const isBetween = order.includes(fromStep) && order.includes(toStep) && way === toWay && fromStep !== toStep;
    return isBetween ? [{ ...i, way, fromStep, toStep, order }] : [];
  });

  test("inside a way, a step imports types of other steps only; the spine imports their functions", () => {
    const broken = betweenSteps.filter((i) => !i.typeOnly && !CALLED_BY_LATER[i.way]?.includes(i.toStep));
    expect(broken.map(describeImport), "steps never call the next step: the spine shows the way").toEqual([]);
  });

  test("a step knows the products of earlier steps, never those of later ones", () => {
    const isUsedEarlier = (i: (typeof betweenSteps)[number]) =>
      CALLED_BY_LATER[i.way]?.includes(i.toStep) && i.typeOnly;
    const broken = betweenSteps.filter((i) => i.order.indexOf(i.toStep) > i.order.indexOf(i.fromStep));
    expect(
      broken.filter((i) => !isUsedEarlier(i)).map(describeImport),
      "from door to answer a reader goes downwards, and nothing sends him back up",
    ).toEqual([]);
  });

  test("the gateway's doors read and write; only the spine plans, asks and merges", () => {
    const steps = ["plan", "scatter", "merge"].map((step) => `src/gateway/${step}/`);
    const spine = ["src/gateway/gateway.ts", "src/gateway/ask-round.ts", "src/gateway/row-streams.ts"];
    const threads = "src/gateway/merge-threads/";
    const composition = ["src/gateway/start-gateway.ts"];
    const broken = imports.filter((i) => {
      const isInStep =
        [...steps, threads].some((step) => i.from.startsWith(step)) || [...spine, ...composition].includes(i.from);
      return area(i.from) === "gateway" && !i.typeOnly && !isInStep && steps.some((step) => i.to.startsWith(step));
    });
    expect(broken.map(describeImport), "a policy in one door would be missing in another").toEqual([]);
  });

  test("src/mesh imports nothing", () => {
    const broken = imports.filter((i) => area(i.from) === "mesh" && area(i.to) !== "mesh");
    expect(broken.map(describeImport), "the vocabulary is what everything else stands on").toEqual([]);
  });

  test("the pure areas do no I/O", () => {
    const pure = [
      "src/mesh/",
      "src/accumulator/",
      "src/merge-plan/",
      "src/gateway/plan/",
      "src/gateway/merge/",
      "src/lifecycle/",
    ];
    const allowed = new Set([
      "node:assert",
      "node:buffer",
      "node:crypto",
      "@bufbuild/protobuf",
      "safe-stable-stringify",
      "croner",
    ]);
    const broken = imports.filter(
      (i) =>
        pure.some((p) => i.from.startsWith(p)) &&
        !i.relative &&
        !i.typeOnly &&
        ![...allowed].some((a) => i.to === a || i.to.startsWith(`${a}/`)),
    );
    expect(broken.map(describeImport), "pure in the middle, effects at the ends").toEqual([]);
  });

  test("packages are imported from their homes only", () => {
    const broken = imports.filter((i) => {
      const home = Object.entries(PACKAGE_HOMES).find(([name]) => i.to === name || i.to.startsWith(`${name}/`));
      return home !== undefined && !i.typeOnly && !home[1].some((path) => i.from.startsWith(path));
    });
    expect(broken.map(describeImport)).toEqual([]);
  });

  test("the core takes time and randomness from outside", () => {
    const homes = ["src/process/", "src/main/", "src/telemetry/"];
    const ambient = /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bsetTimeout\(|\bsetInterval\(|\bperformance\.now\(/;
    const broken = files
      .filter((file) => !homes.some((home) => file.startsWith(home)))
      .flatMap((file) =>
        readFileSync(join(ROOT, file), "utf8")
          .split("\n")
          .map((line, n) => ({ line: line.trim(), at: `${file}:${n + 1}` }))
          .filter(({ line }) => ambient.test(line) && !line.startsWith("//") && !line.startsWith("*"))
          .map(({ at, line }) => `${at}: ${line}`),
      );
    expect(broken, "a simulator must be able to decide what time it is: use src/process/clock.ts").toEqual([]);
  });

  test("nobody but the composition reads the environment", () => {
    const homes = ["src/main/", "src/process/", "src/up/child/child-specs.ts"];
    const broken = files
      .filter((file) => !homes.some((home) => file.startsWith(home)))
      .filter((file) => /\bprocess\.env\b/.test(readFileSync(join(ROOT, file), "utf8")));
    expect(broken, "what a program does is decided by its configuration, which is parsed once").toEqual([]);
  });

  test("answers are ordered by code points, never by a locale", () => {
    const broken = files.filter((file) =>
      /\blocaleCompare\(|\bIntl\.Collator\b/.test(readFileSync(join(ROOT, file), "utf8")),
    );
    expect(
      broken,
      "store, kit and gateway must order alike on every machine: use src/accumulator/value-order.ts",
    ).toEqual([]);
  });

  test("a name is imported from the file that defines it", () => {
    // What the package offers under one name may come from several files.
    const faces = new Set(packageEntries());
    const passedOn = /^export\s+(?:type\s+)?(?:\*|\{[^}]*\})\s+from\s/m;
    const broken = files.filter((file) => !faces.has(file) && passedOn.test(readFileSync(join(ROOT, file), "utf8")));
    expect(broken, "no barrels").toEqual([]);
  });

  test("there is no import cycle, not even of types", () => {
    const graph = new Map<string, string[]>();
    for (const i of imports) if (i.relative) graph.set(i.from, [...(graph.get(i.from) ?? []), i.to]);
    const cycles: string[] = [];
    const done = new Set<string>();
    const visit = (file: string, path: string[]) => {
      if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(" → "));
      if (done.has(file) || path.includes(file)) return;
      for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
      done.add(file);
    };
    for (const file of graph.keys()) visit(file, []);
    expect(cycles, "a reader must be able to start at the bottom").toEqual([]);
  });

  test("every file is imported by something", () => {
    const entries = new Set(["src/main/skynetes.ts", ...packageEntries()]);
    const reached = new Set(imports.filter((i) => i.relative).map((i) => i.to));
    const dead = files.filter((file) => !reached.has(file) && !entries.has(file));
    expect(dead, "delete what is no longer needed").toEqual([]);
  });

  test("no drawer: names say what a file is", () => {
    const drawers = /(^|\/)(utils?|helpers?|common|misc|types|lib|shared)(\/|\.ts$)/;
    expect(files.filter((file) => drawers.test(file))).toEqual([]);
  });

  test("no tail: no file is ten times the others", () => {
    const long = files
      .map((file) => ({ file, lines: readFileSync(join(ROOT, file), "utf8").split("\n").length }))
      .filter(({ lines }) => lines > 300);
    expect(long, "split it by the ideas in it").toEqual([]);
  });

  test("names are in kebab-case", () => {
    const odd = files.filter(
      (file) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(file.replace(/^.*\//, "").replace(/\.ts$/, "")),
    );
    expect(odd).toEqual([]);
  });

  test("tests stand where the code stands", () => {
    const beside = ["acceptance", "examples", "flights", "golden", "oracle", "project", "real", "regression"];
    const folders = readdirSync(join(ROOT, "test"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const areas = new Set(files.map(area));
    const lost = folders.map(({ name }) => name).filter((name) => !areas.has(name) && !beside.includes(name));
    expect(lost, "whoever changes an area must find its tests under the same name").toEqual([]);
  });

  test("every way and every shared area explains itself in a README", () => {
    const areas = [
      "gateway",
      "node",
      "service",
      "log",
      "produce",
      "archive",
      "seal",
      "manifest",
      "lifecycle",
      "up",
      "main",
      "accumulator",
      "merge-plan",
      "telemetry",
      "mysql",
    ];
    const missing = areas.filter((a) => !readdirSync(join(SRC, a)).includes("README.md"));
    expect(missing).toEqual([]);
  });
});
