import { type ChildProcess, spawn } from "node:child_process";
import { dirname, resolve } from "node:path";
import type { GatewayConfig } from "../../../src/gateway/gateway-config.ts";
import { parseReady, type ReadyAddresses } from "../../../src/process/ready-line.ts";
import { childrenOf } from "../../flights/mesh-process.ts";
import type { MeshGateway } from "../scripted-mesh.ts";

const SCRIPT = resolve(import.meta.dirname, "../../../src/main/skynetes.ts");

/** `skynetes gateway --workers N`, as it is run. */
export class GatewayProcess {
  /** What it has written on stderr. */
  said = "";
  #child: ChildProcess | undefined;

  start(workers: number, more: readonly string[] = []) {
    return async (config: GatewayConfig): Promise<MeshGateway> => {
      const dataDir = dirname(config.archiveDirectory);
      const ports = ["--http-port", "0", "--grpc-port", "0", "--admin-port", "0"];
      // The tests count which worker asks which shard.
      const alone = ["--cache-bytes", "0", "--no-join"];
      const flags = ["--data-dir", dataDir, ...ports, "--workers", String(workers), ...alone, ...more];
      const args = [SCRIPT, "gateway", ...flags];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
      this.#child = child;
      child.stderr.on("data", (bytes) => {
        this.said += bytes;
      });
      const ready = await new Promise<ReadyAddresses>((done, fail) => {
        let text = "";
        child.stdout.on("data", (bytes) => {
          text += bytes;
          const addresses = text
            .split("\n")
            .map(parseReady)
            .find((line) => line !== undefined);
          if (addresses !== undefined) done(addresses);
        });
        child.once("exit", (code) => fail(new Error(`ended with ${code} before it was ready: ${this.said}`)));
      });
      const { http = "", grpc = "", admin = "" } = ready;
      return { httpAddress: http, grpcAddress: grpc, adminAddress: admin, close: async () => void (await this.stop()) };
    };
  }

  get workers(): number[] {
    return childrenOf(this.#child?.pid ?? -1).map(({ pid }) => pid);
  }

  /** Resolves with its exit code. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    child.kill(signal);
    return new Promise((done) => child.once("exit", (code) => done(code)));
  }
}
