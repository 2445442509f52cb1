// Sums vitest's JSON reports into one closing line; a missing report, a skipped test or an earlier failure fails the run.
import { existsSync, readFileSync } from "node:fs";

const [earlier, ...files] = process.argv.slice(2);
let passed = 0;
let failed = earlier === "0" ? 0 : 1;
const skipped = [];

for (const file of files) {
  if (!existsSync(file)) {
    console.log(`no report ${file}: the suite did not run`);
    failed += 1;
    continue;
  }
  const report = JSON.parse(readFileSync(file, "utf8"));
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  if (report.numTotalTests === 0) failed += 1;
  for (const suite of report.testResults) {
    for (const test of suite.assertionResults) {
      if (test.status !== "passed" && test.status !== "failed") skipped.push(`${suite.name}: ${test.fullName}`);
    }
  }
}
for (const name of skipped) console.log(`skipped: ${name}`);
if (skipped.length > 0) failed += 1;
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
