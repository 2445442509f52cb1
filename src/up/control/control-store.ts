/**
 * The control files in memory: every change is on disk before it can be seen. One process owns them (the data
 * directory's lock), so memory is the truth between writes.
 */
import { fromJsonString, toJson } from "@bufbuild/protobuf";
import { Fault } from "../../fault/fault.ts";
import type { LatestFloor } from "../../lifecycle/latest-floor.ts";
import { readTextIfThere, writeDurableFileSync } from "../../process/durable-file.ts";
import { type RouteTable, RouteTableSchema } from "../../wire/generated/skynetes/v1/table_pb.ts";
import { type ControlState, controlStateFromText, controlStateToText, emptyControlState } from "./control-state.ts";
import { cutFromJson, cutToJson } from "./cut-json.ts";
import type { DataDirectory } from "./data-directory.ts";
import { array, object, string } from "./read-json.ts";

export interface PublishedTable {
  readonly table: RouteTable | undefined;
  readonly floors: readonly LatestFloor[];
}

export class ControlStore {
  readonly #directory: DataDirectory;
  #state: ControlState;
  #published: PublishedTable;

  private constructor(directory: DataDirectory, state: ControlState, published: PublishedTable) {
    this.#directory = directory;
    this.#state = state;
    this.#published = published;
  }

  /** Faults: `data-corrupt`; `invalid-manifest` when the directory belongs to another mesh. */
  static open(directory: DataDirectory, mesh: { name: string; shards: number }, nowMs: number): ControlStore {
    const text = readTextIfThere(directory.stateFile);
    const state =
      text === undefined
        ? emptyControlState(mesh.name, mesh.shards, nowMs)
        : controlStateFromText(text, directory.stateFile);
    if (state.mesh !== mesh.name || state.shards !== mesh.shards) {
      throw new Fault(
        "invalid-manifest",
        `open ${directory.root}: it holds mesh "${state.mesh}" with ${state.shards} shards, the manifest describes ` +
          `"${mesh.name}" with ${mesh.shards}; choose another --data-dir`,
      );
    }
    return new ControlStore(directory, state, readPublished(directory.tableFile));
  }

  get state(): ControlState {
    return this.#state;
  }

  get published(): PublishedTable {
    return this.#published;
  }

  /** `change` gets the newest state; what it returns is durable when this returns. */
  update(change: (state: ControlState) => ControlState): void {
    const next = change(this.#state);
    if (next === this.#state) return;
    writeDurableFileSync(this.#directory.stateFile, controlStateToText(next));
    this.#state = next;
  }

  /** Table and floors in one file, so both or none. Fault `fenced`: the epoch is not the next one. */
  publish(table: RouteTable, floors: readonly LatestFloor[]): void {
    const current = this.#published.table?.epoch ?? 0n;
    if (table.epoch <= current) {
      throw new Fault("fenced", `publish table ${table.epoch}: table ${current} is published already`);
    }
    writeDurableFileSync(this.#directory.tableFile, publishedToText({ table, floors }));
    this.#published = { table, floors };
  }
}

function publishedToText({ table, floors }: PublishedTable): string {
  const json = {
    table: table === undefined ? undefined : toJson(RouteTableSchema, table),
    floors: floors.map((floor) => ({ service: floor.service, cut: cutToJson(floor.cut) })),
  };
  return `${JSON.stringify(json)}\n`;
}

function readPublished(file: string): PublishedTable {
  const text = readTextIfThere(file);
  if (text === undefined) return { table: undefined, floors: [] };
  try {
    const json = object(JSON.parse(text), file);
    return {
      table: json.table === undefined ? undefined : fromJsonString(RouteTableSchema, JSON.stringify(json.table)),
      floors: array(json.floors, `${file}: floors`).map((item, i) => {
        const floor = object(item, `${file}: floors[${i}]`);
        return {
          service: string(floor.service, `${file}: floors[${i}].service`),
          cut: cutFromJson(floor.cut, `${file}: floors[${i}].cut`),
        };
      }),
    };
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault("data-corrupt", `read ${file}: ${(error as Error).message}`, {}, error);
  }
}

/** For a gateway that runs without a driver. Faults: `not-ready` when there is no table yet, `data-corrupt`. */
export function readPublishedTable(file: string): RouteTable {
  const { table } = readPublished(file);
  if (table === undefined) throw new Fault("not-ready", `read ${file}: no route table is published yet`);
  return table;
}
