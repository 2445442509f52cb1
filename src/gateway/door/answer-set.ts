import { Fault } from "../../fault/fault.ts";
import { faultFromUnknown } from "../../fault/fault-from-unknown.ts";
import type { Clock } from "../../process/clock.ts";
import type { Gateway } from "../gateway.ts";
import type { Answer } from "../query/answer.ts";
import type { QueryIntent } from "../receive/query-intent.ts";
import type { Json, JsonObject } from "../receive/read-json.ts";
import { jsonPointer } from "../receive/read-json.ts";
import { parseServiceName } from "../receive/request-controls.ts";
import { problemOf } from "../reply/problem.ts";
import { commonSnapshot } from "../resolve/resolve-query.ts";
import { answerBody } from "./answer-body.ts";

/** With a member's name behind it (at most 64, and a dot) it is still an id of a query. */
const SET_ID_MAX = 63;

type Wishes = Pick<QueryIntent, "quality" | "timeoutMs" | "queryId" | "atLeast" | "traceparent" | "cache" | "signal">;

interface NamedCall {
  readonly name: string;
  readonly service: string;
  readonly version?: string;
  readonly method: string;
  readonly request: Json;
}

/**
 * Several queries of one moment: all are answered from one table at one snapshot, so the numbers of a page belong
 * together even while the table changes. Each has its answer or its error; one failure does not hide the others.
 *
 * The result is a line of JSON. `keep` is handed every answer as it comes; whoever sends the set closes them when it is sent.
 *
 * Faults: `malformed-request`, `invalid-request`, `unknown-snapshot`, `snapshot-retired`, `snapshot-expired`, `not-ready`.
 */
export async function answerSet(
  gateway: Gateway,
  snapshot: string,
  body: Json,
  wishes: Wishes,
  clock: Clock,
  keep: (answer: Answer) => void,
): Promise<Buffer> {
  const { queryId: setId } = wishes;
  if (setId !== undefined && setId.length > SET_ID_MAX) {
    throw new Fault("invalid-request", `read query id: an answer set's has at most ${SET_ID_MAX} characters`);
  }
  const calls = readCalls(body, gateway.limits.answerSetMax);
  const state = gateway.pinState(wishes.atLeast);
  const services = calls.map((call) => call.service);
  const id = commonSnapshot(state, snapshot, services);
  const answerOne = async (call: NamedCall): Promise<Buffer> => {
    // One id names the set and cancels it; its members need ids of their own to be listed and cancelled.
    const queryId = setId === undefined ? undefined : `${setId}.${call.name}`;
    try {
      const prepared = gateway.prepare(
        {
          ...wishes,
          queryId,
          setId,
          target: { snapshot: id, service: call.service, version: call.version, method: call.method },
          body: { kind: "json", value: call.request, pointer: jsonPointer(["queries", call.name, "request"]) },
        },
        state,
      );
      const { plan } = prepared.resolved;
      if (plan.merge.kind === "sorted") {
        throw new Fault(
          "invalid-request",
          `answer ${call.service}/${call.method}: a stream does not fit an answer set`,
        );
      }
      const answer = await gateway.answer(prepared);
      keep(answer);
      return await answerBody(prepared, answer, clock);
    } catch (error) {
      const problem = problemOf(faultFromUnknown(error, `answer ${call.service}/${call.method}`), queryId);
      return Buffer.from(`${JSON.stringify({ error: problem })}\n`);
    }
  };
  const answers = await Promise.all(calls.map(async (call) => [call.name, await answerOne(call)] as const));
  return setJson(Object.fromEntries(answers), id);
}

/** Each answer is a line of JSON, and the set is one. */
function setJson(answers: { readonly [name: string]: Buffer }, snapshot: string): Buffer {
  const written: Buffer[] = [];
  for (const [name, answer] of Object.entries(answers)) {
    const before = `${written.length === 0 ? '{"answers":{' : ","}${JSON.stringify(name)}:`;
    written.push(Buffer.from(before), answer.subarray(0, -1));
  }
  return Buffer.concat([...written, Buffer.from(`},"snapshot":${JSON.stringify({ id: snapshot })}}\n`)]);
}

function readCalls(body: Json, max: number): NamedCall[] {
  const set = onlyKeys(body, ["queries"], []);
  const queries = isObject(set.queries) ? Object.entries(set.queries) : [];
  if (queries.length === 0) throw invalid(["queries"], "an object with at least one named query is expected");
  if (queries.length > max)
    throw invalid(["queries"], `${queries.length} queries; at most ${max} are answered together`);
  return queries.map(([name, query]) => {
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) {
      throw invalid(["queries", name.slice(0, 80)], "a name is 1 to 64 of A-Z, a-z, 0-9, '_' and '-'");
    }
    const { call, request } = onlyKeys(query, ["call", "request"], ["queries", name]);
    const match = typeof call === "string" ? /^([^/]+)\/([^/]+)$/.exec(call) : null;
    if (match === null) throw invalid(["queries", name, "call"], "package.Service/Method is expected");
    return { name, ...parseServiceName(match[1] as string), method: match[2] as string, request: request ?? {} };
  });
}

function onlyKeys<K extends string>(json: Json | undefined, keys: readonly K[], path: string[]): { [P in K]?: Json } {
  if (!isObject(json)) throw invalid(path, "an object is expected");
  const unknown = Object.keys(json).find((key) => !(keys as readonly string[]).includes(key));
  if (unknown !== undefined) throw invalid([...path, unknown], `unknown; known are ${keys.join(", ")}`);
  return json as { [P in K]?: Json };
}

function isObject(json: Json | undefined): json is JsonObject {
  return (
    typeof json === "object" &&
    json !== null &&
    !Array.isArray(json) &&
    Object.getPrototypeOf(json) === Object.prototype
  );
}

function invalid(path: string[], detail: string): Fault {
  const pointer = jsonPointer(path);
  return new Fault("invalid-request", `read answer set: ${pointer || "/"}: ${detail}`, {
    errors: [{ pointer, detail }],
  });
}
