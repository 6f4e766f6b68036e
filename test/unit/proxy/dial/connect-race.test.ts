import { afterEach, describe, expect, test } from "bun:test";
import type { Ip } from "../../../../src/address/ip.ts";
import type { Conn } from "../../../../src/net/conn/conn.ts";
import { LoopTimers } from "../../../../src/net/conn/loop-timers.ts";
import type { ConnectResult, ConnectTarget } from "../../../../src/net/runtime/connect.ts";
import type { Lookup } from "../../../../src/net/dns/resolver.ts";
import type { SocketConn } from "../../../../src/net/runtime/socket-conn.ts";
import { type Connected, type Questions, raceConnect, type RacePace } from "../../../../src/proxy/dial/connect-race.ts";
import type { Failure, Outcome } from "../../../../src/proxy/failure.ts";
import { makeIp } from "../../../support/make-policy.ts";
import { TimeLimit } from "../../../../src/net/conn/time-limit.ts";

/** Delays that never end within a test, so that only events make the race go on. */
const NEVER = 1_000_000;

/** A network in which nothing happens unless the test says so. */
class Network {
  readonly dialled: string[] = [];
  readonly cancelled: string[] = [];
  readonly limits: TimeLimit[] = [];
  readonly #pending = new Map<string, (result: ConnectResult) => void>();

  readonly connect = ({ ip, source }: ConnectTarget, done: (result: ConnectResult) => void) => {
    const name = source === undefined ? ip.text : `${source.text}>${ip.text}`;
    this.dialled.push(name);
    this.#pending.set(name, done);
    return { cancel: () => void this.cancelled.push(name) };
  };

  /** Lets the attempt to `text` end. */
  settle(text: string, code?: string): void {
    const done = this.#pending.get(text);
    if (done === undefined) throw new Error(`nobody dials ${text}`);
    done(code === undefined ? { ok: true, conn: {} as SocketConn } : { ok: false, code });
  }

  race(
    questions: Questions,
    more: { pace?: Partial<RacePace>; refuse?: (ip: Ip) => Failure | undefined; client?: Conn; source?: Ip } = {},
  ): Promise<Outcome<Connected>> {
    const limit = new TimeLimit(NEVER, more.client);
    this.limits.push(limit);
    return raceConnect(questions, {
      port: 443,
      source: more.source,
      refuse: more.refuse ?? (() => undefined),
      connect: this.connect,
      limit,
      pace: { resolutionDelayMs: NEVER, attemptDelayMs: NEVER, ...more.pace },
    });
  }
}

let network = new Network();
afterEach(() => {
  for (const limit of network.limits) limit.release();
  network = new Network();
});

function found(...texts: string[]): Lookup {
  return { ok: true, name: "name.test", addresses: texts.map(makeIp) };
}

const nothing: Lookup = { ok: false, detail: "dns_error", note: "ENOTFOUND" };

/** Both families, each answered or still to be answered. */
function ask(six: Lookup | Promise<Lookup>, four: Lookup | Promise<Lookup>): Questions {
  return [
    { family: 6, answer: six },
    { family: 4, answer: four },
  ];
}

function later() {
  return Promise.withResolvers<Lookup>();
}

/** Lets every promise that is settled be heard. */
async function settlePromises(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
}

async function textOf(race: Promise<Outcome<Connected>>): Promise<string> {
  const outcome = await race;
  return outcome.ok ? outcome.value.address.ip.text : outcome.failure.detail;
}

describe("raceConnect()", () => {
  test("dials the one address there is, and gives up nobody", async () => {
    const race = network.race(ask(nothing, found("192.0.2.1")));
    expect(network.dialled).toEqual(["192.0.2.1"]);
    network.settle("192.0.2.1");
    expect(await textOf(race)).toBe("192.0.2.1");
    expect(network.cancelled).toEqual([]);
  });

  test("takes the families in turn, IPv6 first, each next one at once when the last one failed", async () => {
    const race = network.race(ask(found("2001:db8::1", "2001:db8::2"), found("192.0.2.1", "192.0.2.2")));
    for (const text of ["2001:db8::1", "192.0.2.1", "2001:db8::2"]) network.settle(text, "ECONNREFUSED");
    expect(network.dialled).toEqual(["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2"]);
    network.settle("192.0.2.2");
    expect(await textOf(race)).toBe("192.0.2.2");
  });

  test("starts the next attempt beside one that takes its time, and gives up the loser", async () => {
    const race = network.race(ask(found("2001:db8::1"), found("192.0.2.1")), { pace: { attemptDelayMs: 1 } });
    expect(network.dialled).toEqual(["2001:db8::1"]);
    while (network.dialled.length < 2) await Bun.sleep(1);
    network.settle("192.0.2.1");
    expect(await textOf(race)).toBe("192.0.2.1");
    expect(network.cancelled).toEqual(["2001:db8::1"]);
  });

  test("starts with IPv6 as soon as its answer is there", () => {
    void network.race(ask(found("2001:db8::1"), later().promise));
    expect(network.dialled).toEqual(["2001:db8::1"]);
  });

  test("holds IPv4 back for a moment when its answer comes first", async () => {
    const six = later();
    void network.race(ask(six.promise, found("192.0.2.1")));
    expect(network.dialled).toEqual([]);
    six.resolve(found("2001:db8::1"));
    await settlePromises();
    expect(network.dialled).toEqual(["2001:db8::1"]);
  });

  test("goes with IPv4 when the moment is over", async () => {
    const race = network.race(ask(later().promise, found("192.0.2.1")), { pace: { resolutionDelayMs: 1 } });
    while (network.dialled.length === 0) await Bun.sleep(1);
    network.settle("192.0.2.1");
    expect(await textOf(race)).toBe("192.0.2.1");
  });

  test("goes with IPv4 at once when there is no IPv6", async () => {
    const six = later();
    void network.race(ask(six.promise, found("192.0.2.1")));
    six.resolve(nothing);
    await settlePromises();
    expect(network.dialled).toEqual(["192.0.2.1"]);
  });

  test("takes up addresses that come after every attempt so far has failed", async () => {
    const four = later();
    const race = network.race(ask(found("2001:db8::1"), four.promise));
    network.settle("2001:db8::1", "ENETUNREACH");
    four.resolve(found("192.0.2.1"));
    await settlePromises();
    network.settle("192.0.2.1");
    expect(await textOf(race)).toBe("192.0.2.1");
  });

  test("lets addresses that come during an attempt wait for their turn", async () => {
    const four = later();
    void network.race(ask(found("2001:db8::1"), four.promise));
    four.resolve(found("192.0.2.1"));
    await settlePromises();
    expect(network.dialled).toEqual(["2001:db8::1"]);
    network.settle("2001:db8::1", "ECONNREFUSED");
    expect(network.dialled).toEqual(["2001:db8::1", "192.0.2.1"]);
  });

  test("never dials an address that is refused, and says why when there is no other", async () => {
    const refuse = (ip: Ip) => ({ detail: "address_prohibited", note: ip.text }) as const;
    const race = network.race(ask(found("::1"), found("10.0.0.1")), { refuse });
    expect(await race).toEqual({ ok: false, failure: { detail: "address_prohibited", note: "::1" } });
    expect(network.dialled).toEqual([]);
  });

  test("dials what is left of an answer that is refused in part", async () => {
    const refuse = (ip: Ip) => (ip.text.startsWith("10.") ? ({ detail: "address_prohibited" } as const) : undefined);
    const race = network.race(ask(nothing, found("10.0.0.1", "192.0.2.1")), { refuse });
    expect(network.dialled).toEqual(["192.0.2.1"]);
    network.settle("192.0.2.1", "ECONNREFUSED");
    expect(await textOf(race)).toBe("connection_refused");
  });

  test("tells the most telling of several failures", async () => {
    const cases: [string, string, string][] = [
      ["ENETUNREACH", "ECONNREFUSED", "connection_refused"],
      ["ECONNREFUSED", "ENETUNREACH", "connection_refused"],
      ["ENETUNREACH", "ETIMEDOUT", "connection_timeout"],
      ["EMFILE", "ENETUNREACH", "out_of_resources"],
      ["EHOSTUNREACH", "ENETUNREACH", "address_unroutable"],
    ];
    for (const [six, four, detail] of cases) {
      const race = network.race(ask(found("2001:db8::1"), found("192.0.2.1")));
      network.settle("2001:db8::1", six);
      network.settle("192.0.2.1", four);
      expect(await textOf(race)).toBe(detail);
    }
  });

  test("tells why a name has no address", async () => {
    expect(await textOf(network.race(ask(nothing, nothing)))).toBe("dns_error");
    const timedOut: Lookup = { ok: false, detail: "dns_timeout", note: "ETIMEOUT" };
    expect(await textOf(network.race(ask(nothing, timedOut)))).toBe("dns_timeout");
    const broken: Lookup = { ok: false, detail: "dns_error", note: "ESERVFAIL" };
    expect(await network.race(ask(broken, nothing))).toMatchObject({ failure: { note: "ESERVFAIL" } });
  });

  test("makes sixteen attempts and no more", async () => {
    const texts = Array.from({ length: 32 }, (_, at) => `192.0.2.${at}`);
    const race = network.race(ask(nothing, found(...texts)));
    for (const text of texts.slice(0, 16)) network.settle(text, "ECONNREFUSED");
    expect(await textOf(race)).toBe("connection_refused");
    expect(network.dialled).toHaveLength(16);
  });

  test("connects from the source address", () => {
    void network.race(ask(nothing, found("192.0.2.1")), { source: makeIp("192.0.2.77") });
    expect(network.dialled).toEqual(["192.0.2.77>192.0.2.1"]);
  });

  test("gives everything up when the client goes away", async () => {
    const client = { closed: false, whenClosed: undefined, timers: new LoopTimers() } as unknown as Conn;
    const race = network.race(ask(found("2001:db8::1"), later().promise), { client });
    client.whenClosed?.();
    expect(await textOf(race)).toBe("client_gone");
    expect(network.cancelled).toEqual(["2001:db8::1"]);
  });

  test("does not even begin for a client that is gone", async () => {
    const client = { closed: true, whenClosed: undefined, timers: new LoopTimers() } as unknown as Conn;
    expect(await textOf(network.race(ask(nothing, found("192.0.2.1")), { client }))).toBe("client_gone");
    expect(network.dialled).toEqual([]);
  });
});

describe("TimeLimit", () => {
  function raceUnder(limit: TimeLimit, questions: Questions): Promise<Outcome<Connected>> {
    const pace = { resolutionDelayMs: NEVER, attemptDelayMs: NEVER };
    return raceConnect(questions, {
      port: 443,
      source: undefined,
      refuse: () => undefined,
      connect: network.connect,
      limit,
      pace,
    });
  }

  test("ends a connect that takes too long", async () => {
    const race = raceUnder(new TimeLimit(5), ask(nothing, found("192.0.2.1")));
    expect(await textOf(race)).toBe("connection_timeout");
    expect(network.cancelled).toEqual(["192.0.2.1"]);
  });

  test("ends a lookup that takes too long", async () => {
    expect(await textOf(raceUnder(new TimeLimit(5), ask(later().promise, later().promise)))).toBe("dns_timeout");
  });

  test("prefers what an attempt has shown to the lookup that is still under way", async () => {
    const race = raceUnder(new TimeLimit(5), ask(found("2001:db8::1"), later().promise));
    network.settle("2001:db8::1", "ECONNREFUSED");
    expect(await textOf(race)).toBe("connection_refused");
  });

  test("stops who says so late, at once", () => {
    const client = { closed: true, whenClosed: undefined, timers: new LoopTimers() } as unknown as Conn;
    const limit = new TimeLimit(NEVER, client);
    let stopped = 0;
    limit.whenOver(() => (stopped += 1));
    expect(stopped).toBe(1);
    limit.release();
  });

  test("leaves the client alone once it is released", () => {
    const client = { closed: false, whenClosed: undefined, timers: new LoopTimers() } as unknown as Conn;
    const limit = new TimeLimit(NEVER, client);
    expect(client.whenClosed).toBeDefined();
    limit.release();
    expect(client.whenClosed).toBeUndefined();
    expect(limit.remainingMs).toBeGreaterThan(0);
  });
});
