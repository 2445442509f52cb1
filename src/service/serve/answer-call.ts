import { create, type DescMethod, type Message, toBinary } from "@bufbuild/protobuf";
import { Metadata, type ServerUnaryCall, type ServerWritableStream } from "@grpc/grpc-js";
import type { Slices } from "../../accumulator/sliced-sort.ts";
import { Fault } from "../../fault/fault.ts";
import type { MethodPlan } from "../../merge-plan/method-plan.ts";
import { requestWindow, rowsForWindow } from "../../merge-plan/request-window.ts";
import { rowOrder } from "../../merge-plan/row-order.ts";
import { BOUNDS_HEADER, STAMP_HEADER } from "../../mesh/route-headers.ts";
import type { Clock } from "../../process/clock.ts";
import { inSlices, nextTurn } from "../../process/turn.ts";
import { step } from "../../telemetry/step-channel.ts";
import { parseTraceparent } from "../../telemetry/trace-context.ts";
import { StampSchema, TopBoundsSchema } from "../../wire/generated/skynetes/v1/stamp_pb.ts";
import type { BindingHold, BindingTable } from "../bind/binding-table.ts";
import type { CallContext } from "../define-service.ts";
import type { ActiveCall, ActiveCalls } from "./active-calls.ts";
import { type CallRoute, callRoute, type OwnRoute } from "./call-route.ts";
import { callStatus } from "./call-status.ts";
import { encodeReply } from "./encode-reply.ts";
import type { Fields } from "./part-field.ts";
import { rankGroups } from "./rank-groups.ts";

/** What the calls of a process share. */
export interface CallHost<State> {
  readonly own: OwnRoute;
  readonly table: BindingTable<State>;
  readonly calls: ActiveCalls;
  readonly clock: Clock;
  /** Told of what went wrong in a handler, for the process's log. */
  readonly report: (error: unknown, attempted: string) => void;
}

type Handler<State> = (request: unknown, state: State, call: CallContext) => unknown;
type UnaryReply = (error: unknown, value?: Uint8Array | null, trailer?: Metadata) => void;
type AnyCall = ServerUnaryCall<unknown, Uint8Array> | ServerWritableStream<unknown, Uint8Array>;

/** Rows sent in one turn of the event loop at most. */
const ROWS_PER_TURN = 128;

/** Answers a unary method: admit → stamp → handler → rank → encode → reply. */
export function unaryCall<State>(host: CallHost<State>, plan: MethodPlan, handler: Handler<State>) {
  const { method } = plan;
  return async (call: ServerUnaryCall<unknown, Uint8Array>, reply: UnaryReply): Promise<void> => {
    const attempted = pathOf(method);
    try {
      await admitted(host, call, attempted, async (context, state) => {
        const request = call.request as Message;
        const wanted = rowsWanted(plan, request);
        const answer = (await handler(request, state, context)) as Fields;
        const trailer = new Metadata();
        const ranked = chooseGroups(plan, request, answer, wanted, trailer);
        const chosen = await inSlices(ranked, host.clock, context.signal);
        reply(null, await encodeReply(method.output, chosen, context.signal), trailer);
      });
    } catch (error) {
      reply(callStatus(error, attempted));
    }
  };
}

/** A shard neither skips nor knows what others have: it sends all that the window may need. */
function rowsWanted(plan: MethodPlan, request: Message): number {
  return rowsForWindow(requestWindow(plan, request)) ?? Number.POSITIVE_INFINITY;
}

function* chooseGroups(
  plan: MethodPlan,
  request: Message,
  answer: Fields,
  wanted: number,
  trailer: Metadata,
): Slices<Fields> {
  if (plan.merge.kind !== "message" || plan.merge.top === undefined) return answer;
  const name = plan.merge.top.field.localName;
  const groups = (answer[name] ?? []) as Iterable<Fields>;
  const ranked = yield* rankGroups(plan, plan.merge.top, request, groups, wanted);
  if (ranked.bounds !== undefined) {
    trailer.set(BOUNDS_HEADER, Buffer.from(toBinary(TopBoundsSchema, ranked.bounds)));
  }
  return { ...answer, [name]: ranked.groups };
}

/** Answers a streaming method: admit → stamp → rows of the handler, in order, no more than asked for. */
export function streamingCall<State>(host: CallHost<State>, plan: MethodPlan, handler: Handler<State>) {
  const assertOrder = orderCheck(plan);
  return async (call: ServerWritableStream<unknown, Uint8Array>): Promise<void> => {
    const attempted = pathOf(plan.method);
    // Writing to a caller that has gone away fails; the abort signal tells so already.
    call.on("error", () => {});
    try {
      await admitted(host, call, attempted, async (context, state) => {
        const wanted = rowsWanted(plan, call.request as Message);
        const rows = handler(call.request, state, context) as AsyncIterable<Fields>;
        await sendRows(call, plan.method, rows, wanted, assertOrder, context.signal);
      });
      call.end();
    } catch (error) {
      call.emit("error", callStatus(error, attempted));
    }
  };
}

type OrderCheck = (previous: Message, row: Message) => void;

async function sendRows(
  call: ServerWritableStream<unknown, Uint8Array>,
  { output }: DescMethod,
  rows: AsyncIterable<Fields>,
  wanted: number,
  assertOrder: OrderCheck,
  signal: AbortSignal,
): Promise<void> {
  let sent = 0;
  let previous: Message | undefined;
  for await (const fields of rows) {
    signal.throwIfAborted();
    const row = create(output, fields);
    if (previous !== undefined) assertOrder(previous, row);
    previous = row;
    const hasRoom = call.write(toBinary(output, row));
    if (++sent >= wanted) return;
    if (!hasRoom) await drained(call, signal);
    else if (sent % ROWS_PER_TURN === 0) await nextTurn(signal);
  }
}

/** The gateway refuses rows out of order, naming the shard; here it is seen which field it was, and by whom. */
function orderCheck({ merge }: MethodPlan): OrderCheck {
  const columns = merge.kind === "sorted" ? merge.by : [];
  const orders = columns.map((column) => ({ name: column.field.name, order: rowOrder([column]) }));
  return (previous, row) => {
    for (const { name, order } of orders) {
      const difference = order(previous, row);
      if (difference < 0) return;
      if (difference > 0) throw new Fault("internal", `the handler's rows are out of order in field ${name}`);
    }
  };
}

function drained(call: ServerWritableStream<unknown, Uint8Array>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      call.off("drain", done);
      signal.removeEventListener("abort", done);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    if (signal.aborted) return done();
    call.on("drain", done);
    signal.addEventListener("abort", done, { once: true });
  });
}

/** Checks that the call is ours and can be answered, stamps it, and runs `work` while its binding is held. */
async function admitted<State>(
  host: CallHost<State>,
  call: AnyCall,
  attempted: string,
  work: (context: CallContext, state: State) => Promise<void>,
): Promise<void> {
  const active = host.calls.begin();
  let hold: BindingHold<State> | undefined;
  try {
    call.on("cancelled", () => active.cancel("the caller went away or its deadline passed"));
    const route = callRoute(call.metadata, host.own);
    hold = host.table.hold(route.snapshot, route.shard);
    const { stamp, state } = hold.binding;
    const initial = new Metadata();
    initial.set(STAMP_HEADER, Buffer.from(toBinary(StampSchema, create(StampSchema, stamp))));
    // Before the handler runs: the caller checks the stamp before it reads the first byte of the partial.
    call.sendMetadata(initial);
    await step("service", "call", factsOf(call, attempted, route), () => work(contextOf(route, active), state));
  } catch (error) {
    if (!active.signal.aborted) host.report(error, attempted);
    throw error;
  } finally {
    hold?.release();
    active.end();
  }
}

/** With the caller's trace context, so that its spans and these are one trace. */
function factsOf(call: AnyCall, method: string, route: CallRoute): Record<string, string | number> {
  const traceparent = parseTraceparent(call.metadata.get("traceparent")[0]?.toString());
  return { method, ...route, ...(traceparent === undefined ? {} : { traceparent }) };
}

function contextOf(route: CallRoute, active: ActiveCall): CallContext {
  return { ...route, signal: active.signal };
}

function pathOf(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}
