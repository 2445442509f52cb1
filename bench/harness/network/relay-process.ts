/** The network of a benchmark, in a process of its own. */
import { answerQuestions } from "../process/answer-questions.ts";
import { DelayRelay, type LinkQuality } from "./delay-relay.ts";

const relay = new DelayRelay();

answerQuestions(
  {
    open: (ports: readonly number[]) => Promise.all(ports.map((port) => relay.open(port))),
    setQuality: (quality: LinkQuality) => relay.setQuality(quality),
  },
  { ending: true },
);
