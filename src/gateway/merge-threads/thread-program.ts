/** What runs in a merge thread. */
import assert from "node:assert";
import { parentPort } from "node:worker_threads";
import { systemClock } from "../../process/clock.ts";
import type { ToThread } from "./thread-words.ts";
import { ThreadWork } from "./thread-work.ts";

assert(parentPort !== null, "a merge thread is started by a gateway");
const port = parentPort;
const work = new ThreadWork((words, handedOver = []) => port.postMessage(words, [...handedOver]), systemClock);
port.on("message", (words: ToThread) => work.hear(words));
