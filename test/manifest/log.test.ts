import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseManifest } from "../../src/manifest/parse-manifest.ts";

const text = readFileSync(join(import.meta.dirname, "../../examples/flights/mesh-kafka.yaml"), "utf8");
const FROM = "      brokersFrom: { environment: SKYNETES_KAFKA_BROKERS }\n";
const withKafka = (...lines: string[]) => text.replace(FROM, lines.map((line) => `      ${line}\n`).join(""));
const parse = (manifest: string) => parseManifest(manifest, { file: "mesh.yaml" });
const BROKERS = "brokers: [a.example:9092, '[::1]:9093']";

describe("the log of a mesh", () => {
  test("is a Kafka cluster with its secrets named, not written", () => {
    expect(parse(text).mesh.log).toEqual({ brokers: { environment: "SKYNETES_KAFKA_BROKERS" } });
    const sasl = "sasl: { mechanism: PLAIN, usernameFrom: { environment: U }, passwordFrom: { file: ./p } }";
    expect(parse(withKafka(BROKERS, "tls: { caFile: ./ca.pem, serverName: kafka }", sasl)).mesh.log).toEqual({
      brokers: ["a.example:9092", "[::1]:9093"],
      tls: { caFile: "./ca.pem", serverName: "kafka" },
      sasl: { mechanism: "PLAIN", username: { environment: "U" }, password: { file: "./p" } },
    });
  });

  test.each([
    ["no brokers", withKafka("tls: {}"), "either brokers or brokersFrom"],
    ["both", withKafka(BROKERS, "brokersFrom: { file: x }"), "either brokers or brokersFrom"],
    ["a broker without port", withKafka("brokers: [kafka]"), "allowed: host:port"],
    ["a source of nothing", withKafka("brokersFrom: {}"), "either environment or file"],
    ["half a certificate", withKafka(BROKERS, "tls: { certFile: x }"), "certFile and keyFile"],
    [
      "a password in the clear",
      withKafka(
        BROKERS,
        "sasl: { mechanism: PLAIN, usernameFrom: { environment: U }, passwordFrom: { environment: P } }",
      ),
      "needs tls",
    ],
    ["a written password", withKafka(BROKERS, "sasl: { mechanism: PLAIN, username: u, password: p }"), "sasl.password"],
    [
      "an order of times that Kafka does not promise",
      text.replace("timestamps: Unordered", "timestamps: NonDecreasing"),
      "allowed: Unordered",
    ],
    ["a cut over transactions", text.replace("  shards: 4\n", "  shards: 4\n  cut: Transactional\n"), "no list of"],
  ])("with %s is refused", (_what, manifest, message) => {
    expect(() => parse(manifest)).toThrow(message);
  });
});
