import type { StreamLoss } from "./stream-loss.ts";

/** Of all streams of a gateway, since it started. */
export class StreamCounts {
  framesSent = 0;
  /** Divided by the frames: how well calls are packed. */
  callsSent = 0;
  framesReceived = 0;
  /** Now. */
  open = 0;
  sentinelsDenied = 0;
  readonly lost = new Map<StreamLoss, number>();

  countLoss(loss: StreamLoss): void {
    this.lost.set(loss, (this.lost.get(loss) ?? 0) + 1);
  }
}
