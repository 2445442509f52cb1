/**
 * Which of several processes writes for a replica in the archive. A node that was taken for dead may go on, and another
 * one may run under its name by then: each claims an epoch when it begins, and the higher one has taken over.
 *
 * Without locks and exclusive creation, which networks do not keep: a claim is a file whose name nobody else writes,
 * `<epoch>.<owner>`. An epoch is held by who looks *after* its claim is there and sees no other claim of it. Of two who
 * claim the same one, the later sees the earlier's claim, so at most one holds it.
 *
 * What a writer writes carries its epoch in the name (`manifestFile`), so one that was fenced in the middle of a write
 * overwrites nothing of its successor's. The checks before and after only make it stop, and say so.
 */
import type { ArchiveFiles } from "../../archive/archive-files.ts";
import { Fault } from "../../fault/fault.ts";

/** Processes that start together under one name; more tries would not make them one. */
const TRIES = 5;

export class WriterEpoch {
  readonly #files: ArchiveFiles;
  readonly #directory: string;
  readonly #owner: string;
  #held: bigint | undefined;
  #claiming: Promise<bigint> | undefined;
  #fenced: Fault | undefined;

  /** `owner` is this process's alone, without a dot in it. */
  constructor(files: ArchiveFiles, directory: string, owner: string) {
    this.#files = files;
    this.#directory = directory;
    this.#owner = owner;
  }

  /** Set when another has taken over: this one writes no more. */
  get fenced(): Fault | undefined {
    return this.#fenced;
  }

  /** The epoch to write with; claims it the first time. Fault `fenced`. */
  hold(): Promise<bigint> {
    if (this.#held !== undefined) return Promise.resolve(this.#held);
    this.#claiming ??= this.#claim().finally(() => {
      this.#claiming = undefined;
    });
    return this.#claiming;
  }

  /** Fault `fenced` when a higher epoch is claimed. */
  async check(): Promise<bigint> {
    if (this.#fenced !== undefined) throw this.#fenced;
    const held = await this.hold();
    const higher = (await this.#claims()).find(({ epoch }) => epoch > held);
    if (higher !== undefined) throw this.#fence(held, higher);
    return held;
  }

  async #claim(): Promise<bigint> {
    for (let tried = 0; tried < TRIES; tried++) {
      if (this.#fenced !== undefined) throw this.#fenced;
      const before = await this.#claims();
      const epoch = before.reduce((highest, claim) => (claim.epoch > highest ? claim.epoch : highest), 0n) + 1n;
      const mine = this.#path({ epoch, owner: this.#owner });
      await this.#files.writeText(mine, `${this.#owner}\n`);
      const others = (await this.#claims()).filter(({ owner }) => owner !== this.#owner);
      const rival = others.find((claim) => claim.epoch >= epoch);
      if (rival === undefined) {
        this.#held = epoch;
        for (const claim of before) await this.#files.remove(this.#path(claim));
        return epoch;
      }
      // Who began at the same time: the greater name goes on, so that not both give way to the other for ever.
      if (rival.epoch > epoch || rival.owner > this.#owner) {
        await this.#files.remove(mine);
        throw this.#fence(epoch, rival);
      }
    }
    throw new Fault("fenced", `write to ${this.#directory}: others claim every epoch at the same time`);
  }

  #fence(held: bigint, { epoch, owner }: Claim): Fault {
    this.#fenced = new Fault(
      "fenced",
      `write to ${this.#directory} with epoch ${held}: ${owner} has taken over with epoch ${epoch}; ` +
        "two nodes run under one name, stop the older one",
    );
    return this.#fenced;
  }

  async #claims(): Promise<Claim[]> {
    return (await this.#files.list(this.#directory)).flatMap((file) => {
      const [, epoch, owner] = /^(\d{1,18})\.([^.]+)$/.exec(file) ?? [];
      return epoch === undefined || owner === undefined ? [] : [{ epoch: BigInt(epoch), owner }];
    });
  }

  #path({ epoch, owner }: Claim): string {
    return `${this.#directory}/${epoch}.${owner}`;
  }
}

interface Claim {
  readonly epoch: bigint;
  readonly owner: string;
}
