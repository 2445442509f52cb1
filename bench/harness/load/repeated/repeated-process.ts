/** A generator of requests that come again, in a process of its own. */
import { answerQuestions } from "../../process/answer-questions.ts";
import { runRepeated } from "./run-repeated.ts";

answerQuestions({ repeated: runRepeated }, { ending: true });
