import { isUtf8 } from "node:buffer";
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseAuthElements, quoteString } from "../../src/protocol/http1/auth-params.ts";
import { formatBasicCredentials, parseBasicCredentials } from "../../src/protocol/http1/basic-credentials.ts";
import {
  answerDigestChallenge,
  chooseDigestChallenge,
  computeDigestResponse,
  computeHa1,
  formatDigestChallenge,
  parseDigestCredentials,
} from "../../src/protocol/http1/digest.ts";
import { parseHtpasswd } from "../../src/proxy/auth/htpasswd.ts";
import { Secret } from "../../src/secret.ts";

const CONTROL = /\p{Cc}/u;
const text = fc.string({ unit: "grapheme", maxLength: 40 }).filter((value) => !CONTROL.test(value));
const user = text.filter((value) => value !== "" && !value.includes(":"));
const password = text.map((value) => new Secret(value));
/** Octets of a field value, one character each. */
const octets = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
/** Text that looks like a field value of this kind, more or less. */
const piece = fc.constantFrom(
  "Digest ",
  "Basic ",
  "username=",
  "realm=",
  "nc=00000001",
  '"',
  ",",
  "=",
  "\\",
  " ",
  "YTpi",
  "qop=auth",
);
const field = fc.oneof(
  octets,
  fc.array(fc.oneof(piece, octets), { maxLength: 20 }).map((parts) => parts.join("")),
);

describe("Basic credentials", () => {
  test("read back as they were written", () => {
    fc.assert(
      fc.property(user, password, (name, secret) => {
        const parsed = parseBasicCredentials(formatBasicCredentials(name, secret) ?? "");
        if (!parsed.ok) throw new Error(parsed.code);
        expect([parsed.credentials.user, parsed.credentials.password.reveal()]).toEqual([name, secret.reveal()]);
      }),
      { numRuns: 150 },
    );
  });

  test("have one spelling: what is read as UTF-8 is written the same, and all else is ISO-8859-1", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
        const value = `Basic ${Buffer.from(bytes).toString("base64")}`;
        const parsed = parseBasicCredentials(value);
        if (!parsed.ok) return;
        const { user: name, password: secret } = parsed.credentials;
        if (isUtf8(bytes)) expect(formatBasicCredentials(name, secret)).toBe(value);
        else expect(`${name}:${secret.reveal()}`).toBe(Buffer.from(bytes).toString("latin1"));
      }),
      { numRuns: 500 },
    );
  });
});

describe("Digest credentials", () => {
  test("answer what was asked, and verify", () => {
    const algorithm = fc.constantFrom("SHA-256" as const, "MD5" as const);
    const visible = fc.stringMatching(/^[ -~]{1,30}$/);
    fc.assert(
      fc.property(user, password, algorithm, visible, fc.boolean(), (name, secret, chosen, uri, stale) => {
        const nonce = "abc-_123";
        const challenge = chooseDigestChallenge([
          formatDigestChallenge({ realm: "r", nonce, algorithm: chosen, stale }),
        ]);
        if (!challenge) throw new Error("no challenge");
        expect(challenge.stale).toBe(stale);
        const counted = { cnonce: 'c"n\\', nonceCount: 0xabc };
        const value = answerDigestChallenge(challenge, { user: name, password: secret, method: "GET", uri, counted });
        const parsed = parseDigestCredentials(value ?? "");
        if (!parsed.ok) throw new Error(value);
        const ha1 = computeHa1(chosen, name, "r", secret);
        const response = computeDigestResponse({ algorithm: chosen, ha1, nonce, method: "GET", uri, counted });
        expect(parsed.credentials).toEqual({
          user: name,
          realm: "r",
          algorithm: chosen,
          nonce,
          uri,
          counted,
          response,
        });
      }),
      { numRuns: 150 },
    );
  });
});

describe("parsers of credentials", () => {
  test("parseAuthElements() reads back any parameter that quoteString() wrote", () => {
    const value = fc.stringMatching(/^[\t -~\u0080-\u00ff]{0,40}$/);
    fc.assert(
      fc.property(value, value, (a, b) => {
        const elements = parseAuthElements(`X a=${quoteString(a)} , b=${quoteString(b)}, Y`);
        expect(elements?.map(({ params }) => Object.fromEntries(params))).toEqual([{ a, b }, {}]);
      }),
      { numRuns: 150 },
    );
  });

  test("never throw, whatever comes", () => {
    fc.assert(
      fc.property(field, fc.string({ unit: "binary" }), (value, file) => {
        parseBasicCredentials(value);
        parseBasicCredentials(`Basic ${value}`);
        parseDigestCredentials(`Digest ${value}`);
        chooseDigestChallenge([value, `Digest ${value}`]);
        const users = parseHtpasswd(file);
        if (!users.ok) expect(users.problems.length).toBeGreaterThan(0);
      }),
      { numRuns: 600 },
    );
  });
});
