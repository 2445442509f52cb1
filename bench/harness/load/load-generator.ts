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

  async run(job: Omit<LoadJob, "firstSeed">): Promise<LoadResult> {
    const run = await this.prepare(job);
    return run();
  }

  /**
   * Makes the questions and their right answers, which takes a while; what it returns asks them. Seeds go on from run to
   * run, so that no two ask the same. Throws when an answer was wrong.
   */
  async prepare(job: Omit<LoadJob, "firstSeed">): Promise<() => Promise<LoadResult>> {
    const firstSeed = this.#nextSeed;
    this.#nextSeed += job.distinct;
    await this.#process.ask("prepare", { ...job, firstSeed });
    return async () => {
      const result = await this.#process.ask<LoadResult>("run");
      if (result.wrong === 0) return result;
      const examples = result.examples.join("\n");
      throw new Error(`${result.wrong} wrong answers of ${result.sent} from ${job.address}: ${examples}`);
    };
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }
}
