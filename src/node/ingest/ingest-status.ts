import type { Fault } from "../../fault/fault.ts";
import type { FaultId } from "../../fault/fault-catalog.ts";
import { type Cut, cutOf, type Position, positionIn } from "../../mesh/cut.ts";
import type { Clock } from "../../process/clock.ts";
import type { IngestBatch } from "../store/shard-store.ts";
import type { IngestWatcher } from "./ingest-partition.ts";
import { LagGauge, type PartitionLag } from "./partition-lag.ts";

/** Ingest goes on by itself after these, but somebody may have to see to what is wrong. */
const TROUBLING: ReadonlySet<FaultId> = new Set(["store-failed", "log-unavailable", "permission-denied"]);

/** What a shard's ingest loops have come to, kept in memory so that a status costs no statement. */
export class IngestStatus implements IngestWatcher {
  readonly #positions = new Map<string, Position>();
  readonly #stopped = new Map<string, Fault>();
  readonly #troubled = new Map<string, Fault>();
  readonly #gauges = new Map<string, LagGauge>();
  readonly #clock: Clock;
  #rejected: bigint;

  constructor(position: Cut, rejected: bigint, clock: Clock) {
    this.#clock = clock;
    for (const p of position) {
      this.#positions.set(keyOf(p.topic, p.partition), p);
      this.#gauge(p.topic, p.partition).committed(p.position);
    }
    this.#rejected = rejected;
  }

  read(topic: string, partition: number, bound: bigint): void {
    this.#gauge(topic, partition).read(bound);
  }

  committed(position: Position, batch: IngestBatch | undefined): void {
    this.#positions.set(keyOf(position.topic, position.partition), position);
    this.#gauge(position.topic, position.partition).committed(position.position);
    this.#rejected += BigInt(batch?.rejects.length ?? 0);
  }

  stopped(topic: string, partition: number, fault: Fault): void {
    this.#gauge(topic, partition); // A partition that was never read has a lag, too.
    this.#troubled.delete(keyOf(topic, partition));
    this.#stopped.set(keyOf(topic, partition), fault);
  }

  troubled(topic: string, partition: number, fault: Fault | undefined): void {
    this.#gauge(topic, partition);
    if (fault === undefined) this.#troubled.delete(keyOf(topic, partition));
    else this.#troubled.set(keyOf(topic, partition), fault);
  }

  get position(): Cut {
    return cutOf(this.#positions.values());
  }

  get rejected(): bigint {
    return this.#rejected;
  }

  /** Of every partition that a loop has begun with. */
  get lags(): readonly PartitionLag[] {
    return [...this.#gauges.values()].map(({ lag }) => lag);
  }

  #gauge(topic: string, partition: number): LagGauge {
    const key = keyOf(topic, partition);
    const gauge = this.#gauges.get(key) ?? new LagGauge(topic, partition, this.#clock);
    this.#gauges.set(key, gauge);
    return gauge;
  }

  /** Partitions that the horizon does not name can be frozen from their beginning. */
  horizon(lowest: Cut): Cut {
    return this.position.map((p) => positionIn(lowest, p.topic, p.partition) ?? { ...p, position: 0n });
  }

  /** Why ingest has stopped, or cannot read or write; empty while all goes well. A topic that is not there yet is no alarm. */
  get alarm(): string {
    const troubles = [...this.#troubled.values()].filter((fault) => TROUBLING.has(fault.id));
    return [...this.#stopped.values(), ...troubles].map((fault) => `${fault.id}: ${fault.message}`).join("; ");
  }
}

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}
