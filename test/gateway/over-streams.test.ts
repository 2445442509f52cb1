/** What holds of a gateway over unary gRPC holds of it over packed streams. */
import { describe } from "vitest";
import { meshDefaults } from "./scripted-mesh.ts";

meshDefaults.converse = true;

describe("over packed streams: answers", async () => void (await import("./answers.test.ts")));
describe("over packed streams: failures", async () => void (await import("./failures.test.ts")));
describe("over packed streams: the service kit", async () => void (await import("./kit.test.ts")));
describe("over packed streams: tables", async () => void (await import("./tables.test.ts")));
describe("over packed streams: gRPC", async () => void (await import("./grpc.test.ts")));
describe("over packed streams: readers", async () => void (await import("./readers.test.ts")));
