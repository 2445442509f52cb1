/** Random responses with every merge operator on every type that it takes, groups in groups, and nested messages. */
import type { FieldSource, ServiceSource } from "../merge-plan/annotated-service.ts";
import { rule } from "../merge-plan/annotated-service.ts";
import type { Seeded } from "./drive-merge.ts";

const INTEGERS = "int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64".split(" ");
const NUMBERS = [...INTEGERS, "double", "float"];
const SCALARS = [...NUMBERS, "bool", "string", "bytes", "Color"];

export function randomRecipe(random: Seeded): ServiceSource {
  const messages: Record<string, FieldSource[]> = {
    Req: [],
    Plain: [
      { name: "a", type: "int64" },
      { name: "b", type: "optional string" },
      { name: "c", type: "double" },
    ],
  };
  let made = 0;
  const scope = (depth: number, key: FieldSource[]): string => {
    const name = depth === 0 ? "Res" : `M${++made}`;
    messages[name] = [];
    const fields: FieldSource[] = random.shuffle([
      ...key,
      ...Array.from({ length: 1 + random.below(6) }, () => field(depth)),
    ]);
    if (random.below(2) === 0) fields.push(...meanOf(random, made++));
    const lists = fields.filter(({ type, merge }) => type.startsWith("repeated ") && merge !== undefined);
    const counted = lists[0];
    if (counted !== undefined) {
      const type = random.pick(["int64", "optional uint32", "sint64", "fixed32"]);
      fields.push({ name: `f${++made}`, type, merge: rule("countOf", { field: counted.name }) });
    }
    messages[name] = fields;
    return name;
  };
  const field = (depth: number): FieldSource => {
    const name = `f${++made}`;
    const scalar = random.pick(SCALARS);
    const label = random.pick(["", "optional "]);
    const choices: (() => FieldSource)[] = [
      () => ({ name, type: `${label}${random.pick(NUMBERS)}`, merge: rule("sum") }),
      () => ({ name, type: "Decimal", merge: rule(random.pick(["sum", "min", "max"] as const)) }),
      () => ({
        name,
        type: `optional ${scalar === "bool" ? "string" : scalar}`,
        merge: rule(random.pick(["min", "max"])),
      }),
      () => ({ name, type: "Timestamp", merge: rule(random.pick(["min", "max", "first"] as const)) }),
      () => ({ name, type: `${label}bool`, merge: rule(random.pick(["any", "all"] as const)) }),
      () => ({ name, type: `${label}${random.pick(INTEGERS)}`, merge: rule("bitOr") }),
      () => ({ name, type: `${label}${scalar}`, merge: rule("first") }),
      () => ({ name, type: random.pick(["Plain", "repeated string", "repeated Plain"]), merge: rule("first") }),
      () => ({ name, type: `repeated ${random.pick([...SCALARS, "Plain"])}`, merge: rule("concat") }),
      () => ({ name, type: `repeated ${random.pick([...SCALARS, "Plain", "Decimal"])}`, merge: rule("distinct") }),
    ];
    if (depth === 0) {
      const by = [{ field: "a", descending: random.below(2) === 0 }, { field: "b" }, { field: "c" }];
      choices.push(() => ({ name, type: "repeated Plain", merge: rule("sorted", { by }) }));
    }
    if (depth < 3) {
      choices.push(() => ({ name, type: scope(depth + 1, []), merge: rule("nested") }));
      choices.push(
        () => group(name, depth),
        () => group(name, depth),
      );
    }
    return random.pick(choices)();
  };
  const group = (name: string, depth: number): FieldSource => {
    const types = [
      "string",
      "optional string",
      "bytes",
      "int64",
      "uint64",
      "sint32",
      "bool",
      "Color",
      "Timestamp",
      "optional fixed64",
    ];
    const key = random
      .shuffle([...types])
      .slice(0, 1 + random.below(2))
      .map((type): FieldSource => ({ name: `k${++made}`, type }));
    return {
      name,
      type: `repeated ${scope(depth + 1, key)}`,
      merge: rule("group", { key: key.map((one) => one.name) }),
    };
  };
  scope(0, []);
  return { messages, enums: { Color: [["COLOR_NONE"], ["COLOR_RED"], ["COLOR_BLUE"]] } };
}

function meanOf(random: Seeded, number: number): FieldSource[] {
  const [sum, count] = [`sum${number}`, `count${number}`];
  const label = random.pick(["", "optional "]);
  return [
    { name: `mean${number}`, type: "optional double", merge: rule("avg", { sum, count }) },
    {
      name: sum,
      type: random.pick([`${label}int64`, `${label}double`, `${label}float`, "uint32", "Decimal"]),
      merge: rule("sum"),
    },
    { name: count, type: random.pick([`${label}int64`, "uint32", "sint32"]), merge: rule("sum") },
  ];
}
