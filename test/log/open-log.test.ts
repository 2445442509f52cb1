import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { kafkaConfigOf } from "../../src/log/open-log.ts";
import { systemClock } from "../../src/process/clock.ts";

const directory = mkdtempSync(join(tmpdir(), "skynetes-open-log-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const place = (environment: Record<string, string>) => ({
  embeddedDirectory: directory,
  manifestDirectory: directory,
  environment,
  clock: systemClock,
});

test("what a manifest only names is looked up in the environment and beside the manifest", async () => {
  writeFileSync(join(directory, "ca.pem"), "the authority");
  writeFileSync(join(directory, "password"), "secret\n");
  const spec = {
    brokers: { environment: "BROKERS" },
    tls: { caFile: "ca.pem", serverName: "kafka" },
    sasl: { mechanism: "PLAIN", username: { environment: "USER" }, password: { file: "password" } },
  } as const;
  expect(await kafkaConfigOf(spec, place({ BROKERS: "a:1, b:2", USER: "me" }))).toEqual({
    brokers: ["a:1", "b:2"],
    tls: { ca: "the authority", servername: "kafka" },
    sasl: { mechanism: "PLAIN", username: "me", password: "secret" },
  });
  await expect(kafkaConfigOf(spec, place({ USER: "me" }))).rejects.toMatchObject({
    id: "invalid-manifest",
    message: "open the log: brokers: the environment has no BROKERS",
  });
  await expect(kafkaConfigOf({ brokers: ["a:1"], tls: { caFile: "gone.pem" } }, place({}))).rejects.toMatchObject({
    id: "invalid-manifest",
    message: expect.stringContaining("tls.caFile"),
  });
});
