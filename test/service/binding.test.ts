import { once } from "node:events";
import { readFile, truncate, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DelayService } from "../../examples/flights/generated/flights/v1/delay_pb.ts";
import type { ServeOptions } from "../../src/service/serve/serve-service.ts";
import { inTemporaryDirectory, type Served, served, VERSION } from "./running.ts";
import { sha256Of } from "./shard-fixture.ts";
import { scripted, writeSmallShard } from "./small-flights.ts";

const { summarize } = DelayService.method;
const SHORT = { timeoutMs: 10_000 };

let running: Served[] = [];
beforeEach(() => {
  running = [];
});
afterEach(async () => {
  await Promise.all(running.map((service) => service.close()));
});

async function start(definition: ReturnType<typeof scripted>, options?: Partial<ServeOptions>): Promise<Served> {
  const service = await served(definition, options);
  running.push(service);
  return service;
}

const target = { version: VERSION, shard: 0, snapshot: "s1" };

describe("bind", () => {
  test("a shard answers after it is bound and is refused before, naming what is bound", () =>
    inTemporaryDirectory(async (directory) => {
      const service = await start(scripted());
      const shard = await writeSmallShard(directory);
      await expect(service.caller.call(summarize, {}, target)).rejects.toMatchObject({
        id: "snapshot-not-bound",
        message: 'shard 0 of snapshot "s1" is not bound here; bound: nothing',
        detail: { shard: 0 },
      });
      const { stamp, memoryBytes } = await service.bind(shard);
      expect(stamp).toMatchObject({
        shard: 0,
        snapshot: "s1",
        stateDigest: shard.stateDigest,
        serviceVersion: VERSION,
      });
      expect(memoryBytes).toBe(1000n);
      const partial = await service.caller.call(summarize, {}, target);
      expect(partial.messages[0]?.flights).toBe(5n);
      await expect(service.caller.call(summarize, {}, { ...target, snapshot: "s2" })).rejects.toMatchObject({
        message: 'shard 0 of snapshot "s2" is not bound here; bound: s1/0',
      });
      await expect(service.caller.call(summarize, {}, { ...target, shard: 1 })).rejects.toMatchObject({
        id: "snapshot-not-bound",
      });
    }));

  test("two snapshots of a shard are held at once and never mixed", () =>
    inTemporaryDirectory(async (directory) => {
      const service = await start(scripted());
      await service.bind(await writeSmallShard(directory, 0, "s1"));
      await service.bind(await writeSmallShard(directory, 0, "later"));
      const [one, other] = await Promise.all([
        service.caller.call(summarize, {}, target),
        service.caller.call(summarize, {}, { ...target, snapshot: "later" }),
      ]);
      expect([one.messages[0]?.flights, one.stamp?.snapshot]).toEqual([5n, "s1"]);
      expect([other.messages[0]?.flights, other.stamp?.snapshot]).toEqual([8n, "later"]);
    }));

  test("many who bind the same shard at once share one load", () =>
    inTemporaryDirectory(async (directory) => {
      let loads = 0;
      let loading = 0;
      let loadingMost = 0;
      const service = await start(
        scripted(
          {},
          {
            async load() {
              loads++;
              loadingMost = Math.max(loadingMost, ++loading);
              await new Promise((resolve) => setTimeout(resolve, 30));
              loading--;
              return 1;
            },
          },
        ),
      );
      const shards = await Promise.all([0, 1, 2].map((i) => writeSmallShard(join(directory, `${i}`), i)));
      const asked = [...shards, ...shards, ...shards].map((shard) => service.bind(shard));
      await Promise.all(asked);
      expect(loads).toBe(3);
      // One after another: two loads at once could burst a memory bound that each alone keeps.
      expect(loadingMost).toBe(1);
      await service.bind(shards[0] as NonNullable<(typeof shards)[0]>);
      expect(loads).toBe(3);
      const listed = await service.binding.listBindings({}, SHORT);
      expect(listed.bound.map((stamp) => stamp.shard)).toEqual([0, 1, 2]);
      expect(listed.instance).toBe(service.service.instance);
    }));

  test("a bound shard is not bound again with another state digest", () =>
    inTemporaryDirectory(async (directory) => {
      const service = await start(scripted());
      const shard = await writeSmallShard(directory);
      await service.bind(shard);
      await expect(service.bind({ ...shard, stateDigest: "ffff" })).rejects.toMatchObject({ id: "snapshot-conflict" });
    }));

  test("a failed bind leaves nothing bound and can be tried again", () =>
    inTemporaryDirectory(async (directory) => {
      let fail = true;
      const service = await start(
        scripted(
          {},
          {
            async load() {
              if (fail) throw new Error("no such luck");
              return 7;
            },
          },
        ),
      );
      const shard = await writeSmallShard(directory);
      await expect(service.bind(shard)).rejects.toMatchObject({ id: "internal", message: "bind s1/0: no such luck" });
      await expect(service.caller.call(summarize, {}, target)).rejects.toMatchObject({ id: "snapshot-not-bound" });
      fail = false;
      await service.bind(shard);
      expect((await service.caller.call(summarize, {}, target)).messages[0]?.flights).toBe(7n);
    }));

  test("a state beyond the memory bound is refused and the others go on", () =>
    inTemporaryDirectory(async (directory) => {
      const service = await start(scripted({}, { memoryBytes: () => 600 }), { memoryLimitBytes: 1000 });
      const first = await writeSmallShard(join(directory, "0"), 0);
      const second = await writeSmallShard(join(directory, "1"), 1);
      await service.bind(first);
      await expect(service.bind(second)).rejects.toMatchObject({ id: "out-of-memory" });
      expect((await service.caller.call(summarize, {}, target)).messages[0]?.flights).toBe(5n);
      await service.binding.unbind({ snapshot: "s1", shard: 0 }, SHORT);
      await service.bind(second);
    }));

  test("shards of another mesh are refused", () =>
    inTemporaryDirectory(async (directory) => {
      const service = await start(scripted(), { mesh: "other" });
      const shard = await writeSmallShard(directory);
      await expect(service.bind(shard)).rejects.toMatchObject({ id: "invalid-request" });
    }));
});

describe("damaged files", () => {
  const damages: readonly [string, (segment: string) => Promise<unknown>][] = [
    [
      "one flipped bit",
      async (segment) => {
        const bytes = await readFile(segment);
        const middle = bytes.length >> 1;
        bytes[middle] = (bytes[middle] as number) ^ 1;
        await writeFile(segment, bytes);
      },
    ],
    ["a truncated file", (segment) => truncate(segment, 100)],
    ["a missing file", (segment) => unlink(segment)],
    ["another file in its place", (segment) => writeFile(segment, "not parquet")],
  ];
  test.each(damages)("%s is found before anything is read, and named", (_name, damage) =>
    inTemporaryDirectory(async (directory) => {
      const service = await start(scripted());
      const shard = await writeSmallShard(directory);
      const [segment] = shard.segments;
      await damage(segment as string);
      await expect(service.bind(shard)).rejects.toMatchObject({
        id: "data-corrupt",
        message: expect.stringContaining(segment as string),
      });
      await expect(service.caller.call(summarize, {}, target)).rejects.toMatchObject({ id: "snapshot-not-bound" });
    }),
  );

  test("a manifest is taken only with the digest that was given, and only for its own shard", () =>
    inTemporaryDirectory(async (directory) => {
      const service = await start(scripted());
      const shard = await writeSmallShard(directory);
      const path = join(directory, "snapshots", "s1", "manifest.json");
      await expect(service.bind({ ...shard, manifestSha256: "00" })).rejects.toMatchObject({
        id: "data-corrupt",
        message: expect.stringContaining(path),
      });
      await expect(service.bind({ ...shard, shard: 1 })).rejects.toThrow("shard is 0, expected 1");
      await expect(service.bind({ ...shard, stateDigest: "00" })).rejects.toThrow("stateDigest is");
      await writeFile(path, "{}}");
      await expect(service.bind({ ...shard, manifestSha256: sha256Of("{}}") })).rejects.toThrow("not a shard manifest");
      await expect(service.bind({ ...shard, snapshot: "../x" })).rejects.toMatchObject({ id: "invalid-request" });
      await expect(service.bind({ ...shard, directory: "relative" })).rejects.toMatchObject({ id: "invalid-request" });
    }));
});

describe("unbind", () => {
  test("new calls are refused at once while the call under way is answered", () =>
    inTemporaryDirectory(async (directory) => {
      let finish: (flights: bigint) => void = () => {};
      let started: () => void = () => {};
      const underWay = new Promise<void>((resolve) => {
        started = resolve;
      });
      const service = await start(
        scripted({
          summarize: (request) =>
            request.origin === "slow"
              ? new Promise((resolve) => {
                  started();
                  finish = (flights) => resolve({ flights });
                })
              : {},
        }),
        { memoryLimitBytes: 1500 },
      );
      const shard = await writeSmallShard(directory);
      await service.bind(shard);
      const slow = service.caller.call(summarize, { origin: "slow" }, target);
      await underWay;
      await service.binding.unbind({ snapshot: "s1", shard: 0 }, SHORT);
      await expect(service.caller.call(summarize, {}, target)).rejects.toMatchObject({ id: "snapshot-not-bound" });
      expect((await service.binding.listBindings({}, SHORT)).bound).toEqual([]);
      // The state is still in use, so its memory still counts.
      await expect(service.bind(shard)).rejects.toMatchObject({ id: "out-of-memory" });
      finish(42n);
      expect((await slow).messages[0]?.flights).toBe(42n);
      await service.bind(shard);
    }));

  test("what is loading is given up", () =>
    inTemporaryDirectory(async (directory) => {
      let finish: () => void = () => {};
      const loading = new Promise<void>((started) => {
        start(
          scripted(
            {},
            {
              load: () =>
                new Promise((resolve) => {
                  finish = () => resolve(1);
                  started();
                }),
            },
          ),
        );
      });
      await expect.poll(() => running.length).toBe(1);
      const service = running[0] as Served;
      const bind = service.bind(await writeSmallShard(directory));
      await loading;
      await service.binding.unbind({ snapshot: "s1", shard: 0 }, SHORT);
      finish();
      await expect(bind).rejects.toMatchObject({ id: "cancelled" });
      expect((await service.binding.listBindings({}, SHORT)).bound).toEqual([]);
    }));
});

test("a new process is another instance that describes the same service with its merge options", async () => {
  const [one, other] = [await start(scripted()), await start(scripted())];
  const [first, second] = [await one.binding.describe({}, SHORT), await other.binding.describe({}, SHORT)];
  expect(first.instance).not.toBe(second.instance);
  expect(first).toMatchObject({ service: "flights.v1.DelayService", serviceVersion: VERSION, converse: true });
  const { createFileRegistry, fromBinary, getOption } = await import("@bufbuild/protobuf");
  const { FileDescriptorSetSchema } = await import("@bufbuild/protobuf/wkt");
  const { merge } = await import("../../src/wire/generated/skynetes/v1/merge_pb.ts");
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, first.descriptors));
  const mean = registry.getService("flights.v1.DelayService")?.method.summarize?.output.field.meanDelayMinutes;
  expect(mean).toBeDefined();
  expect(getOption(mean as NonNullable<typeof mean>, merge).operator).toMatchObject({
    case: "avg",
    value: { sum: "total_delay_minutes", count: "flights" },
  });
});

test("health says SERVING while something is bound", () =>
  inTemporaryDirectory(async (directory) => {
    const { service: health } = await import("grpc-health-check");
    const { Client, credentials } = await import("@grpc/grpc-js");
    const service = await start(scripted());
    const client = new Client(service.service.address, credentials.createInsecure());
    const check = (name: string) =>
      new Promise<unknown>((resolve, reject) => {
        const { path, requestSerialize, responseDeserialize } = health.Check as NonNullable<(typeof health)["Check"]>;
        client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { service: name }, (error, reply) =>
          error === null ? resolve((reply as { status: unknown }).status) : reject(error),
        );
      });
    expect(await check("flights.v1.DelayService")).toBe("NOT_SERVING");
    await service.bind(await writeSmallShard(directory));
    expect(await check("flights.v1.DelayService")).toBe("SERVING");
    expect(await check("")).toBe("SERVING");
    await service.binding.unbind({ snapshot: "s1", shard: 0 }, SHORT);
    expect(await check("flights.v1.DelayService")).toBe("NOT_SERVING");
    client.close();
  }));

test("reflection lists the service and finds its file", async () => {
  const { Client, credentials, loadPackageDefinition } = await import("@grpc/grpc-js");
  const { loadSync } = await import("@grpc/proto-loader");
  const proto = join(
    import.meta.dirname,
    "../../node_modules/@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto",
  );
  const grpc = loadPackageDefinition(loadSync(proto)).grpc as never as {
    reflection: { v1: { ServerReflection: typeof Client } };
  };
  const service = await start(scripted());
  const client = new grpc.reflection.v1.ServerReflection(service.service.address, credentials.createInsecure());
  const stream = (
    client as never as { ServerReflectionInfo(): import("@grpc/grpc-js").ClientDuplexStream<unknown, never> }
  ).ServerReflectionInfo();
  stream.write({ listServices: "" });
  const [listed] = (await once(stream, "data")) as [{ listServicesResponse: { service: { name: string }[] } }];
  expect(listed.listServicesResponse.service.map(({ name }) => name).sort()).toEqual([
    "flights.v1.DelayService",
    "skynetes.v1.BindingService",
  ]);
  stream.write({ fileContainingSymbol: "flights.v1.DelayService" });
  const [file] = (await once(stream, "data")) as [{ fileDescriptorResponse: { fileDescriptorProto: Buffer[] } }];
  expect(file.fileDescriptorResponse.fileDescriptorProto.length).toBeGreaterThan(1);
  stream.end();
  client.close();
});
