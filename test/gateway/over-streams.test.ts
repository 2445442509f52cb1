/** What holds of a gateway over unary gRPC holds of it over packed streams. */
import { describe } from "vitest";
import { meshDefaults } from "./scripted-mesh.ts";

meshDefaults.converse = true;

describe("over packed streams: answers", async () => void (await import("./answers.test.ts")));
describe("over packed streams: failures", async () => void (await import("./failures.test.ts")));
