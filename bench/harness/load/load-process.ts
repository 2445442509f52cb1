/** A load generator in a process of its own, so that it never takes a turn of the event loop that it measures. */
import { answerQuestions } from "../process/answer-questions.ts";
import { runLoad } from "./run-load.ts";

answerQuestions({ load: runLoad }, { ending: true });
