import { join } from "node:path";
import { AskedProcess } from "../process/asked-process.ts";
import type { LoadJob, LoadResult } from "./load-job.ts";

export class LoadGenerator {
  readonly #process: AskedProcess;
  #nextSeed = 1;

  private constructor(process: AskedProcess) {
    this.#process = process;
  }

  static start(): LoadGenerator {
    return new LoadGenerator(AskedProcess.fork("load", join(import.meta.dirname, "load-process.ts")));
  }

  /** Seeds go on from run to run, so that no two runs ask the same. Throws when an answer was wrong. */
  async run(job: Omit<LoadJob, "firstSeed">): Promise<LoadResult> {
    const firstSeed = this.#nextSeed;
    this.#nextSeed += job.distinct;
    const result = await this.#process.ask<LoadResult>("load", { ...job, firstSeed });
    if (result.wrong > 0) {
      throw new Error(
        `${result.wrong} wrong answers of ${result.sent} from ${job.address}: ${result.examples.join("\n")}`,
      );
    }
    return result;
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }
}
