import { parseArgs } from "node:util";

export interface BenchOptions {
  /** Shortest run that touches everything: for tests, not for figures. */
  readonly quick: boolean;
  readonly rounds: number;
  /** Of one measurement. */
  readonly seconds: number;
  /** Names of peers; empty: all that the benchmark has. */
  readonly peers: readonly string[];
  readonly shards: readonly number[];
  /** Directory for CPU profiles of the gateways; absent: none. */
  readonly profile: string | undefined;
}

/** `--quick --rounds 5 --seconds 3 --peers a,b --shards 16,4,64 --profile DIR`; what is absent is the benchmark's own. */
export function benchOptions(
  options: readonly string[],
  usual: Pick<BenchOptions, "rounds" | "seconds" | "shards">,
): BenchOptions {
  const { values } = parseArgs({
    args: [...options],
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      seconds: { type: "string" },
      peers: { type: "string" },
      shards: { type: "string" },
      profile: { type: "string" },
    },
  });
  const quick = values.quick === true;
  return {
    quick,
    rounds: positive("rounds", values.rounds) ?? (quick ? 1 : usual.rounds),
    seconds: positive("seconds", values.seconds) ?? (quick ? 0.5 : usual.seconds),
    peers: list(values.peers),
    shards: values.shards === undefined ? (quick ? [4] : usual.shards) : list(values.shards).map(Number),
    profile: values.profile,
  };
}

function list(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(",").filter((part) => part !== "");
}

function positive(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} ${text}: must be a positive number`);
  return value;
}
