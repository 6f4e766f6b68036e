import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Endpoint } from "../../src/address/endpoint.ts";
import { hostFromIp } from "../../src/address/host.ts";
import { ipFromBytes } from "../../src/address/ip.ts";
import type { Parsed } from "../../src/protocol/parsed.ts";
import { encodeSocks4aConnect, parseSocks4Reply } from "../../src/protocol/socks/socks4-client.ts";
import { encodeSocks4Reply, parseSocks4Request } from "../../src/protocol/socks/socks4-server.ts";
import {
  encodeSocks5Connect,
  encodeSocks5Greeting,
  encodeSocks5Password,
  parseSocks5Choice,
  parseSocks5PasswordReply,
  parseSocks5Reply,
  SOCKS5_REPLY_CODES,
} from "../../src/protocol/socks/socks5-client.ts";
import {
  encodeSocks5Choice,
  encodeSocks5PasswordStatus,
  encodeSocks5Reply,
  parseSocks5Greeting,
  parseSocks5Password,
  parseSocks5Request,
} from "../../src/protocol/socks/socks5-server.ts";

type Parser = (bytes: Uint8Array) => Parsed<unknown>;

const parsers: Record<string, { parse: Parser; first: number; longest: number }> = {
  "parseSocks5Choice()": { parse: (bytes) => parseSocks5Choice(bytes, { password: true }), first: 5, longest: 2 },
  "parseSocks5PasswordReply()": { parse: parseSocks5PasswordReply, first: 1, longest: 2 },
  "parseSocks5Reply()": { parse: parseSocks5Reply, first: 5, longest: 262 },
  "parseSocks4Reply()": { parse: parseSocks4Reply, first: 0, longest: 8 },
  "parseSocks5Greeting()": { parse: parseSocks5Greeting, first: 5, longest: 257 },
  "parseSocks5Password()": { parse: parseSocks5Password, first: 1, longest: 513 },
  "parseSocks5Request()": { parse: parseSocks5Request, first: 5, longest: 262 },
  "parseSocks4Request()": { parse: parseSocks4Request, first: 4, longest: 520 },
};

const ip = fc
  .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  .map((bytes) => ipFromBytes(bytes));
const port = fc.integer({ min: 1, max: 65535 });
const label = fc.stringMatching(/^[a-z]([a-z0-9]{0,8}[a-z])?$/);
const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join("."));
const host = fc.oneof(
  ip.map(hostFromIp),
  name.map((text) => ({ kind: "name" as const, text })),
);
const target: fc.Arbitrary<Endpoint> = fc.record({ host, port });
const rest = fc.uint8Array({ maxLength: 20 });

for (const [parserName, { parse, first, longest }] of Object.entries(parsers)) {
  describe(parserName, () => {
    // Anything at all, and things that at least begin right.
    const input = fc.oneof(
      fc.uint8Array({ maxLength: 600 }),
      fc.uint8Array({ maxLength: 600 }).map((bytes) => Uint8Array.of(first, ...bytes)),
      fc
        .array(fc.constantFrom(0, 1, 2, 3, 4, 5, 97), { maxLength: 600 })
        .map((bytes) => Uint8Array.of(first, ...bytes)),
    );

    test("never throws, and decides the same however the bytes are split", () => {
      fc.assert(
        fc.property(input, fc.nat(600), (bytes, at) => {
          const whole = parse(bytes);
          const part = parse(bytes.subarray(0, at));
          if (part.kind !== "more") expect(whole).toEqual(part);
          if (whole.kind === "done") expect(whole.used).toBeLessThanOrEqual(bytes.length);
          if (whole.kind === "bad") expect(whole.at).toBeLessThan(bytes.length);
        }),
        { numRuns: 300 },
      );
    });

    test(`asks for no more after ${longest} bytes`, () => {
      fc.assert(
        fc.property(input, (bytes) => {
          if (bytes.length >= longest) expect(parse(bytes).kind).not.toBe("more");
          else expect(parse(Buffer.concat([bytes, new Uint8Array(longest)])).kind).not.toBe("more");
        }),
        { numRuns: 100 },
      );
    });
  });
}

describe("what one side writes the other side reads", () => {
  /** Reads `message` with bytes after it, and expects to use the message alone. */
  function read<T>(parse: (bytes: Uint8Array) => Parsed<T>, message: Uint8Array, after: Uint8Array): T {
    const parsed = parse(Buffer.concat([message, after]));
    if (parsed.kind !== "done") throw new Error(JSON.stringify(parsed));
    expect(parsed.used).toBe(message.length);
    return parsed.value;
  }

  test("SOCKS5 greetings and choices", () => {
    fc.assert(
      fc.property(fc.boolean(), rest, (password, after) => {
        const greeting = read(parseSocks5Greeting, encodeSocks5Greeting({ password }), after);
        expect(greeting).toEqual({ noAuth: true, password });
        for (const choice of ["no_auth", "none_acceptable", ...(password ? ["password" as const] : [])] as const) {
          expect(read((bytes) => parseSocks5Choice(bytes, { password }), encodeSocks5Choice(choice), after)).toBe(
            choice,
          );
        }
      }),
      { numRuns: 50 },
    );
  });

  test("SOCKS5 user names and passwords", () => {
    const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(text, text, rest, (user, password, after) => {
        const message = encodeSocks5Password(user, password);
        const tooLong = Buffer.byteLength(user) > 255 || Buffer.byteLength(password) > 255;
        expect(message === undefined).toBe(tooLong);
        if (message === undefined) return;
        const credentials = read(parseSocks5Password, message, after);
        expect([credentials.user, credentials.password.reveal()]).toEqual([user, password]);
      }),
      { numRuns: 200 },
    );
    for (const accepted of [true, false]) {
      const result = read(parseSocks5PasswordReply, encodeSocks5PasswordStatus(accepted), Uint8Array.of(1));
      expect(result).toBe(accepted ? "accepted" : "rejected");
    }
  });

  test("SOCKS5 requests", () => {
    fc.assert(
      fc.property(target, rest, (endpoint, after) => {
        const request = read(parseSocks5Request, encodeSocks5Connect(endpoint), after);
        expect(request).toEqual({ command: "connect", target: { ok: true, endpoint } });
      }),
      { numRuns: 300 },
    );
  });

  test("SOCKS5 replies", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SOCKS5_REPLY_CODES),
        fc.option(fc.record({ ip, port }), { nil: undefined }),
        rest,
        (code, bound, after) => {
          const reply = encodeSocks5Reply(code, bound);
          const parsed = parseSocks5Reply(Buffer.concat([reply, after]));
          // After a failure nothing follows that counts.
          expect(parsed).toEqual({ kind: "done", value: code, used: code === "succeeded" ? reply.length : 2 });
        },
      ),
      { numRuns: 200 },
    );
  });

  test("SOCKS4 and SOCKS4a requests and replies", () => {
    const userId = fc.stringMatching(/^[ -~]{0,30}$/);
    fc.assert(
      fc.property(target, userId, rest, (endpoint, user, after) => {
        const encoded = encodeSocks4aConnect(endpoint, user);
        if (!encoded.ok) {
          expect(endpoint.host.kind).toBe("ip");
          return;
        }
        const request = read(parseSocks4Request, encoded.bytes, after);
        expect(request).toEqual({ command: "connect", target: { ok: true, endpoint }, userId: user });
      }),
      { numRuns: 300 },
    );
    for (const code of ["granted", "rejected", "identd_unreachable", "identd_mismatch"] as const) {
      expect(read(parseSocks4Reply, encodeSocks4Reply(code), Uint8Array.of(0))).toBe(code);
    }
  });
});
