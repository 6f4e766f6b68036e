import { describe, expect, test } from "bun:test";
import fc from "fast-check";

import { checkConfig } from "../../src/config/check.ts";
import { gatherMaterials } from "../../src/config/gather-materials.ts";
import { applyOverrides } from "../../src/config/overrides.ts";
import { parseJson } from "../support/at-once.ts";
import { parseListenerAddress } from "../../src/config/listener-address.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { parseDuration, parseSize } from "../../src/config/quantity.ts";
import { suggest } from "../../src/config/suggest.ts";
import { parseTargetPattern } from "../../src/config/target-pattern.ts";
import { parseUpstreamUrl } from "../../src/config/upstream-url.ts";

/** Texts that come near to what is read. */
const nearText = fc.oneof(
  fc.string({ maxLength: 40, unit: "binary" }),
  fc
    .array(
      fc.constantFrom(
        "*",
        ".",
        ":",
        "[",
        "]",
        "/",
        "@",
        "-",
        ",",
        "a",
        "1",
        "255",
        "::",
        "http://",
        "socks5://",
        "%4",
        "10s",
        "KiB",
      ),
      { maxLength: 8 },
    )
    .map((parts) => parts.join("")),
);

const settingNames = [
  "listen",
  "users",
  "upstreams",
  "rules",
  "default",
  "sidecar",
  "clients",
  "timeouts",
  "limits",
  "to",
  "via",
  "from",
  "name",
  "password",
  "url",
  "host",
  "port",
  "env",
  "file",
  "deny",
  "unix",
  "token",
];

/** Configurations of any shape, with names that mean something in places where they need not. */
const anyConfig = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    nearText,
    fc.constantFrom(
      undefined,
      null,
      true,
      false,
      0,
      8080,
      -1,
      1.5,
      Number.NaN,
      "direct",
      "corp",
      "0.0.0.0:1",
      () => undefined,
    ),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...settingNames), fc.string({ maxLength: 5 })), tie("value"), {
      maxKeys: 4,
    }),
  ),
})).value;

describe("reading a configuration", () => {
  test("never throws, whatever is in it, and gives a value or at least one problem", () => {
    fc.assert(
      fc.property(anyConfig, (raw) => {
        const checked = checkConfig(raw);
        if (checked.ok) return;
        expect(checked.problems.length).toBeGreaterThan(0);
        for (const problem of checked.problems) expect(formatProblem(problem).length).toBeLessThan(2000);
      }),
      { numRuns: 1000 },
    );
  });

  test("gathers materials of anything without throwing", async () => {
    const nothing = () => Promise.resolve({ ok: false as const, reason: "there is nothing" });
    await fc.assert(
      fc.asyncProperty(anyConfig, async (raw) => {
        await gatherMaterials(raw, { folder: "/", variables: {}, terminal: false }, nothing);
      }),
    );
  });

  test("overrides anything without throwing", () => {
    const names = fc.constantFrom(
      "PENSTOCK_LISTEN",
      "PENSTOCK_USERS",
      "PENSTOCK_USERS_FILE",
      "PENSTOCK_SIDECAR_PORT",
      "PENSTOCK_SIDECAR_UNIX",
      "PENSTOCK_X",
    );
    fc.assert(
      fc.property(anyConfig, fc.dictionary(names, nearText), nearText, (raw, variables, text) => {
        applyOverrides(raw, variables, { sidecar: text, user: [text], listen: [text] }, "/");
      }),
    );
  });
});

describe("reading single values", () => {
  test("never throws", () => {
    fc.assert(
      fc.property(nearText, (text) => {
        for (const parse of [parseTargetPattern, parseUpstreamUrl, parseListenerAddress, parseDuration, parseSize])
          expect(typeof parse(text).ok).toBe("boolean");
        suggest(text, settingNames);
      }),
      { numRuns: 2000 },
    );
  });

  test("parseUpstreamUrl() reads back every percent-encoded user and password", () => {
    const part = fc.string({ minLength: 1, maxLength: 20 }).filter((each) => !/\p{Cc}/u.test(each));
    fc.assert(
      fc.property(part, part, (user, password) => {
        const url = `http://${encodeURIComponent(user)}:${encodeURIComponent(password)}@proxy:3128`;
        expect(parseUpstreamUrl(url)).toMatchObject({ ok: true, value: { credentials: { user, password } } });
      }),
    );
  });

  test("parseDuration() reads every whole number of every unit that a timer can hold", () => {
    const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
    fc.assert(
      fc.property(fc.constantFrom("ms", "s", "m", "h", "d"), fc.nat(999_999_999), (unit, count) => {
        const value = count * units[unit];
        expect(parseDuration(`${count}${unit}`).ok).toBe(value <= 2 ** 31 - 1);
      }),
    );
  });
});

describe("parseJson()", () => {
  test("agrees with JSON.parse on every value", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(parseJson(text)).toEqual({ ok: true, value: JSON.parse(text) as unknown });
      }),
    );
  });

  test("accepts nothing that JSON.parse refuses", () => {
    const damaged = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom("", "x", ",", '"', "}", "\\", "\n", "0"))
      .map(([text, at, piece]) => {
        const cut = at % (text.length + 1);
        return text.slice(0, cut) + piece + text.slice(cut + 1);
      });
    fc.assert(
      fc.property(damaged, (text) => {
        if (parseJson(text).ok) JSON.parse(text);
      }),
      { numRuns: 1000 },
    );
  });
});
