import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { create, createFileRegistry, fromBinary, getOption, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { loadSync, type ServiceDefinition } from "@grpc/proto-loader";
import { service as healthService } from "grpc-health-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { faultFromStatus } from "../../src/wire/fault-status.ts";
import { GatewayService } from "../../src/wire/generated/skynetes/v1/gateway_pb.ts";
import { merge } from "../../src/wire/generated/skynetes/v1/merge_pb.ts";
import { CompletenessSchema } from "../../src/wire/generated/skynetes/v1/stamp_pb.ts";
import { unaryClient } from "../../src/wire/grpc-service.ts";
import { probeMessage } from "./probe-service.ts";
import { type ScriptedMesh, SERVICE, scriptedMesh, V1, V2 } from "./scripted-mesh.ts";

let mesh: ScriptedMesh;
let client: Client;
beforeEach(async () => {
  mesh = await scriptedMesh();
  client = new Client(mesh.gateway.grpcAddress, credentials.createInsecure());
});
afterEach(async () => {
  client.close();
  await mesh.close();
});

const metadataOf = (entries: Record<string, string> | Metadata) => {
  if (entries instanceof Metadata) return entries;
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(entries)) metadata.add(name, value);
  return metadata;
};

interface Reply {
  // biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of it
  readonly message: any;
  readonly error: ServiceError | null;
  readonly initial: Metadata | undefined;
  readonly trailing: Metadata;
}

const asIs = (bytes: Buffer) => bytes;

function call(
  method: string,
  bytes: Uint8Array,
  headers: Record<string, string> | Metadata = {},
  timeoutMs = 5_000,
): Promise<Reply> {
  return new Promise((resolve) => {
    let initial: Metadata | undefined;
    let result: Pick<Reply, "message" | "error">;
    const under = client.makeUnaryRequest(
      `/${SERVICE}/${method}`,
      asIs,
      asIs,
      Buffer.from(bytes),
      metadataOf(headers),
      { deadline: Date.now() + timeoutMs },
      (error, reply) => {
        const output = mesh.desc.methods.find((m) => m.name === method)?.output;
        const message = reply === undefined || output === undefined ? undefined : fromBinary(output, reply);
        result = { message, error };
      },
    );
    under.on("metadata", (metadata) => {
      initial = metadata;
    });
    under.on("status", (end) => resolve({ ...result, initial, trailing: end.metadata }));
  });
}

function echo(
  fields: Record<string, unknown> = {},
  headers: Record<string, string> = {},
  timeoutMs?: number,
): Promise<Reply> {
  const method = mesh.desc.methods.find((m) => m.name === "Echo")!;
  return call("Echo", toBinary(method.input, probeMessage(mesh.desc, "EchoRequest", fields)), headers, timeoutMs);
}

const completenessOf = (reply: { trailing: Metadata }) =>
  fromBinary(CompletenessSchema, reply.trailing.get("x-skynetes-completeness-bin")[0] as Buffer);
const faultOf = (reply: Reply) => faultFromStatus(reply.error as ServiceError, "call");

describe("the services under their own names", () => {
  test("a stub's call gets the global answer at latest, and metadata says what answered", async () => {
    const reply = await echo();
    expect(reply.message.rows).toBe(4n);
    const header = (name: string) => reply.initial?.get(name)[0];
    expect([header("x-skynetes-snapshot"), header("x-skynetes-version"), header("x-skynetes-epoch")]).toEqual([
      "s2",
      V2,
      "1",
    ]);
    expect(header("x-skynetes-snapshot-age")).toMatch(/^\d+\.\d{3}$/);
    expect(completenessOf(reply)).toMatchObject({
      complete: true,
      shards: { expected: 4, answered: 4 },
      rows: { expected: 1000n },
    });
  });

  test("a snapshot is chosen by metadata, and its version answers", async () => {
    const reply = await echo({}, { "x-skynetes-snapshot": "s1" });
    expect(reply.initial?.get("x-skynetes-version")).toEqual([V1]);
    expect(mesh.shard(0).calls[0]?.metadata.get("x-skynetes-snapshot")).toEqual(["s1"]);
  });

  test("64-bit integers are exact both ways", async () => {
    for (const shard of mesh.allShards)
      shard.script.echo = (request) => ({ greatest: request.number, big: request.big });
    const reply = await echo({ number: -(2n ** 53n) - 1n, big: 2n ** 64n - 1n });
    expect(reply.message).toMatchObject({ greatest: -(2n ** 53n) - 1n, big: 2n ** 64n - 1n });
  });

  test("partial answers say so in the trailers, with the shards as ranges", async () => {
    for (const shard of [1, 2]) mesh.shard(shard).stop();
    const strict = await echo();
    expect([strict.error?.code, faultOf(strict).id]).toEqual([status.UNAVAILABLE, "shard-unavailable"]);
    const reply = await echo({}, { "x-skynetes-completeness": "partial;min=0.5" });
    expect(reply.message.rows).toBe(2n);
    expect(completenessOf(reply)).toMatchObject({
      complete: false,
      rows: { expected: 1000n, answered: 500n },
      missing: [{ shards: "1-2", reason: "UNAVAILABLE" }],
    });
    const tooLittle = await echo({}, { "x-skynetes-completeness": "partial;min=0.51" });
    expect(faultOf(tooLittle).id).toBe("incomplete-answer");
  });

  test("faults keep their id and code", async () => {
    const cases: [Promise<Reply>, number, string][] = [
      [echo({}, { "x-skynetes-snapshot": "nope" }), status.NOT_FOUND, "unknown-snapshot"],
      [echo({}, { "x-skynetes-completeness": "most" }), status.INVALID_ARGUMENT, "invalid-request"],
      [echo({}, { "x-skynetes-at-least": "9" }), status.UNAVAILABLE, "table-behind"],
      [call("Echo", new Uint8Array([0xff, 0xff])), status.INVALID_ARGUMENT, "malformed-request"],
    ];
    for (const [work, code, id] of cases) {
      const reply = await work;
      expect([reply.error?.code, faultOf(reply).id]).toEqual([code, id]);
    }
    expect((await call("Nothing", new Uint8Array())).error?.code).toBe(status.UNIMPLEMENTED);
    const many = await echo({ text: "x".repeat(2 << 20) });
    expect(many.error?.code).toBe(status.RESOURCE_EXHAUSTED);
    expect((await echo()).message.rows).toBe(4n);
  });

  test.each([
    ["x-skynetes-snapshot", "s1", "s2"],
    ["x-skynetes-completeness", "strict", "partial"],
    ["x-skynetes-query-id", "a", "b"],
    ["x-skynetes-at-least", "1", "2"],
  ])("%s twice is two wishes, and neither is chosen", async (name, one, other) => {
    const twice = new Metadata();
    twice.add(name, one);
    twice.add(name, other);
    const fault = faultOf(await call("Echo", new Uint8Array(), twice));
    expect([fault.id, fault.message]).toEqual(["invalid-request", `read metadata: ${name} is there more than once`]);
    expect(mesh.shard(0).calls.length).toBe(0);
  });

  test("a traceparent that cannot be read is dropped, also when there are two", async () => {
    const twice = new Metadata();
    for (const id of ["1", "2"]) twice.add("traceparent", `00-${id.repeat(32)}-${id.repeat(16)}-01`);
    expect((await call("Echo", new Uint8Array(), twice)).message.rows).toBe(4n);
    expect(mesh.shard(0).calls[0]?.metadata.get("traceparent")).toEqual([]);
  });

  test("the client's deadline is the query's, and a client that cancels stops the shards", async () => {
    for (const shard of mesh.allShards) shard.script = { delay: () => new Promise(() => undefined) };
    const late = await echo({}, {}, 1_000);
    expect(late.error?.code).toBe(status.DEADLINE_EXCEEDED);
    await mesh.until(() => mesh.allShards.every((s) => s.calls[0]!.cancelled), "cancelled at the deadline");
    const under = client.makeUnaryRequest(`/${SERVICE}/Echo`, asIs, asIs, Buffer.alloc(0), () => undefined);
    await mesh.until(() => mesh.allShards.every((s) => s.calls.length === 2), "asked again");
    under.cancel();
    await mesh.until(() => mesh.allShards.every((s) => s.calls[1]!.cancelled), "cancelled with the client");
  });

  const stream = (headers: Record<string, string> = {}) => {
    const output = mesh.desc.methods.find((m) => m.name === "Rows")!.output;
    return client.makeServerStreamRequest(
      `/${SERVICE}/Rows`,
      asIs,
      (bytes: Buffer) => (fromBinary(output, bytes) as unknown as { value: bigint }).value,
      Buffer.alloc(0),
      metadataOf(headers),
    );
  };

  test("streams come in global order with the completeness at their end", async () => {
    for (const shard of mesh.allShards)
      shard.script.rows = Array.from({ length: 30 }, (_, i) => BigInt(4 * i + shard.shard));
    const under = stream();
    const ended = new Promise<Metadata>((resolve) => under.on("status", (end) => resolve(end.metadata)));
    const values: bigint[] = [];
    for await (const value of under) values.push(value as bigint);
    expect(values).toEqual(Array.from({ length: 120 }, (_, i) => BigInt(i)));
    expect(completenessOf({ trailing: await ended })).toMatchObject({ complete: true });
  });

  test("a stream that breaks ends with its fault; one that is cancelled stops the shards", async () => {
    for (const shard of mesh.allShards)
      shard.script.rows = Array.from({ length: 100_000 }, (_, i) => BigInt(4 * i + shard.shard));
    mesh.shard(1).script.breakAfter = 10;
    const broken = stream();
    const error = await new Promise<ServiceError>((resolve) => {
      broken.on("data", () => undefined);
      broken.on("error", (e) => resolve(e as ServiceError));
    });
    expect(faultFromStatus(error, "call")).toMatchObject({ id: "shard-unavailable", detail: { shard: 1 } });
    mesh.shard(1).script.breakAfter = -1;
    const left = stream();
    left.on("error", () => undefined);
    await new Promise((resolve) => left.once("data", resolve));
    left.cancel();
    await mesh.until(() => mesh.allShards.every((s) => s.calls.at(-1)!.cancelled), "cancelled with the client");
  });

  test("services come and go with the table", async () => {
    const table = { ...mesh.table, epoch: 2n, snapshots: [], latest: [] };
    await mesh.apply(table);
    expect((await echo()).error?.code).toBe(status.UNIMPLEMENTED);
    expect(await health(SERVICE)).toBe("NOT_SERVING");
  });
});

function health(service: string): Promise<string> {
  const check = healthService.Check as never as { path: string; requestSerialize: never; responseDeserialize: never };
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      check.path,
      check.requestSerialize,
      check.responseDeserialize,
      { service } as never,
      (error, reply) => (error === null ? resolve((reply as unknown as { status: string }).status) : reject(error)),
    );
  });
}

describe("what a client with nothing but the address finds", () => {
  test("health by service", async () => {
    expect(await health("")).toBe("SERVING");
    expect(await health(SERVICE)).toBe("SERVING");
    await expect(health("no.Such")).rejects.toMatchObject({ code: status.NOT_FOUND });
  });

  test.each(["v1", "v1alpha"])(
    "reflection %s lists the services and gives files that build, merge options included",
    async (version) => {
      const home = dirname(createRequire(import.meta.url).resolve("@grpc/reflection/package.json"));
      const loaded = loadSync(join(home, "build/proto/grpc/reflection", version, "reflection.proto"), {
        bytes: Buffer,
      });
      const service = loaded[`grpc.reflection.${version}.ServerReflection`] as ServiceDefinition;
      const info = service.ServerReflectionInfo!;
      const under = client.makeBidiStreamRequest(info.path, info.requestSerialize, info.responseDeserialize);
      under.on("error", () => undefined);
      const ask = async (request: object) => {
        // biome-ignore lint/suspicious/noExplicitAny: proto-loader's plain objects
        const answered = new Promise<any>((resolve) => under.once("data", resolve));
        under.write(request);
        return answered;
      };
      const listed = await ask({ listServices: "*" });
      expect(listed.listServicesResponse.service.map((s: { name: string }) => s.name)).toEqual([
        "grpc.health.v1.Health",
        SERVICE,
        GatewayService.typeName,
      ]);
      const { fileDescriptorResponse } = await ask({ fileContainingSymbol: SERVICE });
      expect(fromBinary(FileDescriptorProtoSchema, fileDescriptorResponse.fileDescriptorProto[0]).name).toBe(
        "probe/v1/probe.proto",
      );
      const file = fileDescriptorResponse.fileDescriptorProto
        .toReversed()
        .map((bytes: Buffer) => fromBinary(FileDescriptorProtoSchema, bytes));
      const desc = createFileRegistry(create(FileDescriptorSetSchema, { file })).getService(SERVICE);
      const rows = desc?.method.echo?.output.field.rows;
      expect(getOption(rows!, merge).operator.case).toBe("sum");
      expect((await ask({ fileContainingSymbol: `${SERVICE}.Echo` })).fileDescriptorResponse).toBeTruthy();
      expect((await ask({ fileByFilename: "skynetes/v1/merge.proto" })).fileDescriptorResponse).toBeTruthy();
      const extension = { containingType: "google.protobuf.FieldOptions", extensionNumber: 50501 };
      expect((await ask({ fileContainingExtension: extension })).fileDescriptorResponse).toBeTruthy();
      const numbers = await ask({ allExtensionNumbersOfType: "google.protobuf.FieldOptions" });
      expect(numbers.allExtensionNumbersResponse.extensionNumber).toEqual([50501, 50502]);
      expect((await ask({ fileContainingSymbol: "no.Such" })).errorResponse.errorCode).toBe(status.NOT_FOUND);
      under.end();
    },
  );
});

describe("GatewayService", () => {
  test("lists, describes, explains and cancels as HTTP does", async () => {
    const gateway = unaryClient(GatewayService, mesh.gateway.grpcAddress);
    const options = { timeoutMs: 5_000 };
    try {
      const described = await gateway.describeMesh({}, options);
      expect(described).toMatchObject({
        mesh: "probe",
        epoch: 1n,
        services: [{ service: SERVICE, latest: "s2", versions: [V1, V2] }],
      });
      expect(described.services[0]?.methods.map((m) => [m.name, m.serverStreaming, m.getAllowed])).toEqual([
        ["Echo", false, true],
        ["Write", false, false],
        ["Rows", true, false],
      ]);
      const { snapshots } = await gateway.listSnapshots({}, options);
      expect(snapshots.map((s) => [s.id, s.rows, s.latestOf])).toEqual([
        ["s1", 1000n, []],
        ["s2", 1000n, [SERVICE]],
      ]);
      expect((await gateway.describeSnapshot({ snapshot: "s1" }, options)).seal?.shardSeals.length).toBe(4);
      await expect(gateway.describeSnapshot({ snapshot: "latest" }, options)).rejects.toMatchObject({
        id: "unknown-snapshot",
      });
      const explained = await gateway.explain({ snapshot: "latest", service: SERVICE, method: "Echo" }, options);
      expect(explained.text).toContain("shards asked: 0, 1, 2, 3");
      const later = { ...options, metadata: metadataOf({ "x-skynetes-at-least": "99" }) };
      const behind = gateway.explain({ snapshot: "latest", service: SERVICE, method: "Echo" }, later);
      await expect(behind).rejects.toMatchObject({ id: "table-behind" });
      expect(mesh.shard(0).calls.length).toBe(0);
      for (const shard of mesh.allShards) shard.script = { delay: () => new Promise(() => undefined) };
      const under = echo({}, { "x-skynetes-query-id": "q7" });
      await mesh.until(() => mesh.shard(0).calls.length === 1, "under way");
      expect((await gateway.listQueries({}, options)).queries).toMatchObject([{ id: "q7", serviceVersion: V2 }]);
      await gateway.cancelQuery({ id: "q7" }, options);
      expect((await under).error?.code).toBe(status.CANCELLED);
    } finally {
      gateway.close();
    }
  });
});
