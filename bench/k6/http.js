// Every answer over HTTP is the right one, whatever the load: k6 run -e URL=http://… -e CASES=… -e SUMMARY=… http.js
import { check } from "k6";
import { scenario } from "k6/execution";
import http from "k6/http";
import { count, nextCase, optionsOf } from "./cases.js";

export { handleSummary } from "./cases.js";

export const options = optionsOf("ask");

// What a client may be told under load: clear errors. Any other reply without the right answer is a wrong one.
const REFUSALS = ["overloaded", "deadline-exceeded", "shard-unavailable", "incomplete-answer"];

export function ask() {
  const question = nextCase(scenario.iterationInTest);
  const url = `${__ENV.URL}/v1/snapshots/${question.snapshot}/${question.call}`;
  const headers = { "content-type": "application/json" };
  const reply = http.post(url, JSON.stringify(question.request), { headers, tags: { name: question.call } });
  check(reply, {
    "right, or refused": () => count(question, answerOf(reply), reply.timings.duration, describe(reply)),
  });
}

// Null is no right answer of any question.
function answerOf(reply) {
  try {
    const body = JSON.parse(reply.body);
    if (reply.status === 200) return body.completeness.complete === true ? body.answer : null;
    return REFUSALS.some((id) => body.type.endsWith(`/${id}`)) ? undefined : null;
  } catch {
    return null;
  }
}

function describe(reply) {
  return `status ${reply.status} ${reply.error} ${String(reply.body).slice(0, 300)}`;
}
