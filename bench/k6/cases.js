// Questions with their right answers, and what is the same for both doors. CASES is a file of
// [{"snapshot": …, "call": "package.Service/Method", "request": {…}, "expected": {…}}].
import { SharedArray } from "k6/data";
import { Counter, Trend } from "k6/metrics";

const cases = new SharedArray("cases", () => JSON.parse(open(__ENV.CASES)));
const right = new Counter("right_answers");
const refused = new Counter("refusals");
const wrong = new Counter("wrong_answers");
const latency = new Trend("right_latency", true);

const rate = Number(__ENV.RATE ?? "20");
const seconds = Number(__ENV.SECONDS ?? "10");
const OVERLOAD = 10;
// Questions under way at once at most; k6 drops what would be more.
const users = Number(__ENV.USERS ?? "40");

// Ramp, steady, overload, and steady again: after an overload the gateway must be what it was before.
function scenariosOf(exec) {
  const each = { timeUnit: "1s", preAllocatedVUs: users, maxVUs: users, gracefulStop: "15s", exec };
  const steady = { ...each, executor: "constant-arrival-rate", duration: `${seconds}s` };
  const ramp = { ...each, executor: "ramping-arrival-rate", startRate: 1 };
  return {
    ramp: { ...ramp, stages: [{ target: rate, duration: `${seconds}s` }] },
    steady: { ...steady, rate, startTime: `${seconds}s` },
    overload: { ...steady, rate: rate * OVERLOAD, startTime: `${2 * seconds}s` },
    // What the overload left under way has ended by then.
    again: { ...steady, rate, startTime: `${3 * seconds + 5}s` },
  };
}

export function optionsOf(exec) {
  const scenarios = scenariosOf(exec);
  const thresholds = { wrong_answers: ["count==0"], checks: ["rate==1"] };
  // A threshold is how k6 is told to keep a metric by scenario.
  for (const scenario of Object.keys(scenarios)) {
    for (const counter of ["right_answers", "refusals", "wrong_answers"]) {
      thresholds[`${counter}{scenario:${scenario}}`] = ["count>=0"];
    }
    thresholds[`right_latency{scenario:${scenario}}`] = ["max>=0"];
  }
  return {
    scenarios,
    thresholds,
    discardResponseBodies: false,
    summaryTrendStats: ["med", "p(99)", "max"],
  };
}

export function nextCase(iteration) {
  return cases[iteration % cases.length];
}

// `answer` is undefined where the gateway refused with one of its clear errors.
export function count(question, answer, durationMs, what) {
  if (answer === undefined) {
    refused.add(1);
    wrong.add(0);
    return true;
  }
  const isRight = canonical(answer) === canonical(question.expected);
  (isRight ? right : wrong).add(1);
  if (isRight) latency.add(durationMs);
  else console.error(`${question.call} at ${question.snapshot}, ${JSON.stringify(question.request)}: ${what}`);
  return isRight;
}

// Equal values give equal texts, whatever the order of fields.
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const fields = Object.keys(value).sort();
  return `{${fields.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join()}}`;
}

export function handleSummary(data) {
  return { [__ENV.SUMMARY]: JSON.stringify(data) };
}
