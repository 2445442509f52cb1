// Every answer over gRPC is the right one: k6 run -e ADDRESS=host:port -e CASES=… -e SUMMARY=… grpc.js
import { check } from "k6";
import { scenario } from "k6/execution";
import grpc from "k6/net/grpc";
import { count, nextCase, optionsOf } from "./cases.js";

export { handleSummary } from "./cases.js";

export const options = optionsOf("ask");

// What a client may be told under load: clear errors. Any other reply without the right answer is a wrong one.
const REFUSALS = [grpc.StatusResourceExhausted, grpc.StatusDeadlineExceeded, grpc.StatusUnavailable];
const client = new grpc.Client();
// Of this user: k6 gives each a module of its own.
let isConnected = false;

export function ask() {
  if (!isConnected) {
    // The gateway itself says what it serves.
    client.connect(__ENV.ADDRESS, { plaintext: true, reflect: true, timeout: "30s" });
    isConnected = true;
  }
  const question = nextCase(scenario.iterationInTest);
  const metadata = { "x-skynetes-snapshot": question.snapshot };
  const startedAt = Date.now();
  const reply = client.invoke(question.call, question.request, { metadata, timeout: "10s" });
  const ms = Date.now() - startedAt;
  check(reply, { "right, or refused": () => count(question, answerOf(reply), ms, describe(reply)) });
}

function answerOf(reply) {
  if (reply.status === grpc.StatusOK) return reply.message;
  return REFUSALS.includes(reply.status) ? undefined : null;
}

function describe(reply) {
  return `status ${reply.status} ${JSON.stringify(reply.error)} ${JSON.stringify(reply.message).slice(0, 300)}`;
}
