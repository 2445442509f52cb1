import { status } from "@grpc/grpc-js";
import { Fault } from "../../../fault/fault.ts";
import { faultFromUnknown } from "../../../fault/fault-from-unknown.ts";
import type { Clock } from "../../../process/clock.ts";
import type { Greeting } from "../shard-transport.ts";
import type { StreamSlot } from "./stream-slot.ts";

/**
 * Opens a stream, hears who is there, and ends it. It is not one of the streams in use: those may have been opened
 * before what is asked for was bound, or before the routes were what they are. Undefined: Converse is not spoken there.
 */
export function greet(
  slot: StreamSlot,
  clock: Clock,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Greeting | undefined> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(faultFromUnknown(signal.reason, "open a stream"));
    const stream = slot.openBeside({
      opened: ({ instance, bound }) => {
        settle();
        resolve({ instance, bound });
        stream.retire();
      },
      retired: () => {},
      closed: (lost) => {
        settle();
        if (lost?.error?.code === status.UNIMPLEMENTED) resolve(undefined);
        else reject(new Fault("shard-unavailable", `open a stream: ${lost?.because ?? "it was closed"}`));
      },
    });
    const giveUp = (fault: Fault) => {
      settle();
      reject(fault);
      stream.retire();
    };
    const cancelTimer = clock.after(timeoutMs, () => {
      giveUp(new Fault("deadline-exceeded", `open a stream: no hello within ${timeoutMs} ms`));
    });
    const onAbort = () => giveUp(faultFromUnknown(signal.reason, "open a stream"));
    signal.addEventListener("abort", onAbort, { once: true });
    const settle = () => {
      cancelTimer();
      signal.removeEventListener("abort", onAbort);
    };
  });
}
