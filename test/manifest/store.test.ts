import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseManifest } from "../../src/manifest/parse-manifest.ts";

const FLIGHTS = readFileSync(join(import.meta.dirname, "../../examples/flights/mesh.yaml"), "utf8");

function withStore(store: unknown) {
  const text = FLIGHTS.replace("spec:\n", `spec:\n  store: ${JSON.stringify(store)}\n`);
  return parseManifest(text, { file: "mesh.yaml" }).mesh.store;
}

const USERS = {
  bootstrap: { name: "b", passwordFrom: { environment: "B" } },
  ingest: { name: "i", passwordFrom: { environment: "I" } },
  service: { name: "s", passwordFrom: { file: "secrets/s" } },
};

test("a store on a server, with its defaults and without any secret", () => {
  expect(withStore({ mysql: { host: "127.0.0.1", database: "skynetes", users: USERS } })).toEqual({
    host: "127.0.0.1",
    port: 3306,
    database: "skynetes",
    dialect: "MySQL",
    tls: undefined,
    users: {
      bootstrap: { name: "b", password: { environment: "B" } },
      ingest: { name: "i", password: { environment: "I" } },
      service: { name: "s", password: { file: "secrets/s" } },
    },
  });
  const remote = {
    host: "db.example",
    database: "skynetes",
    dialect: "SingleStore",
    tls: { ca: "ca.pem" },
    users: USERS,
  };
  expect(withStore({ mysql: remote })).toMatchObject({ dialect: "SingleStore", tls: { ca: "ca.pem" } });
  expect(parseManifest(FLIGHTS, { file: "mesh.yaml" }).mesh.store).toBeUndefined();
});

test.each([
  ["another machine without tls", { host: "db.example" }, "so tls is needed"],
  ["a password in the file", { users: { ...USERS, ingest: { name: "i", password: "secret" } } }, "password"],
  ["no password", { users: { ...USERS, ingest: { name: "i" } } }, "passwordFrom"],
  [
    "two passwords",
    { users: { ...USERS, ingest: { name: "i", passwordFrom: { environment: "I", file: "i" } } } },
    "one of them",
  ],
  ["a name that nodes make too long", { database: "d".repeat(60) }, "longer than 64 characters"],
  ["an unknown dialect", { dialect: "Oracle" }, "SingleStore"],
])("%s is a mistake", (_, change, message) => {
  expect(() => withStore({ mysql: { host: "127.0.0.1", database: "skynetes", users: USERS, ...change } })).toThrow(
    message,
  );
});
