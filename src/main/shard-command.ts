import { toJson } from "@bufbuild/protobuf";
import { type Command, InvalidArgumentError } from "commander";
import { Fault } from "../fault/fault.ts";
import { sleep, systemClock } from "../process/clock.ts";
import { PlacementPhase, type ShardPlacement, ShardPlacementSchema } from "../wire/generated/skynetes/v1/control_pb.ts";
import type { ControlAddress, ControlClient } from "./control-client.ts";
import { dataDirOption, outputOption, parseDuration } from "./options.ts";
import { tableText } from "./print-table.ts";

interface ShardOptions extends ControlAddress {
  readonly output: "table" | "json";
}

interface MoveOptions extends ShardOptions {
  readonly shard: number;
  readonly from: string;
  readonly to: string;
  readonly wait?: number | true;
}

const WAIT_MS = 600_000;
const WAIT_POLL_MS = 200;
const FIND_MESH =
  "\nThe mesh is found through the data directory (--data-dir) or by its control address (--control host:port).";

export function addShardCommands(program: Command): void {
  const shard = program
    .command("shard")
    .summary("see and change which nodes hold the shards")
    .description("Where the shards of a running mesh are. A wish is durable when the command returns.");

  sub(shard, "list", "all placements, with moves under way and what is quarantined")
    .addHelpText("after", `\nExample:\n  $ skynetes shard list --output json\n${FIND_MESH}`)
    .action(list);

  sub(shard, "move", "move a shard to another node while queries go on")
    .requiredOption("--shard <number>", "which shard", parseShard)
    .requiredOption("--from <node>", "the node that it leaves")
    .requiredOption("--to <node>", "the node that takes its place; of the mesh's manifest")
    .option("--wait [timeout]", `wait until it is over, at most so long (default ${WAIT_MS / 1000}s)`, parseDuration)
    .addHelpText(
      "after",
      `\nExample:\n  $ skynetes shard move --shard 1 --from node-a --to node-b --wait\n${FIND_MESH}`,
    )
    .action(move);

  sub(shard, "cancel", "take back a move that is not over")
    .requiredOption("--shard <number>", "which shard", parseShard)
    .addHelpText("after", `\nExample:\n  $ skynetes shard cancel --shard 1\n${FIND_MESH}`)
    .action(cancel);
}

function sub(parent: Command, name: string, what: string): Command {
  return parent
    .command(name)
    .description(what)
    .addOption(dataDirOption())
    .option("--control <host:port>", "control address of the mesh")
    .addOption(outputOption("table"));
}

async function list(options: ShardOptions): Promise<void> {
  const { withControl, CONTROL_TIMEOUT_MS } = await import("./control-client.ts");
  const { placements } = await withControl(options, (client) =>
    client.listPlacements({}, { timeoutMs: CONTROL_TIMEOUT_MS }),
  );
  print(placements, options);
}

async function move(options: MoveOptions): Promise<void> {
  const { withControl, CONTROL_TIMEOUT_MS } = await import("./control-client.ts");
  const { shard, from, to, wait } = options;
  await withControl(options, async (client) => {
    let { placements } = await client.moveShard({ shard, from, to }, { timeoutMs: CONTROL_TIMEOUT_MS });
    if (wait !== undefined) placements = await untilSettled(client, shard, wait === true ? WAIT_MS : wait);
    print(placements, options);
  });
}

async function cancel(options: ShardOptions & { readonly shard: number }): Promise<void> {
  const { withControl, CONTROL_TIMEOUT_MS } = await import("./control-client.ts");
  const { placements } = await withControl(options, (client) =>
    client.cancelMove({ shard: options.shard }, { timeoutMs: CONTROL_TIMEOUT_MS }),
  );
  print(placements, options);
}

/** Fault `deadline-exceeded` when the move is not over in time; the wish stays. */
async function untilSettled(client: ControlClient, shard: number, timeoutMs: number): Promise<ShardPlacement[]> {
  const { CONTROL_TIMEOUT_MS } = await import("./control-client.ts");
  const until = systemClock.monotonic() + timeoutMs;
  for (;;) {
    const { placements } = await client.listPlacements({}, { timeoutMs: CONTROL_TIMEOUT_MS });
    if (placements.every((p) => p.shard !== shard || p.phase === PlacementPhase.PLACED)) return placements;
    if (systemClock.monotonic() > until) {
      throw new Fault(
        "deadline-exceeded",
        `wait for the move of shard ${shard}: it is not over after ${timeoutMs / 1000} s; the wish stays`,
      );
    }
    await sleep(systemClock, WAIT_POLL_MS);
  }
}

function print(placements: readonly ShardPlacement[], { output }: ShardOptions): void {
  if (output === "json") {
    const all = placements.map((placement) => toJson(ShardPlacementSchema, placement, { alwaysEmitImplicit: true }));
    process.stdout.write(`${JSON.stringify({ placements: all }, null, 2)}\n`);
    return;
  }
  const rows = placements.map((p) => [String(p.shard), p.node, phaseName(p.phase), p.quarantine]);
  process.stdout.write(tableText(["SHARD", "NODE", "PHASE", "NOTES"], rows));
}

function phaseName(phase: PlacementPhase): string {
  return (
    Object.entries(PlacementPhase)
      .find(([, number]) => number === phase)?.[0]
      .toLowerCase() ?? "unknown"
  );
}

function parseShard(text: string): number {
  if (!/^[0-9]{1,6}$/.test(text)) throw new InvalidArgumentError("It is the number of a shard, from 0.");
  return Number(text);
}
