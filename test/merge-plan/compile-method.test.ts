import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { DelayService } from "../../examples/flights/generated/flights/v1/delay_pb.ts";
import { NetworkService } from "../../examples/flights/generated/flights/v1/network_pb.ts";
import { Fault } from "../../src/fault/fault.ts";
import { compileMethod, compileService } from "../../src/merge-plan/compile-method.ts";
import { describePlan } from "../../src/merge-plan/describe-plan.ts";
import { planDigest } from "../../src/merge-plan/plan-digest.ts";
import { GatewayService } from "../../src/wire/generated/skynetes/v1/gateway_pb.ts";
import { FilterOperator, Role } from "../../src/wire/generated/skynetes/v1/merge_pb.ts";
import { type FieldSource, type MethodSource, methodsOf, rule, type ServiceSource } from "./annotated-service.ts";

const GOLDEN = join(import.meta.dirname, "../golden/plan");

describe("plans of the example services", () => {
  const plans = [...compileService(DelayService).values(), ...compileService(NetworkService).values()];

  test.each(plans.map((plan) => [plan.method.name, plan] as const))("%s prints as its golden file", (name, plan) => {
    const file = join(GOLDEN, `${name}.txt`);
    if (process.env.UPDATE_GOLDEN !== undefined) writeFileSync(file, describePlan(plan));
    expect(existsSync(file), `${file} is missing: run with UPDATE_GOLDEN=1 and read what it wrote`).toBe(true);
    expect(describePlan(plan)).toBe(readFileSync(file, "utf8"));
  });

  test("every plan has a digest of its own, and the same each time", () => {
    const digests = plans.map(planDigest);
    expect(new Set(digests).size).toBe(plans.length);
    expect([...compileService(DelayService).values()].map(planDigest)).toEqual(digests.slice(0, 4));
  });
});

const sum = rule("sum");
const count: FieldSource = { name: "n", type: "int64", merge: sum };

/** A service whose response has these fields. */
function responding(fields: readonly FieldSource[], more: Partial<ServiceSource> = {}): ServiceSource {
  return { messages: { Req: [], Res: fields, ...more.messages }, ...omitMessages(more) };
}

function omitMessages({ messages: _, ...rest }: Partial<ServiceSource>) {
  return rest;
}

function requesting(fields: readonly FieldSource[], more: Partial<ServiceSource> = {}): ServiceSource {
  const row = { Row: [{ name: "k", type: "string" }, count] };
  const groups: FieldSource = {
    name: "rows",
    type: "repeated Row",
    merge: rule("group", { key: ["k"], top: { order: { field: "n" } } }),
  };
  return { messages: { Req: fields, Res: [groups], ...row, ...more.messages }, ...omitMessages(more) };
}

const top = (key: string[], order?: string) =>
  rule("group", { key, top: order === undefined ? {} : { order: { field: order } } });

function streaming(rows: readonly FieldSource[], rule: MethodSource["rule"]): ServiceSource {
  const methods = [{ name: "Ask", streams: "responses" as const, ...(rule ? { rule } : {}) }];
  return responding(rows, { methods });
}

const row: Partial<ServiceSource> = {
  messages: { Row: [{ name: "k", type: "string" }, count, { name: "x", type: "optional double", merge: rule("max") }] },
};

const REFUSED: readonly (readonly [string, ServiceSource, RegExp])[] = [
  ["a field without a rule", responding([{ name: "x", type: "int64" }]), /t\.Res\.x: no merge rule/],
  [
    "a rule without an operator",
    responding([{ name: "x", type: "int64", merge: { case: undefined } }]),
    /t\.Res\.x: .*no operator/,
  ],
  [
    "a member of a oneof",
    responding([{ name: "x", type: "oneof int64", merge: sum }]),
    /t\.Res\.x: a member of a oneof/,
  ],
  ["sum of strings", responding([{ name: "x", type: "string", merge: sum }]), /t\.Res\.x: sum needs a number/],
  ["sum of a list", responding([{ name: "x", type: "repeated int64", merge: sum }]), /t\.Res\.x: sum needs/],
  [
    "min without presence",
    responding([{ name: "x", type: "int64", merge: rule("min") }]),
    /t\.Res\.x: min needs presence/,
  ],
  [
    "max without presence",
    responding([{ name: "x", type: "string", merge: rule("max") }]),
    /t\.Res\.x: max needs presence/,
  ],
  [
    "max of a message",
    responding([{ name: "x", type: "Row", merge: rule("max") }], row),
    /t\.Res\.x: max needs a number/,
  ],
  [
    "avg without presence",
    responding([count, { name: "x", type: "double", merge: rule("avg", { sum: "n", count: "n" }) }]),
    /t\.Res\.x: avg needs presence/,
  ],
  [
    "avg into a float",
    responding([count, { name: "x", type: "optional float", merge: rule("avg", { sum: "n", count: "n" }) }]),
    /t\.Res\.x: avg needs a double/,
  ],
  [
    "avg of an unknown sum",
    responding([count, { name: "x", type: "optional double", merge: rule("avg", { sum: "y", count: "n" }) }]),
    /avg needs as its sum .* not "y"/,
  ],
  [
    "avg of a field that is not summed",
    responding([
      count,
      { name: "m", type: "optional int64", merge: rule("max") },
      { name: "x", type: "optional double", merge: rule("avg", { sum: "n", count: "m" }) },
    ]),
    /avg needs as its count .* not "m"/,
  ],
  [
    "avg over a count of floats",
    responding([
      { name: "f", type: "double", merge: sum },
      { name: "x", type: "optional double", merge: rule("avg", { sum: "f", count: "f" }) },
    ]),
    /avg needs a count of integers/,
  ],
  ["any of an integer", responding([{ name: "x", type: "int32", merge: rule("any") }]), /any needs a bool/],
  ["all of a list", responding([{ name: "x", type: "repeated bool", merge: rule("all") }]), /all needs a bool/],
  ["bit_or of a double", responding([{ name: "x", type: "double", merge: rule("bitOr") }]), /bit_or needs an integer/],
  [
    "concat of a single value",
    responding([{ name: "x", type: "string", merge: rule("concat") }]),
    /concat needs a repeated field/,
  ],
  [
    "distinct of a single value",
    responding([{ name: "x", type: "string", merge: rule("distinct") }]),
    /distinct needs a repeated field/,
  ],
  [
    "distinct of messages with lists",
    responding([{ name: "x", type: "repeated Row", merge: rule("distinct") }], {
      messages: { Row: [{ name: "y", type: "repeated int64" }] },
    }),
    /distinct needs/,
  ],
  [
    "count_of an unknown field",
    responding([{ name: "x", type: "int64", merge: rule("countOf", { field: "y" }) }]),
    /count_of needs .* not "y"/,
  ],
  [
    "count_of a single value",
    responding([count, { name: "x", type: "int64", merge: rule("countOf", { field: "n" }) }]),
    /count_of needs .* not "n"/,
  ],
  [
    "sorted without keys",
    responding([{ name: "x", type: "repeated Row", merge: rule("sorted") }], row),
    /sorted needs the fields to sort by/,
  ],
  [
    "sorted by an unknown field",
    responding([{ name: "x", type: "repeated Row", merge: rule("sorted", { by: [{ field: "y" }] }) }], row),
    /sorted by "y", which is no field of t\.Row/,
  ],
  [
    "sorted scalars",
    responding([{ name: "x", type: "repeated int64", merge: rule("sorted", { by: [{ field: "y" }] }) }]),
    /sorted needs a repeated message/,
  ],
  [
    "group without a key",
    responding([{ name: "x", type: "repeated Row", merge: rule("group") }], row),
    /group needs the fields of its key/,
  ],
  [
    "group by an unknown key",
    responding([{ name: "x", type: "repeated Row", merge: rule("group", { key: ["y"] }) }], row),
    /key "y" is no field of t\.Row/,
  ],
  [
    "group by a float",
    responding([{ name: "x", type: "repeated Row", merge: rule("group", { key: ["x"] }) }], row),
    /key "x" is a float/,
  ],
  [
    "group by a key with a rule",
    responding([{ name: "x", type: "repeated Row", merge: rule("group", { key: ["n"] }) }], row),
    /t\.Row\.n: it is a key/,
  ],
  [
    "an element's field without a rule",
    responding([{ name: "x", type: "repeated Row", merge: rule("group", { key: ["k"] }) }], {
      messages: {
        Row: [
          { name: "k", type: "string" },
          { name: "y", type: "int64" },
        ],
      },
    }),
    /t\.Row\.y: no merge rule/,
  ],
  ["nested recursion", responding([{ name: "x", type: "Res", merge: rule("nested") }]), /t\.Res contains itself/],
  [
    "nested lists",
    responding([{ name: "x", type: "repeated Row", merge: rule("nested") }], row),
    /nested needs a singular message/,
  ],
  [
    "top twice",
    responding(
      [
        { name: "x", type: "repeated Row", merge: top(["k"], "n") },
        { name: "y", type: "repeated Row", merge: top(["k"], "n") },
      ],
      row,
    ),
    /t\.Res\.y: top is on field x already/,
  ],
  [
    "top inside a group",
    responding([{ name: "x", type: "repeated Outer", merge: rule("group", { key: ["k"] }) }], {
      messages: {
        ...row.messages,
        Outer: [
          { name: "k", type: "string" },
          { name: "in", type: "repeated Row", merge: top(["k"], "n") },
        ],
      },
    }),
    /t\.Outer\.in: top is for fields of the response itself/,
  ],
  [
    "sorted inside a message",
    responding([{ name: "x", type: "Outer", merge: rule("nested") }], {
      messages: {
        ...row.messages,
        Outer: [{ name: "in", type: "repeated Row", merge: rule("sorted", { by: [{ field: "k" }] }) }],
      },
    }),
    /t\.Outer\.in: sorted is for fields of the response itself/,
  ],
  [
    "top without an order",
    responding([{ name: "x", type: "repeated Row", merge: top(["k"]) }], row),
    /t\.Res\.x: top needs an order/,
  ],
  [
    "top ordered by an unknown field",
    responding([{ name: "x", type: "repeated Row", merge: top(["k"], "z") }], row),
    /orders by "z", which is no merged field/,
  ],
  [
    "top ordered by its key",
    responding([{ name: "x", type: "repeated Row", merge: top(["k"], "k") }], row),
    /orders by "k", which is not a number/,
  ],
  [
    "an enum value without order_by",
    requesting([{ name: "o", type: "Order", role: Role.ORDER }], {
      enums: { Order: [["O_UNSPECIFIED", { field: "n" }], ["O_X"]] },
    }),
    /O_X: no order_by/,
  ],
  [
    "a limit of strings",
    requesting([{ name: "l", type: "string", role: Role.LIMIT }]),
    /t\.Req\.l: its role needs int32/,
  ],
  [
    "an order of integers",
    requesting([{ name: "o", type: "int32", role: Role.ORDER }]),
    /t\.Req\.o: its role needs a singular enum/,
  ],
  [
    "a key filter of one value",
    requesting([{ name: "f", type: "string", role: Role.KEY_FILTER }]),
    /t\.Req\.f: its role needs a repeated/,
  ],
  [
    "a key filter of another type",
    requesting([{ name: "f", type: "repeated int64", role: Role.KEY_FILTER }]),
    /t\.Req\.f: its role needs the type of the key k: string/,
  ],
  [
    "two limits",
    requesting([
      { name: "l", type: "int32", role: Role.LIMIT },
      { name: "m", type: "int64", role: Role.LIMIT },
    ]),
    /t\.Req\.m: field l has the same role/,
  ],
  [
    "a role in a nested message",
    requesting([{ name: "i", type: "Inner" }], {
      messages: { Inner: [{ name: "l", type: "int32", role: Role.LIMIT }] },
    }),
    /t\.Inner\.l: a role must be on a field of t\.Req itself/,
  ],
  [
    "a limit that limits nothing",
    { messages: { Req: [{ name: "l", type: "int32", role: Role.LIMIT }], Res: [count] } },
    /t\.Req\.l: its role limits rows/,
  ],
  [
    "a key filter without top groups",
    { messages: { Req: [{ name: "f", type: "repeated string", role: Role.KEY_FILTER }], Res: [count] } },
    /t\.Req\.f: its role chooses groups/,
  ],
  [
    "a role on a response's field",
    responding([{ ...count, role: Role.LIMIT }]),
    /t\.Res\.n: a role is for fields of requests/,
  ],
  [
    "a stream of requests",
    responding([count], { methods: [{ name: "Ask", streams: "requests" }] }),
    /t\.S\/Ask: a stream of requests/,
  ],
  [
    "a stream without an order",
    streaming([{ name: "k", type: "string" }], undefined),
    /t\.S\/Ask: a streaming method must declare/,
  ],
  [
    "a stream sorted by an unknown field",
    streaming([{ name: "k", type: "string" }], { sorted: [{ field: "z" }] }),
    /sorted by "z"/,
  ],
  [
    "a stream sorted by a list",
    streaming([{ name: "k", type: "repeated string" }], { sorted: [{ field: "k" }] }),
    /sorted by "k", whose values have no order/,
  ],
  [
    "an order on a unary method",
    responding([count], { methods: [{ name: "Ask", rule: { sorted: [{ field: "n" }] } }] }),
    /`sorted` is for server-streaming/,
  ],
  [
    "a filter by an unknown field",
    responding([count], {
      methods: [
        { name: "Ask", rule: { filters: [{ field: "z", table: "t", column: "c", operator: FilterOperator.EQUAL }] } },
      ],
    }),
    /"z" is no field of the request/,
  ],
  [
    "a filter without operator",
    {
      messages: { Req: [{ name: "z", type: "string" }], Res: [count] },
      methods: [{ name: "Ask", rule: { filters: [{ field: "z", table: "t", column: "c" }] } }],
    },
    /filter on t\.c: no operator/,
  ],
];

describe("a service that cannot be merged without a guess is refused", () => {
  test.each(REFUSED)("%s", (_, source, message) => {
    const [method] = methodsOf(source);
    expect(() => compileMethod(method!)).toThrow(message);
    const fault = faultOf(() => compileMethod(method!));
    expect(fault.id).toBe("invalid-service");
    expect(fault.detail.errors!.length).toBeGreaterThan(0);
  });

  test("a service under a name of the mesh's own services does not load: it would take their place", () => {
    expect(() => compileService(GatewayService)).toThrow(
      /skynetes\.v1\.GatewayService: packages grpc and skynetes are served by the mesh itself/,
    );
  });

  test("all errors of all methods come at once, a shared one once", () => {
    const source = responding(
      [
        { name: "x", type: "int64" },
        { name: "y", type: "string", merge: sum },
      ],
      {
        methods: [{ name: "A" }, { name: "B", streams: "requests" }, { name: "C" }],
      },
    );
    const fault = faultOf(() => compileService(methodsOf(source)[0]!.parent));
    expect(fault.detail.errors!.map(({ pointer }) => pointer)).toEqual(["field t.Res.x", "field t.Res.y", "t.S/B"]);
  });
});

describe("a service that can be merged loads", () => {
  test("an unspecified order falls back to the order of top", () => {
    const enums = { Order: [["O_UNSPECIFIED"], ["O_N", { field: "n", ascending: true }]] as const };
    const [method] = methodsOf(requesting([{ name: "o", type: "Order", role: Role.ORDER }], { enums }));
    const { merge } = compileMethod(method!);
    const orders = merge.kind === "message" ? merge.top!.orders : undefined;
    expect([...orders!].map(([choice, { descending }]) => [choice, descending])).toEqual([
      [undefined, true],
      [0, true],
      [1, false],
    ]);
  });

  test("what changes an answer changes the digest", () => {
    const digest = (type: string, operator: ReturnType<typeof rule>) =>
      planDigest(compileMethod(methodsOf(responding([{ name: "x", type, merge: operator }]))[0]!));
    const digests = [
      digest("int64", sum),
      digest("int32", sum),
      digest("optional int64", sum),
      digest("optional int64", rule("max")),
      digest("optional int64", rule("min")),
    ];
    expect(new Set(digests).size).toBe(digests.length);
  });
});

function faultOf(work: () => unknown): Fault {
  try {
    work();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
