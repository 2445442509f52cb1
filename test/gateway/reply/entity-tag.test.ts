import { describe, expect, test } from "vitest";
import { type AnswerOrigin, entityTagger, matchesTag } from "../../../src/gateway/reply/entity-tag.ts";

type AnswerIdentity = AnswerOrigin & { readonly request: Uint8Array };
const entityTag = ({ request, ...origin }: AnswerIdentity) => entityTagger(origin)(request);

const identity: AnswerIdentity = {
  snapshot: "s1",
  rows: 10n,
  stateDigests: ["a", "b"],
  version: "probe-v1-00000001",
  planDigest: "plan",
  method: "probe.v1.ProbeService/Echo",
  request: Uint8Array.of(1, 2),
  format: "application/json",
};

describe("the tag of an answer", () => {
  test("is the same for the same parts", () => {
    expect(entityTag({ ...identity, request: Uint8Array.of(1, 2), stateDigests: ["a", "b"] })).toBe(
      entityTag(identity),
    );
  });

  test("is the same from a tagger that has made others", () => {
    const { request, ...origin } = identity;
    const tagger = entityTagger(origin);
    const others = [Uint8Array.of(), Uint8Array.of(1), request].map((one) => tagger(one));
    expect(others[2]).toBe(entityTag(identity));
    expect(new Set(others).size).toBe(3);
  });

  test("stays what it was, so that gateways of two releases agree", () => {
    expect(entityTag(identity)).toBe('"ES-6jP5X4iqkyE-qf9T3AvH4-7BodVH5"');
  });

  const changes: { readonly [P in keyof AnswerIdentity]: AnswerIdentity[P] } = {
    snapshot: "s2",
    rows: 11n,
    stateDigests: ["b", "a"],
    version: "probe-v2-00000002",
    planDigest: "another plan",
    method: "probe.v1.ProbeService/Write",
    request: Uint8Array.of(1),
    format: "application/x-ndjson",
  };
  test.each(Object.entries(changes))("differs when its %s does", (part, value) => {
    expect(entityTag({ ...identity, [part]: value })).not.toBe(entityTag(identity));
  });

  test("parts do not run into one another", () => {
    expect(entityTag({ ...identity, stateDigests: ["a,b"] })).not.toBe(entityTag(identity));
  });
});

test("a tag is matched among others and as a weak one; `*` matches none", () => {
  const tag = entityTag(identity);
  expect([tag, `W/${tag}`, `"x" , ${tag}`].map((header) => matchesTag(header, tag))).toEqual([true, true, true]);
  expect(["*", '"x"', "", undefined].map((header) => matchesTag(header, tag))).toEqual([false, false, false, false]);
});
