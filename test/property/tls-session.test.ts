import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ByteReader } from "../../src/protocol/tls/read/byte-reader.ts";
import { HANDSHAKE_TYPE } from "../../src/protocol/tls/read/handshake-message.ts";
import { describeMessage } from "../../src/protocol/tls/explain/describe-message.ts";
import { readTlsSession } from "../../src/protocol/tls/explain/read-tls-session.ts";
import { parseTls13Message } from "../../src/protocol/tls/explain/tls13-message.ts";
import { listTlsFixtures, loadTlsFixture } from "../support/tls-fixture.ts";

const fixtures = listTlsFixtures().map(loadTlsFixture);

/** A byte to change, and to what. */
const changes = fc.array(fc.tuple(fc.nat(4096), fc.nat(255)), { maxLength: 6 });

function change(bytes: Uint8Array, edits: readonly (readonly [number, number])[]): Uint8Array {
  const changed = new Uint8Array(bytes);
  for (const [at, value] of edits) if (changed.length > 0) changed[at % changed.length] = value;
  return changed;
}

describe("readTlsSession()", () => {
  test("tells something of every damaged session, and throws at none", () => {
    const lengths = fc.tuple(fc.nat(10_000), fc.nat(10_000));
    fc.assert(
      fc.property(fc.constantFrom(...fixtures), changes, changes, lengths, (fixture, ours, theirs, [up, down]) => {
        const client = change(fixture.client.subarray(0, up), ours);
        const server = change(fixture.server.subarray(0, down), theirs);
        for (const message of readTlsSession(client, server, fixture.keylog ?? "").messages) {
          expect(message.name).toMatch(/^[ -~]+$/);
          expect(message.end).toBeLessThanOrEqual(message.from === "client" ? client.length : server.length);
        }
      }),
      { numRuns: 400 },
    );
  });
});

describe("parseTls13Message()", () => {
  test("gives a message or a reason for any bytes, in printable words", () => {
    const type = fc.constantFrom(...Object.values(HANDSHAKE_TYPE), 25);
    fc.assert(
      fc.property(type, fc.uint8Array({ maxLength: 80 }), (handshakeType, body) => {
        const parsed = parseTls13Message(handshakeType, new ByteReader(body));
        if (parsed.kind === "bad") return expect(parsed.at).toBeLessThanOrEqual(body.length);
        const { fields } = describeMessage(parsed.value);
        expect(fields.flatMap(({ value }) => value).join("")).toMatch(/^[ -~]*$/);
      }),
      { numRuns: 2000 },
    );
  });
});
