import { expect, test } from "vitest";
import network from "../../examples/flights/network-service.ts";
import { type CheckedTables, checkAdvance } from "../../src/service/check/check-advance.ts";
import { changesOf, readerOf } from "../../src/service/check/random-history.ts";

const tables: CheckedTables = {
  flights: {
    columns: { origin: "STRING", destination: "STRING" },
    row: (random) => ({ origin: airport(random), destination: airport(random) }),
  },
};

const airport = (random: () => number) => ["ATL", "BGR", "LAX", "ORD"][Math.floor(random() * 4)] as string;

type State = Awaited<ReturnType<typeof network.load>>;

/** Methods answer in any order; the gateway puts it right. */
function observe(state: State) {
  const routes = [...state.values()]
    .flat()
    .map(({ origin, destination, flights }) => `${origin} ${destination} ${flights}`);
  return { routes: routes.sort(), origins: [...state.keys()].sort() };
}

test("the network of a snapshot is the same whether loaded or advanced", () =>
  checkAdvance(network, { tables, observe }));

test("an origin without new flights shares its routes with the state before", async () => {
  const first = { flights: [{ origin: "ATL", destination: "LAX" }] };
  const second = { flights: [...first.flights, { origin: "BGR", destination: "LAX" }] };
  const before = await network.load(readerOf(tables, first));
  const after = await network.advance?.(before, changesOf(tables, first, second));
  expect(after?.get("ATL")).toBe(before.get("ATL"));
  expect([...(after?.keys() ?? [])]).toEqual(["ATL", "BGR"]);
});
