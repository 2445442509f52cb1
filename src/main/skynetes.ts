#!/usr/bin/env node
/**
 * The command line. This file alone runs before the version of Node.js is known to do, so it imports nothing that an
 * older one could not read, and loads the rest after the compile cache is on: the second start of a process skips
 * parsing and type stripping.
 */
import { enableCompileCache, flushCompileCache } from "node:module";
import { nodeVersionProblem } from "../process/node-version.ts";

const problem = nodeVersionProblem(process.versions.node);
if (problem !== undefined) {
  process.stderr.write(`error: ${problem}\n`);
  process.exitCode = 78;
} else {
  enableCompileCache();
  const { runCommandLine } = await import("./command-line.ts");
  process.exitCode = await runCommandLine(process.argv.slice(2), { script: import.meta.filename, flushCompileCache });
}
