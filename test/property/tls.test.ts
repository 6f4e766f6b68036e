import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ByteReader } from "../../src/protocol/tls/read/byte-reader.ts";
import { describeMessage } from "../../src/protocol/tls/explain/describe-message.ts";
import { explainChain } from "../../src/protocol/tls/explain/explain-chain.ts";
import { parseHandshakeMessage } from "../../src/protocol/tls/read/handshake-message.ts";
import { computeJa3 } from "../../src/protocol/tls/read/ja3.ts";
import { computeJa4 } from "../../src/protocol/tls/read/ja4.ts";
import { recogniseFirstBytes } from "../../src/protocol/tls/read/recognise-first-bytes.ts";
import type { TlsEvent } from "../../src/protocol/tls/read/tls-event.ts";
import { TlsWatcher } from "../../src/protocol/tls/read/tls-watcher.ts";
import {
  alpn,
  buildClientHello,
  buildMessage,
  buildRecords,
  serverName,
  u16,
  vector,
} from "../support/build-client-hello.ts";
import { mutateHandshake } from "../support/mutate-handshake.ts";
import { createRandom } from "../support/seeded-random.ts";
import { listTlsFixtures, loadTlsFixture, readOut, watchAll } from "../support/tls-fixture.ts";

type Side = "client" | "server";

const streams = listTlsFixtures()
  .map(loadTlsFixture)
  .flatMap((fixture) => (["client", "server"] as const).map((side) => ({ side, bytes: fixture[side] })))
  .filter(({ bytes }) => bytes.length > 0);

const others = streams.map(({ bytes }) => bytes);

/** Feeds `bytes` in the pieces that end at `cuts`. */
function watchCut(side: Side, bytes: Uint8Array, cuts: readonly number[]): TlsEvent[] {
  const watcher = new TlsWatcher({ from: side });
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((left, right) => left - right);
  let at = 0;
  return ends.flatMap((end) => {
    const piece = bytes.slice(at, end);
    at = end;
    return watcher.push(piece);
  });
}

describe("TlsWatcher", () => {
  test("tells the same of every recorded stream, wherever it is split", () => {
    const whole = new Map(streams.map((stream) => [stream, readOut(watchAll(stream.side, stream.bytes))]));
    fc.assert(
      fc.property(fc.constantFrom(...streams), fc.array(fc.nat(20_000), { maxLength: 12 }), (stream, cuts) => {
        expect(readOut(watchCut(stream.side, stream.bytes, cuts))).toEqual(whole.get(stream) ?? []);
      }),
      { numRuns: 300 },
    );
  });

  test("tells the same of every recorded stream byte by byte", () => {
    for (const { side, bytes } of streams)
      expect(readOut(watchAll(side, bytes, 1))).toEqual(readOut(watchAll(side, bytes)));
  });

  test("reads a hello back as it was built, however it was fragmented", () => {
    const codes = fc.array(fc.nat(0xffff), { maxLength: 40 });
    const name = fc.stringMatching(/^[a-z0-9.-]{1,60}$/);
    const protocol = fc.stringMatching(/^[!-~]{1,20}$/);
    fc.assert(
      fc.property(
        codes,
        codes,
        name,
        fc.array(protocol, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 300 }),
        (cipherSuites, groups, host, protocols, fragmentBytes) => {
          const extensions = [serverName(host), [10, vector(2, u16(...groups))] as const, alpn(...protocols)];
          const body = buildClientHello({ cipherSuites, extensions });
          const [event] = watchAll("client", buildRecords(22, buildMessage(1, body), fragmentBytes));
          expect(event).toMatchObject({
            kind: "handshake",
            message: { cipherSuites, groups, serverName: host, alpn: protocols },
          });
        },
      ),
      { numRuns: 200 },
    );
  });

  test("takes any bytes at all", () => {
    fc.assert(
      fc.property(fc.constantFrom<Side>("client", "server"), fc.uint8Array({ maxLength: 200 }), (side, bytes) => {
        const events = watchAll(side, bytes);
        expect(events.every(({ at, end }) => at <= end && end <= bytes.length)).toBe(true);
        recogniseFirstBytes(bytes);
      }),
      { numRuns: 500 },
    );
  });
});

/**
 * Mutates the recorded streams and checks what must hold whatever comes. The
 * default is about a second; `FUZZ_INPUTS=1000000` for a long run, `FUZZ_SEED`
 * for another sequence. A failure names its input.
 */
const inputs = Number(process.env["FUZZ_INPUTS"] ?? 5_000);
const seed = Number(process.env["FUZZ_SEED"] ?? 8446);
/** Milliseconds. A hundred times what the inputs need; only a hang takes longer. */
const timeout = 30_000 + inputs * 20;
/** Everything that is ever done with what a peer sent. Gives how many messages there were. */
function useAll(events: readonly TlsEvent[]): number {
  let messages = 0;
  for (const event of events) {
    if (event.kind !== "handshake") continue;
    messages++;
    const { message } = event;
    if (!/^[ -~]*$/.test(JSON.stringify(describeMessage(message)))) throw new Error("The description is not plain");
    if (message.type === "client_hello") {
      if (!/^t[0-9s][0-9][di]\d{4}..(?:_[0-9a-f]{12}){2}$/.test(computeJa4(message)))
        throw new Error("The JA4 is not one");
      computeJa3(message);
    }
  }
  return messages;
}

describe("a fuzz", () => {
  test(
    "of handshakes finds no throw, and the same whole and split",
    () => {
      const random = createRandom(seed);
      let messages = 0;
      for (let count = 0; count < inputs; count++) {
        const stream = streams[random.below(streams.length)];
        if (stream === undefined) throw new Error("There are streams");
        const { side } = stream;
        const bytes = mutateHandshake(random, stream.bytes, others);
        try {
          const whole = watchAll(side, bytes);
          messages += useAll(whole);
          const split = watchCut(side, bytes, [random.below(bytes.length + 1), random.below(bytes.length + 1)]);
          if (!Bun.deepEquals(readOut(split), readOut(whole))) throw new Error("A split changes what is told");
          // Certificates come from anybody; reading them is the platform's, and slow.
          if (count % 50 === 0)
            for (const event of whole)
              if (event.kind === "handshake" && event.message.type === "certificate") explainChain(event.message.chain);
        } catch (cause) {
          throw new Error(`Input ${count} of seed ${seed} fails, from the ${side}: ${bytes.toHex()}`, { cause });
        }
      }
      // A fuzz that is turned away at the door would prove nothing of the rooms.
      expect(messages).toBeGreaterThan(inputs / 2);
    },
    timeout,
  );

  test(
    "of message bodies finds no throw",
    () => {
      const random = createRandom(seed);
      let done = 0;
      for (let count = 0; count < inputs; count++) {
        const cipherSuite = [0xc02f, 0x009f, 0x00aa, 0xcccc, 0x00a8, 0xc018][random.below(6)] ?? 0;
        const body = random.bytes(random.below(60)).map((byte) => (byte < 128 ? byte & 3 : byte));
        const type = [1, 2, 4, 11, 12, 13, 15, 16][random.below(8)] ?? 0;
        const parsed = parseHandshakeMessage(type, new ByteReader(body), {
          cipherSuite,
          version: 0x0300 + random.below(5),
        });
        if (parsed.kind === "done") done++;
        else if (parsed.at > body.length) throw new Error("The offset is outside");
      }
      expect(done).toBeGreaterThan(0);
    },
    timeout,
  );

  test("of endless streams holds one message at most", () => {
    const watcher = new TlsWatcher({ from: "client" });
    const hello = buildMessage(1, buildClientHello({ extensions: [serverName("a.example")] }));
    watcher.push(buildRecords(22, hello));
    // The beginning of a message of 65535 bytes, then one byte a record, for ever.
    const begun = watcher.push(buildRecords(22, Uint8Array.of(16, 0, 0xff, 0xff)));
    expect(begun).toEqual([]);
    const one = Uint8Array.of(22, 3, 3, 0, 1, 7);
    let pushed = 0;
    let events: readonly TlsEvent[] = [];
    while (events.length === 0 && pushed < 100_000) {
      events = watcher.push(one);
      pushed++;
    }
    expect(pushed).toBe(65_535);
    expect(events).toMatchObject([{ kind: "handshake", message: { type: "other", length: 65_535 } }]);
  });
});
