/**
 * A real Apache Kafka broker of one node in KRaft mode, with a directory and ports of its own.
 *
 *   plain   PLAINTEXT
 *   tls     SSL, a certificate for `localhost` made when the broker is
 *   sasl    SASL_SSL with the same certificate: SCRAM-SHA-512, SCRAM-SHA-256 and PLAIN, user `skynetes`
 *
 * A broker that does not start fails whoever asked for it, with what it said.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrokerCertificate, makeBrokerCertificate } from "./broker-certificate.ts";
import { kafkaClassPath } from "./kafka-libraries.ts";

export const BROKER_USER = "skynetes";
export const BROKER_PASSWORD = "correct-horse";

const START_WITHIN_MS = 120_000;
const STOP_WITHIN_MS = 30_000;
/** What Kafka prints when all listeners are open. */
const STARTED = "Kafka Server started";

interface Ports {
  readonly plain: number;
  readonly tls: number;
  readonly sasl: number;
  readonly controller: number;
}

export interface BrokerOptions {
  /** Lines of `server.properties` beside those that every broker here has. */
  readonly properties?: readonly string[];
}

export class KafkaBroker {
  readonly directory: string;
  readonly certificate: BrokerCertificate;
  readonly #ports: Ports;
  readonly #classPath: string;
  #child: ChildProcess | undefined;
  #output = "";

  private constructor(directory: string, ports: Ports, certificate: BrokerCertificate, classPath: string) {
    this.directory = directory;
    this.certificate = certificate;
    this.#ports = ports;
    this.#classPath = classPath;
  }

  /** Makes a broker and starts it. */
  static async start(options: BrokerOptions = {}): Promise<KafkaBroker> {
    const classPath = kafkaClassPath();
    const directory = mkdtempSync(join(tmpdir(), "skynetes-kafka-"));
    const [plain, tls, sasl, controller] = (await freePorts(4)) as [number, number, number, number];
    const ports = { plain, tls, sasl, controller };
    const broker = new KafkaBroker(directory, ports, makeBrokerCertificate(directory), classPath);
    try {
      broker.#format(options);
      await broker.restart();
      return broker;
    } catch (error) {
      await broker.close();
      throw error;
    }
  }

  /** host:port of the listener without encryption. */
  get plain(): string {
    return `127.0.0.1:${this.#ports.plain}`;
  }

  get tls(): string {
    return `localhost:${this.#ports.tls}`;
  }

  get sasl(): string {
    return `localhost:${this.#ports.sasl}`;
  }

  get pid(): number {
    return this.#child?.pid as number;
  }

  /** Starts it again with the data and the ports that it had. */
  async restart(): Promise<void> {
    const properties = join(this.directory, "server.properties");
    const heap = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC"];
    const logs = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=info", "-Dorg.slf4j.simpleLogger.logFile=System.out"];
    this.#output = "";
    const child = spawn("java", [...heap, ...logs, "-cp", this.#classPath, "kafka.Kafka", properties], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    const started = new Promise<void>((done, failed) => {
      const late = setTimeout(() => failed(this.#failure(`did not start in ${START_WITHIN_MS} ms`)), START_WITHIN_MS);
      const keep = (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-100_000);
        if (!this.#output.includes(STARTED)) return;
        clearTimeout(late);
        done();
      };
      child.stdout.on("data", keep);
      child.stderr.on("data", keep);
      child.once("error", failed);
      child.once("exit", (code, signal) => {
        clearTimeout(late);
        failed(this.#failure(`ended with ${code ?? signal}`));
      });
    });
    await started;
  }

  /** Ends it in order, keeping its data. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    const late = setTimeout(() => child.kill("SIGKILL"), STOP_WITHIN_MS);
    await ended;
    clearTimeout(late);
  }

  /** Ends it and removes what it had. */
  async close(): Promise<void> {
    await this.stop("SIGKILL");
    rmSync(this.directory, { recursive: true, force: true });
  }

  #format({ properties = [] }: BrokerOptions): void {
    mkdirSync(join(this.directory, "data"));
    const file = join(this.directory, "server.properties");
    writeFileSync(file, [...serverProperties(this.directory, this.#ports, this.certificate), ...properties].join("\n"));
    const cluster = randomBytes(16).toString("base64url");
    const users = ["SCRAM-SHA-256", "SCRAM-SHA-512"].flatMap((mechanism) => [
      "--add-scram",
      `${mechanism}=[name=${BROKER_USER},password=${BROKER_PASSWORD}]`,
    ]);
    execFileSync(
      "java",
      ["-Xmx128m", "-cp", this.#classPath, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", file, ...users],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
  }

  #failure(what: string): Error {
    return new Error(`the Kafka broker ${what}:\n${this.#output.slice(-4_000)}`);
  }
}

function serverProperties(directory: string, ports: Ports, certificate: BrokerCertificate): readonly string[] {
  const listeners = `PLAINTEXT://127.0.0.1:${ports.plain},SSL://localhost:${ports.tls},SASL_SSL://localhost:${ports.sasl}`;
  const plainUsers = `username="${BROKER_USER}" password="${BROKER_PASSWORD}" user_${BROKER_USER}="${BROKER_PASSWORD}"`;
  const scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
  return [
    "process.roles=broker,controller",
    "node.id=1",
    `controller.quorum.voters=1@127.0.0.1:${ports.controller}`,
    `listeners=${listeners},CONTROLLER://127.0.0.1:${ports.controller}`,
    `advertised.listeners=${listeners}`,
    "controller.listener.names=CONTROLLER",
    "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name=PLAINTEXT",
    `log.dirs=${join(directory, "data")}`,
    `ssl.keystore.location=${certificate.keyStore}`,
    `ssl.keystore.password=${certificate.password}`,
    `ssl.key.password=${certificate.password}`,
    "ssl.keystore.type=PKCS12",
    "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
    `listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required ${plainUsers};`,
    `listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=${scram}`,
    `listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=${scram}`,
    "auto.create.topics.enable=false",
    // Timestamps far in the future are part of what every log must give back.
    `log.message.timestamp.after.max.ms=${2n ** 63n - 1n}`,
    "offsets.topic.replication.factor=1",
    "offsets.topic.num.partitions=1",
    "transaction.state.log.replication.factor=1",
    "transaction.state.log.min.isr=1",
    "transaction.state.log.num.partitions=1",
    "share.coordinator.state.topic.replication.factor=1",
    "share.coordinator.state.topic.min.isr=1",
    "share.coordinator.state.topic.num.partitions=1",
    "group.initial.rebalance.delay.ms=0",
    "num.network.threads=2",
    "num.io.threads=2",
    "log.cleaner.dedupe.buffer.size=2097152",
    "log.cleaner.backoff.ms=100",
  ];
}

/** Ports that are free now, all different. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    ports.push((server.address() as { port: number }).port);
  }
  for (const server of servers) {
    server.close();
    await once(server, "close");
  }
  return ports;
}
