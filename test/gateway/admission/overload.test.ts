import { describe, expect, test } from "vitest";
import { type ModelOptions, OverloadModel, total } from "./overload-model.ts";

/** Virtual time: a minute takes about a second. */
const MESH = { servers: 16, serviceMs: 40, deadlineMs: 2_000, retries: 0 };

async function settled(options: Partial<ModelOptions> & { readonly seed: number }) {
  const model = new OverloadModel({ ...MESH, ...options });
  const usual = total(await model.run(0.5, 20));
  return { model, usual };
}

describe("ten times the capacity for a minute", () => {
  test.each([1, 2])("costs no goodput, and is over within five seconds (seed %i)", async (seed) => {
    const { model, usual } = await settled({ seed });
    const overload = await model.run(10, 60);
    expect(total(overload).goodPerSecond).toBeGreaterThan(0.95 * model.capacity);
    // What is answered is answered soon, and what is refused is refused at once: only those that came before the
    // overload was known may have waited.
    expect(total(overload.slice(2))).toMatchObject({ late: 0, refusalMaxMs: 0 });
    expect(total(overload.slice(2)).meanMs).toBeLessThan(4 * MESH.serviceMs);
    await model.run(0.5, 5);
    const after = total(await model.run(0.5, 20));
    expect(after).toMatchObject({ refused: 0, late: 0 });
    expect(after.meanMs).toBeLessThan(1.2 * usual.meanMs);
    expect(model.admission.waiting).toBe(0);
  });

  test("with clients that come back as advised, three times, it goes on answering all it can until they are through", async () => {
    const { model, usual } = await settled({ seed: 3, servers: 4 });
    const { model: storm } = await settled({ seed: 3, servers: 4, retries: 3 });
    const overload = total(await storm.run(10, 60));
    expect(overload.goodPerSecond).toBeGreaterThan(0.95 * model.capacity);
    // Clients do not come back before there is a chance: a try costs less than all that were refused would.
    const backlog = await storm.run(0.5, 60);
    const busy = backlog.slice(
      0,
      backlog.findIndex((second) => second.refused === 0),
    );
    expect(total(busy).goodPerSecond).toBeGreaterThan(0.95 * model.capacity);
    await storm.run(0.5, 5);
    const after = total(await storm.run(0.5, 20));
    expect(after).toMatchObject({ refused: 0, late: 0 });
    expect(after.meanMs).toBeLessThan(1.25 * usual.meanMs);
  });

  test.each([
    { servers: 2, serviceMs: 5 },
    { servers: 100, serviceMs: 20 },
    { servers: 4, serviceMs: 200 },
  ])("finds the capacity of a mesh of $servers servers and $serviceMs ms from any start", async (mesh) => {
    const { model } = await settled({ seed: 5, ...mesh });
    await model.run(10, 5);
    const overload = total(await model.run(10, 15));
    expect(overload.goodPerSecond).toBeGreaterThan(0.9 * model.capacity);
    expect(overload.meanMs).toBeLessThan(6 * mesh.serviceMs + 60);
  });
});

describe("a mesh that becomes ten times slower at usual load", () => {
  test.each([7, 8])(
    "gets all the queries that it can answer, and normal is normal again in five seconds (seed %i)",
    async (seed) => {
      const { model, usual } = await settled({ seed });
      model.slowness = 10;
      // Its latency looks like overload until half of the load turns out to take as long.
      await model.run(0.5, 40);
      const slow = total(await model.run(0.5, 20));
      expect(slow.goodPerSecond).toBeGreaterThan(0.07 * model.capacity);
      model.slowness = 1;
      await model.run(0.5, 5);
      const after = total(await model.run(0.5, 20));
      expect(after).toMatchObject({ refused: 0, late: 0 });
      expect(after.meanMs).toBeLessThan(1.25 * usual.meanMs);
    },
  );
});
