import { fromBinary, type Message } from "@bufbuild/protobuf";
import { Fault } from "../../fault/fault.ts";
import type { Clock } from "../../process/clock.ts";
import { step } from "../../telemetry/step-channel.ts";
import type { BindingHold, BindingTable } from "../bind/binding-table.ts";
import type { Authorize, CallContext } from "../define-service.ts";
import type { ActiveCall, ActiveCalls } from "./active-calls.ts";
import { callFault } from "./call-fault.ts";
import { type AccessEntry, CallRecord } from "./call-record.ts";
import type { CallRoute, OwnRoute } from "./call-route.ts";
import type { IncomingCall } from "./incoming-call.ts";
import type { PartialOut, ServedMethod } from "./served-method.ts";

/** What the calls of a process share. */
export interface CallHost<State> {
  readonly own: OwnRoute;
  readonly table: BindingTable<State>;
  readonly calls: ActiveCalls;
  readonly clock: Clock;
  /** All must allow a call. */
  readonly authorize: readonly Authorize[];
  /** Told of what went wrong in a handler, for the process's log. */
  readonly report: (error: unknown, attempted: string) => void;
  /** Told of every call once it has ended. */
  readonly accessLog: ((entry: AccessEntry) => void) | undefined;
}

/**
 * Answers a call of any transport: admit → authorise → hold the binding → stamp → handler → status. Never rejects: what
 * goes wrong is the call's status.
 */
export async function answerCall<State>(
  host: CallHost<State>,
  method: ServedMethod<State>,
  call: IncomingCall,
): Promise<void> {
  const record = new CallRecord(host.clock, call, method.name);
  try {
    await step("service", "call", record.facts, () => admitted(host, method, call, record));
  } catch (error) {
    call.fail(callFault(error, method.name), record.timing());
  }
  host.accessLog?.(record.entry());
}

async function admitted<State>(
  host: CallHost<State>,
  method: ServedMethod<State>,
  call: IncomingCall,
  record: CallRecord,
): Promise<void> {
  let active: ActiveCall | undefined;
  let hold: BindingHold<State> | undefined;
  try {
    active = call.begin();
    active.throwIfCancelled();
    const route = call.route();
    record.routed(route);
    if (host.authorize.length > 0) await authorized(host.authorize, method.name, route, call);
    hold = host.table.hold(route.snapshot, route.shard);
    const { stampBytes, state } = hold.binding;
    call.stamp(stampBytes);
    const request = requestOf(method, call.request);
    record.began();
    const bounds = await method.answer(request, state, contextOf(route, active), outOf(host.clock, call, record));
    active.throwIfCancelled();
    call.end(bounds, record.timing());
  } catch (error) {
    record.failed(callFault(error, method.name).id);
    if (active?.isCancelled !== true) host.report(error, method.name);
    throw error;
  } finally {
    hold?.release();
    active?.end();
  }
}

/** Whatever does not say `allowed` denies: a rule that forgets to answer must not let everyone in. */
async function authorized(rules: readonly Authorize[], method: string, route: CallRoute, call: IncomingCall) {
  const { transport, peer } = call;
  for (const authorize of rules) {
    const verdict: unknown = await authorize({ method, ...route, transport, peer });
    if (verdict === "allowed") continue;
    if (verdict instanceof Fault) throw verdict;
    throw new Fault("permission-denied", `${method} of shard ${route.shard} at "${route.snapshot}" is not allowed`);
  }
}

function requestOf<State>({ name, plan }: ServedMethod<State>, bytes: Uint8Array): Message {
  try {
    return fromBinary(plan.method.input, bytes);
  } catch (error) {
    const { typeName } = plan.method.input;
    throw new Fault(
      "malformed-request",
      `read the request of ${name}: ${bytes.length} bytes are no ${typeName}`,
      {},
      error,
    );
  }
}

function contextOf(route: CallRoute, active: ActiveCall): CallContext {
  return {
    shard: route.shard,
    snapshot: route.snapshot,
    get signal() {
      return active.signal;
    },
  };
}

function outOf(clock: Clock, call: IncomingCall, record: CallRecord): PartialOut {
  return {
    clock,
    accept: call.accept,
    isWhole: call.isWhole,
    send(pieces, format) {
      let bytes = 0;
      for (const piece of pieces) bytes += piece.length;
      record.sent(bytes);
      return call.send(pieces, format);
    },
    room: (signal) => call.room(signal),
  };
}
