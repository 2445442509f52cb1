import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { cachePath } from "../../../bench/harness/tool/tool-cache.ts";

const POM = join(import.meta.dirname, "pom.xml");

/** The class path of a Kafka broker as pom.xml pins it, fetched with Maven at the first call on this machine. */
export function kafkaClassPath(): string {
  const digest = createHash("sha256").update(readFileSync(POM)).digest("hex").slice(0, 16);
  const directory = cachePath(`kafka-${digest}`);
  if (!existsSync(directory)) {
    mkdirSync(dirname(directory), { recursive: true });
    // Fetched beside and renamed: who looks meanwhile sees all of it or nothing.
    const beside = `${directory}.${process.pid}`;
    rmSync(beside, { recursive: true, force: true });
    const copy = ["dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${beside}`];
    execFileSync("mvn", ["-q", "-B", "-f", POM, ...copy], { stdio: ["ignore", "ignore", "inherit"] });
    try {
      renameSync(beside, directory);
    } catch (error) {
      if (!existsSync(directory)) throw error;
      rmSync(beside, { recursive: true, force: true });
    }
  }
  return join(directory, "*");
}
