import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ByteReader } from "../../src/protocol/tls/read/byte-reader.ts";
import { parseClientHello } from "../../src/protocol/tls/read/client-hello.ts";
import { parseServerHello } from "../../src/protocol/tls/read/server-hello.ts";
import type { InsideDemand } from "../../src/proxy/policy/inside-demand.ts";
import { makeServerNames } from "../support/make-policy.ts";
import { mutateHandshake } from "../support/mutate-handshake.ts";
import { createRandom } from "../support/seeded-random.ts";
import { demandTls, forgetTimes, makeTapStand, type TapStand } from "../support/tap-stand.ts";
import { listTlsFixtures, loadTlsFixture, type TlsFixture, watchAll } from "../support/tls-fixture.ts";

const fixtures = new Map(listTlsFixtures().map((name) => [name, loadTlsFixture(name)]));

const demands: readonly (InsideDemand | undefined)[] = [
  undefined,
  demandTls(),
  demandTls({ sni: "match" }),
  demandTls({ minVersion: 0x0303 }),
  demandTls({ ja4: new Set(["t13d3112h2_e8f1e7e78f70_b26ce05bbdd6"]) }),
  { protocols: new Set(["tls", "unknown", "http", "ssh", "smtp"]), sni: makeServerNames("*.example") },
];

/** Feeds a connection, cut where `cuts` say; each number is used for one chunk, in turn. */
function feedCut(stand: TapStand, segments: TlsFixture["segments"], cuts: readonly number[]): void {
  let turn = 0;
  for (const { from, bytes } of segments)
    for (let at = 0; at < bytes.length;) {
      const size = cuts[turn++ % cuts.length] ?? 1;
      stand.feed(from, bytes.subarray(at, at + size));
      at += size;
    }
}

/** Whatever the client says meets it. */
const demandAny: InsideDemand = { protocols: new Set(["tls", "unknown", "http", "ssh", "smtp"]) };

const someName = fc.constantFrom(...fixtures.keys());
/** Tests deal in names, so that a counterexample can be read. */
function getFixture(name: string): TlsFixture {
  const fixture = fixtures.get(name);
  if (fixture === undefined) throw new Error(`There is no fixture ${name}`);
  return fixture;
}

const someDemand = fc.constantFrom(...demands);
const someCuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 3000 })), {
  minLength: 1,
  maxLength: 12,
});

describe("the first-bytes tap", () => {
  test("comes to the same verdict and the same facts wherever the bytes are cut", () => {
    fc.assert(
      fc.property(someName, someDemand, someCuts, (name, demand, cuts) => {
        const fixture = getFixture(name);
        const options = demand === undefined ? {} : { demand };
        const [whole, cut] = [makeTapStand(options), makeTapStand(options)];
        feedCut(whole, fixture.segments, [Infinity]);
        feedCut(cut, fixture.segments, cuts);
        expect(cut.failure).toEqual(whole.failure);
        expect(forgetTimes(cut.facts)).toEqual(forgetTimes(whole.facts));
        if (cut.failure === undefined) {
          expect(cut.up.equals(fixture.client)).toBe(true);
          expect(cut.down.equals(fixture.server)).toBe(true);
        }
        whole.tap.close();
        cut.tap.close();
      }),
      { numRuns: 150 },
    );
  });

  test("learns the same with a demand that is met as without one, whole and cut, whatever the target answers", () => {
    fc.assert(
      fc.property(someName, someCuts, fc.option(fc.tuple(fc.nat(1500), fc.nat(255))), (name, cuts, change) => {
        const segments = getFixture(name).segments.map(({ from, bytes }) => ({ from, bytes: bytes.slice() }));
        const answer = segments.find(({ from }) => from === "server");
        if (change !== null && answer !== undefined && change[0] < answer.bytes.length)
          answer.bytes[change[0]] = change[1];
        const whole = makeTapStand();
        feedCut(whole, segments, [Infinity]);
        for (const options of [{}, { demand: demandTls() }, { demand: demandAny }])
          for (const pieces of [[Infinity], cuts]) {
            const stand = makeTapStand(options);
            feedCut(stand, segments, pieces);
            expect(forgetTimes(stand.facts)).toEqual(forgetTimes(whole.facts));
            expect(stand.up.equals(whole.up) && stand.down.equals(whole.down)).toBe(true);
            stand.tap.close();
          }
      }),
      { numRuns: 150 },
    );
  });

  test("lets through what came and nothing else, in order, whatever is sent", () => {
    const chunk = fc.record({
      from: fc.constantFrom("client" as const, "server" as const),
      bytes: fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.record({ name: someName, at: fc.nat(400), change: fc.nat(255) }).map(({ name, at, change }) => {
          const bytes = getFixture(name).client.slice(0, 700);
          bytes[at] = change;
          return bytes;
        }),
        someName.map((name) => getFixture(name).server.slice(0, 700)),
      ),
    });
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 8 }), someDemand, fc.boolean(), (segments, demand, ends) => {
        const stand = makeTapStand(demand === undefined ? {} : { demand });
        feedCut(stand, segments, [Infinity]);
        if (ends) stand.end();
        const sent = (from: string) =>
          Buffer.concat(segments.filter((segment) => segment.from === from).map(({ bytes }) => bytes));
        expect(sent("client").subarray(0, stand.up.length).equals(stand.up)).toBe(true);
        expect(sent("server").subarray(0, stand.down.length).equals(stand.down)).toBe(true);
        if (demand === undefined) expect([stand.up.length, stand.failure]).toEqual([sent("client").length, undefined]);
        expect((stand.lastWords === undefined) === (stand.failure === undefined)).toBe(true);
        stand.tap.close();
      }),
      { numRuns: 300 },
    );
  });

  test("never lets a whole hello through that a rule would refuse", () => {
    fc.assert(
      fc.property(someName, someCuts, fc.nat(600), fc.nat(255), (name, cuts, at, change) => {
        const bytes = getFixture(name).client.slice();
        bytes[at] = change;
        const stand = makeTapStand({ demand: demandTls({ sni: "match" }) });
        feedCut(stand, [{ from: "client", bytes }], cuts);
        const passed = watchAll("client", stand.up);
        for (const event of passed)
          if (event.kind === "handshake" && event.message.type === "client_hello")
            expect(event.message.serverName?.toLowerCase()).toBe("server.example");
        stand.tap.close();
      }),
      { numRuns: 200 },
    );
  });
});

/**
 * Mutates recorded connections and shows them to taps whole and cut, with a demand and without.
 * The default is about a second; `FUZZ_INPUTS=1000000` for a long run,
 * `FUZZ_SEED` for another sequence. A failure names its input.
 */
const inputs = Number(process.env["FUZZ_INPUTS"] ?? 5_000);
const seed = Number(process.env["FUZZ_SEED"] ?? 8446);

test(
  "a fuzz of connections finds no throw, no byte lost, and the same facts whole and cut, with a demand and without",
  () => {
    const random = createRandom(seed);
    const all = [...fixtures.values()];
    const sides = { client: all.map(({ client }) => client), server: all.map(({ server }) => server) };
    let read = 0;
    for (let count = 0; count < inputs; count += 1) {
      const { segments } = all[random.below(all.length)] ?? getFixture("curl");
      // Most often the side that answers, since a hello that is spoilt ends the story.
      const spoilt = random.below(3) === 0 ? "client" : "server";
      const sent = segments.map(({ from, bytes }) => ({
        from,
        bytes: from === spoilt ? mutateHandshake(random, bytes, sides[from]) : bytes,
      }));
      try {
        const cuts = [1 + random.below(2_000)];
        const [passive, cut, demanded] = [makeTapStand(), makeTapStand(), makeTapStand({ demand: demandAny })];
        feedCut(passive, sent, [Infinity]);
        feedCut(cut, sent, cuts);
        feedCut(demanded, sent, cuts);
        const whole = (from: string) =>
          Buffer.concat(sent.filter((one) => one.from === from).map(({ bytes }) => bytes));
        // What is still held may go on when the client has ended.
        demanded.end();
        for (const { up, down } of [passive, cut, demanded])
          if (!up.equals(whole("client")) || !down.equals(whole("server"))) throw new Error("Bytes differ");
        if (passive.facts.tls !== undefined) read += 1;
        const found = JSON.stringify(forgetTimes(passive.facts));
        for (const { facts } of passive.facts.tls === undefined ? [cut] : [cut, demanded])
          if (JSON.stringify(forgetTimes(facts)) !== found)
            throw new Error(`It finds ${JSON.stringify(facts)}, and whole ${found}`);
        passive.tap.close();
        cut.tap.close();
        demanded.tap.close();
      } catch (cause) {
        const text = sent.map(({ from, bytes }) => `${from} ${bytes.toHex()}`).join(", ");
        throw new Error(`Input ${count} of seed ${seed} fails: ${text}`, { cause });
      }
    }
    expect(read).toBeGreaterThan(inputs / 2);
  },
  // A hundred times what the inputs need; only a hang takes longer.
  30_000 + inputs * 20,
);

test("the parsers of hellos never throw, whatever the bytes", () => {
  const changes = fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { maxLength: 4 });
  fc.assert(
    fc.property(someName, changes, fc.nat(700), (name, changed, length) => {
      for (const side of [getFixture(name).client, getFixture(name).server]) {
        const bytes = side.slice(0, length);
        for (const [at, value] of changed) if (at < bytes.length) bytes[at] = value;
        for (const start of [0, 5, 9].filter((at) => at <= bytes.length)) {
          parseClientHello(new ByteReader(bytes, start));
          parseServerHello(new ByteReader(bytes, start));
        }
      }
    }),
    { numRuns: 500 },
  );
});
