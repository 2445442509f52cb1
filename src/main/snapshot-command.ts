import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Command, InvalidArgumentError, Option } from "commander";
import { Fault } from "../fault/fault.ts";
import type { ControlledSnapshot } from "../wire/generated/skynetes/v1/control_pb.ts";
import type { ControlAddress, ControlClient } from "./control-client.ts";
import { dataDirOption, outputOption, parseDuration, parseInstant } from "./options.ts";

interface SnapshotOptions extends ControlAddress {
  readonly output: "table" | "json";
}

interface WaitOptions extends SnapshotOptions {
  readonly wait?: number | true;
}

interface CreateOptions extends WaitOptions {
  readonly asOf?: number;
  readonly bind?: readonly BindingText[];
  readonly pinned?: true;
}

interface BindingText {
  readonly service: string;
  readonly version: string;
}

const WAIT_MS = 120_000;
const FIND_MESH =
  "\nThe mesh is found through the data directory (--data-dir) or by its control address (--control host:port).";

export function addSnapshotCommands(program: Command): void {
  const snapshot = program
    .command("snapshot")
    .summary("create, look at, bind, pin and retire snapshots")
    .description("Wishes for snapshots of a running mesh. A wish is durable when the command returns.");

  sub(snapshot, "create", "freeze the mesh now, or as of a time, under a name")
    .argument("[id]", "its name; absent: one is made from the time")
    .option("--as-of <time>", "every record before this time, and none after", parseInstant)
    .option("--bind <service=version...>", "who answers; absent: as for scheduled snapshots", collectBindings)
    .option("--pinned", "never retired by the schedule")
    .addOption(waitOption())
    .addHelpText(
      "after",
      "\nExamples:\n  $ skynetes snapshot create may --as-of 2001-05-01T00:00Z --bind flights.v1.DelayService=delay-v1-0a1b2c3d\n" +
        `  $ skynetes snapshot create --pinned --wait\n${FIND_MESH}`,
    )
    .action(create);

  sub(snapshot, "list", "all snapshots and how far they are")
    .option("--all", "also the newest that are gone: when and why")
    .addHelpText("after", `\nExample:\n  $ skynetes snapshot list --output json\n${FIND_MESH}`)
    .action(list);

  sub(snapshot, "show", "one snapshot: its cut, who answers, what it waits for")
    .argument("<id>")
    .addHelpText("after", `\nExample:\n  $ skynetes snapshot show h1-2001\n${FIND_MESH}`)
    .action(show);

  sub(snapshot, "bind", "move a service at a snapshot to another version")
    .argument("<id>")
    .argument("<service=version>", "the version must be in the manifest", parseBinding)
    .addOption(waitOption())
    .addHelpText(
      "after",
      `\nExample:\n  $ skynetes snapshot bind h1-2001 flights.v1.DelayService=delay-v1-0a1b2c3d --wait\n${FIND_MESH}`,
    )
    .action(bind);

  sub(snapshot, "pin", "keep a snapshot from being retired by the schedule")
    .argument("<id>")
    .option("--off", "let the schedule retire it again")
    .addHelpText("after", `\nExample:\n  $ skynetes snapshot pin h1-2001\n${FIND_MESH}`)
    .action(pin);

  sub(snapshot, "retire", "take a snapshot out and delete it everywhere; its id is never used again")
    .argument("<id>")
    .option(
      "--undo",
      "take it back, until the grace of the manifest is over (retireGrace); pins what the schedule made",
    )
    .addOption(waitOption())
    .addHelpText(
      "after",
      `\nExamples:\n  $ skynetes snapshot retire q1-2001 --wait\n  $ skynetes snapshot retire q1-2001 --undo\n${FIND_MESH}`,
    )
    .action(retire);

  sub(snapshot, "plan", "what the mesh does next, and what it waits for")
    .addHelpText("after", `\nExample:\n  $ skynetes snapshot plan\n${FIND_MESH}`)
    .action(plan);
}

function sub(parent: Command, name: string, what: string): Command {
  return parent
    .command(name)
    .description(what)
    .addOption(dataDirOption())
    .option("--control <host:port>", "control address of the mesh")
    .addOption(outputOption("table"));
}

function waitOption(): Option {
  return new Option("--wait [timeout]", `wait until it is so, at most so long (default ${WAIT_MS / 1000}s)`).argParser(
    parseDuration,
  );
}

async function create(id: string | undefined, options: CreateOptions): Promise<void> {
  const { withControl, servesWishes, CONTROL_TIMEOUT_MS } = await import("./control-client.ts");
  await withControl(options, async (client) => {
    const request = {
      id: id ?? "",
      ...(options.asOf === undefined ? {} : { asOf: timestampFromMs(options.asOf) }),
      bindings: [...(options.bind ?? [])],
      pinned: options.pinned === true,
    };
    const { snapshot } = await client.createSnapshot(request, { timeoutMs: CONTROL_TIMEOUT_MS });
    await settle(client, snapshot, options, servesWishes);
  });
}

async function list(options: SnapshotOptions & { readonly all?: true }): Promise<void> {
  const [{ withControl, CONTROL_TIMEOUT_MS }, { snapshotJson, snapshotListText }] = await Promise.all([
    import("./control-client.ts"),
    import("./snapshot-text.ts"),
  ]);
  const { snapshots } = await withControl(options, (client) =>
    client.listControlledSnapshots({ retired: options.all === true }, { timeoutMs: CONTROL_TIMEOUT_MS }),
  );
  print(options.output === "json" ? json({ snapshots: snapshots.map(snapshotJson) }) : snapshotListText(snapshots));
}

async function show(id: string, options: SnapshotOptions): Promise<void> {
  const { withControl, CONTROL_TIMEOUT_MS } = await import("./control-client.ts");
  const { snapshot } = await withControl(options, (client) =>
    client.getSnapshot({ id }, { timeoutMs: CONTROL_TIMEOUT_MS }),
  );
  await printSnapshot(snapshot, options);
}

async function bind(id: string, binding: BindingText, options: WaitOptions): Promise<void> {
  const { withControl, servesWishes, CONTROL_TIMEOUT_MS } = await import("./control-client.ts");
  await withControl(options, async (client) => {
    const { snapshot } = await client.bindSnapshot({ id, binding }, { timeoutMs: CONTROL_TIMEOUT_MS });
    await settle(client, snapshot, options, servesWishes);
  });
}

async function pin(id: string, options: SnapshotOptions & { readonly off?: true }): Promise<void> {
  const { withControl, CONTROL_TIMEOUT_MS } = await import("./control-client.ts");
  const { snapshot } = await withControl(options, (client) =>
    client.pinSnapshot({ id, pinned: options.off !== true }, { timeoutMs: CONTROL_TIMEOUT_MS }),
  );
  await printSnapshot(snapshot, options);
}

async function retire(id: string, options: WaitOptions & { readonly undo?: true }): Promise<void> {
  const { withControl, isRetired, servesWishes, CONTROL_TIMEOUT_MS } = await import("./control-client.ts");
  await withControl(options, async (client) => {
    const undo = options.undo === true;
    const { snapshot } = await client.retireSnapshot({ id, undo }, { timeoutMs: CONTROL_TIMEOUT_MS });
    await settle(client, snapshot, options, undo ? servesWishes : isRetired);
  });
}

async function plan(options: SnapshotOptions): Promise<void> {
  const { withControl, CONTROL_TIMEOUT_MS } = await import("./control-client.ts");
  const { text } = await withControl(options, (client) => client.getMeshPlan({}, { timeoutMs: CONTROL_TIMEOUT_MS }));
  print(options.output === "json" ? json({ text }) : text);
}

/** With --wait, until the mesh is where the wish wants it. Fault `deadline-exceeded` when it is not in time. */
async function settle(
  client: ControlClient,
  snapshot: ControlledSnapshot | undefined,
  options: WaitOptions,
  reached: (snapshot: ControlledSnapshot) => boolean,
): Promise<void> {
  if (options.wait === undefined || snapshot === undefined) return printSnapshot(snapshot, options);
  const { phaseName, waitForSnapshot } = await import("./control-client.ts");
  const timeoutMs = options.wait === true ? WAIT_MS : options.wait;
  const waited = await waitForSnapshot(client, snapshot.id, { timeoutMs, reached });
  await printSnapshot(waited.snapshot, options);
  if (waited.reached) return;
  throw new Fault(
    "deadline-exceeded",
    `wait for snapshot "${snapshot.id}": still ${phaseName(waited.snapshot.phase)} after ${timeoutMs / 1000} s; the wish stays`,
  );
}

async function printSnapshot(snapshot: ControlledSnapshot | undefined, { output }: SnapshotOptions): Promise<void> {
  const { snapshotJson, snapshotText } = await import("./snapshot-text.ts");
  if (snapshot === undefined) return;
  print(output === "json" ? json(snapshotJson(snapshot)) : snapshotText(snapshot));
}

function collectBindings(text: string, before: readonly BindingText[] | undefined): readonly BindingText[] {
  return [...(before ?? []), parseBinding(text)];
}

function parseBinding(text: string): BindingText {
  const [, service, version] = /^([^=]+)=([^=]+)$/.exec(text) ?? [];
  if (service === undefined || version === undefined) {
    throw new InvalidArgumentError("It is service=version, such as flights.v1.DelayService=delay-v1-0a1b2c3d.");
  }
  return { service, version };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function print(text: string): void {
  process.stdout.write(text);
}
