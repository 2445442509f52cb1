/** A load generator in a process of its own, so that it never takes a turn of the event loop that it measures. */
import { answerQuestions } from "../process/answer-questions.ts";
import type { LoadJob } from "./load-job.ts";
import { type ReadyLoad, readyLoad } from "./run-load.ts";

let ready: ReadyLoad | undefined;

answerQuestions(
  {
    prepare: (job: LoadJob) => {
      ready = readyLoad(job);
    },
    run: () => {
      if (ready === undefined) throw new Error("no load was prepared");
      return ready();
    },
  },
  { ending: true },
);
