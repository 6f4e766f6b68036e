import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { UserNames } from "../../src/protocol/user-parameters.ts";
import { parseUserTemplate } from "../../src/config/user-template.ts";

const known = ["session", "country", "t"];
const names = new UserNames(known);
const token = fc.oneof(fc.constantFrom(...known, "", "a1", "x y", "é", "__proto__"), fc.string({ maxLength: 5 }));
const written = fc.array(token, { maxLength: 9 }).map((tokens) => tokens.join("-"));
const value = fc.stringMatching(/^[A-Za-z0-9._]{1,64}$/);
const parameters = fc.dictionary(fc.constantFrom(...known), value);

describe("user names with parameters", () => {
  test("read back as they were put together, in any order", () => {
    const plain = written.filter((text) => {
      const found = names.read(text);
      return text !== "" && found.ok && found.parameters === undefined;
    });
    fc.assert(
      fc.property(plain, parameters, fc.boolean(), (user, given, reversed) => {
        const pairs = Object.entries(given);
        const text = [user, ...(reversed ? pairs.toReversed() : pairs).flat()].join("-");
        const found = names.read(text);
        expect(found.ok && [found.user, { ...found.parameters }]).toEqual([user, given]);
      }),
      { numRuns: 1000 },
    );
  });

  test("never lead to an empty user or to values that no client may send", () => {
    fc.assert(
      fc.property(written, (text) => {
        const found = names.read(text);
        if (!found.ok) return;
        if (text !== "") expect(found.user).not.toBe("");
        expect(text.startsWith(found.user)).toBe(true);
        for (const [name, given] of Object.entries(found.parameters ?? {})) {
          expect(known).toContain(name);
          expect(given).toMatch(/^[A-Za-z0-9._]{1,64}$/);
        }
        // The user that is left is one that the configuration accepts.
        expect(names.read(found.user)).toEqual({ ok: true, user: found.user, parameters: undefined });
      }),
      { numRuns: 3000 },
    );
  });
});

describe("user names for upstreams", () => {
  const sign = fc.constantFrom("-", "_", ";", ".", "=", "--", "-s-", "_cc-", ":x@", "+");
  const anyText = fc.string({ unit: "grapheme", maxLength: 12 });
  /** Two requesters, often alike. */
  const person = fc.record({ user: anyText, session: anyText, country: anyText });

  test("differ when values differ, however they are chosen", () => {
    fc.assert(
      fc.property(fc.tuple(sign, sign, sign), person, person, ([a, b, c], one, other) => {
        const parsed = parseUserTemplate(`c${a}{user}${b}{session}${c}{country}`);
        if (!parsed.ok || typeof parsed.value === "string") throw new Error("no template");
        const template = parsed.value;
        const [first, second] = [one, other].map(({ user, session, country }) => {
          const from = { user, parameters: { session, country } };
          const resolved = template.resolve(from);
          return [resolved.ok && resolved.user, template.identify(from)] as const;
        }) as [readonly [string, string], readonly [string, string]];
        const isSame = one.user === other.user && one.session === other.session && one.country === other.country;
        expect(first[0] === second[0]).toBe(isSame);
        expect(first[1] === second[1]).toBe(isSame);
        // Nothing but what the template has itself, and what is written for values.
        expect(first[0]).toMatch(/^[A-Za-z0-9._~@+;=:%-]*$/);
        expect(first[0].split(b).length).toBeGreaterThan(1);
      }),
      { numRuns: 1000 },
    );
  });
});
