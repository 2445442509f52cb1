import { defineConfig } from "vitest/config";

const reports = process.env.SKYNETES_TEST_REPORTS;

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/real/**"],
    // Two cores are the reference machine: more workers only make real processes wait for each other.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // What is waited for comes within milliseconds, and on a machine that is busy with other tests within seconds.
    expect: { poll: { timeout: 20_000 } },
    // CI sums the runs from these files.
    ...(reports === undefined
      ? {}
      : { reporters: ["default", ["json", { outputFile: `${reports}/test.json` }]] as never }),
  },
});
