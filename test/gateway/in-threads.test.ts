/** What holds of a gateway that merges in slices holds of one whose merges run in threads, whatever their size. */
import { describe } from "vitest";
import { meshDefaults } from "./scripted-mesh.ts";

meshDefaults.converse = true;
meshDefaults.limits = { mergeThreadsMax: 3, mergeThreadBytes: 0 };

describe("in merge threads: answers", async () => void (await import("./answers.test.ts")));
describe("in merge threads: failures", async () => void (await import("./failures.test.ts")));
describe("in merge threads: the service kit", async () => void (await import("./kit.test.ts")));
