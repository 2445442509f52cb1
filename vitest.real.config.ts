import { defineConfig } from "vitest/config";

const reports = process.env.SKYNETES_TEST_REPORTS;

/** The suites against real neighbours and the complete mesh: one after another, since each wants both cores. */
export default defineConfig({
  test: {
    include: ["test/real/**/*.test.ts"],
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 600_000,
    ...(reports === undefined
      ? {}
      : { reporters: ["default", ["json", { outputFile: `${reports}/real.json` }]] as never }),
  },
});
