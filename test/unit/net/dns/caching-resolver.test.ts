import { describe, expect, test } from "bun:test";
import type { NameAnswer } from "../../../../src/net/dns/ask-servers.ts";
import { CachingResolver, type LocalNames } from "../../../../src/net/dns/caching-resolver.ts";
import { createWalk } from "../../../../src/net/dns/name-walk.ts";
import { parseResolvConf, type ResolvConf } from "../../../../src/net/dns/resolv-conf.ts";
import { knowLookups, type Lookup, type Lookups } from "../../../../src/net/dns/resolver.ts";
import { TYPE_AAAA } from "../../../../src/protocol/dns/message.ts";
import { clientKey } from "../../../../src/address/client-key.ts";
import { makeIp } from "../../../support/make-policy.ts";

const NO_NAME: NameAnswer = { kind: "no_name" };

function found(ttl: number, ...octets: number[]): NameAnswer {
  return { kind: "found", addresses: octets.map((octet) => Uint8Array.of(192, 0, 2, octet)), ttl };
}

/** A resolver over name servers that the test holds in its hands, with a clock of its own. */
class Stand {
  now = 0;
  version = 0;
  changes = 0;
  conf: ResolvConf = parseResolvConf("", "");
  local: Lookups | undefined;
  readonly asked: string[] = [];
  readonly cancelled: string[] = [];
  /** What is answered at once; undefined leaves the question open, for `settle`. */
  reply: (name: string, family: 4 | 6) => NameAnswer | undefined = (_, family) =>
    family === 4 ? found(60, 1) : NO_NAME;
  readonly #open = new Map<string, (answer: NameAnswer) => void>();

  readonly #names: LocalNames = {
    find: () => this.local,
    completes: false,
    look: () => this.version,
  };

  readonly resolver = new CachingResolver(
    createWalk(
      ({ name, type }, _, done) => {
        const family = type === TYPE_AAAA ? 6 : 4;
        const key = `${name}/${family}`;
        this.asked.push(key);
        const answer = this.reply(name, family);
        if (answer === undefined) this.#open.set(key, done);
        else queueMicrotask(() => done(answer));
        return () => {
          this.cancelled.push(key);
          this.#open.delete(key);
        };
      },
      () => this.conf,
    ),
    this.#names,
    {
      now: () => this.now,
      changed: () => (this.changes += 1),
      nameClient: (client) => clientKey(client, { v4: 32, v6: 64 }),
    },
  );

  find(text: string, client?: string): Lookups {
    return this.resolver.find({ kind: "name", text }, client === undefined ? undefined : makeIp(client));
  }

  settle(key: string, answer: NameAnswer): void {
    const done = this.#open.get(key);
    if (done === undefined) throw new Error(`nobody asks ${key}`);
    this.#open.delete(key);
    done(answer);
  }
}

function isKnown(lookups: Lookups): boolean {
  return !(lookups[4] instanceof Promise) && !(lookups[6] instanceof Promise);
}

function textsOf(lookup: Lookup): string[] {
  return lookup.ok ? lookup.addresses.map((ip) => ip.text) : [`${lookup.detail} ${lookup.note}`];
}

/** Both answers; for what they leave behind it is as if nobody waited any more. */
async function both(lookups: Lookups): Promise<readonly [Lookup, Lookup]> {
  const answers = [await lookups[4], await lookups[6]] as const;
  lookups.release();
  return answers;
}

describe("CachingResolver", () => {
  test("asks both families", async () => {
    const stand = new Stand();
    const [four, six] = await both(stand.find("a.test"));
    expect(stand.asked).toEqual(["a.test/6", "a.test/4"]);
    expect(four).toMatchObject({ ok: true, name: "a.test", addresses: [{ text: "192.0.2.1" }] });
    expect(textsOf(six)).toEqual(["dns_error ENOTFOUND"]);
  });

  test("answers at once from memory until the answer's time is over", async () => {
    const stand = new Stand();
    stand.reply = (_, family) => (family === 4 ? found(3, 1) : NO_NAME);
    await both(stand.find("a.test"));
    stand.now = 2999;
    expect(isKnown(stand.find("a.test"))).toBe(true);
    stand.now = 3000;
    expect(isKnown(stand.find("a.test"))).toBe(false);
    expect(stand.asked).toHaveLength(4);
  });

  test("believes no TTL above 30 seconds, and none below one", async () => {
    const stand = new Stand();
    stand.reply = (name) => found(name === "long.test" ? 86_400 : 0, 1);
    await both(stand.find("long.test"));
    await both(stand.find("short.test"));
    stand.now = 999;
    expect(isKnown(stand.find("short.test"))).toBe(true);
    stand.now = 1000;
    expect(isKnown(stand.find("short.test"))).toBe(false);
    stand.now = 29_999;
    expect(isKnown(stand.find("long.test"))).toBe(true);
    stand.now = 30_000;
    expect(isKnown(stand.find("long.test"))).toBe(false);
  });

  test("remembers that a name does not exist for five seconds, and trouble for one", async () => {
    const stand = new Stand();
    stand.reply = (name) => (name === "none.test" ? NO_NAME : { kind: "trouble", note: "ESERVFAIL" });
    expect((await both(stand.find("none.test"))).map(textsOf)).toEqual([
      ["dns_error ENOTFOUND"],
      ["dns_error ENOTFOUND"],
    ]);
    expect((await both(stand.find("bad.test"))).map(textsOf)).toEqual([
      ["dns_error ESERVFAIL"],
      ["dns_error ESERVFAIL"],
    ]);
    stand.now = 1000;
    expect(isKnown(stand.find("bad.test"))).toBe(false);
    stand.now = 4999;
    expect(isKnown(stand.find("none.test"))).toBe(true);
    stand.now = 5000;
    expect(isKnown(stand.find("none.test"))).toBe(false);
  });

  test("tells silence from trouble", async () => {
    const stand = new Stand();
    stand.reply = () => ({ kind: "trouble", note: "ETIMEOUT" });
    expect((await both(stand.find("a.test"))).map(textsOf)[0]).toEqual(["dns_timeout ETIMEOUT"]);
  });

  test("drops duplicates, and keeps 32 addresses", async () => {
    const stand = new Stand();
    stand.reply = () => found(1, 1, 1, 2);
    expect(textsOf((await both(stand.find("a.test")))[0])).toEqual(["192.0.2.1", "192.0.2.2"]);
    stand.reply = () => found(1, ...Array.from({ length: 100 }, (_, at) => at));
    expect(textsOf((await both(stand.find("b.test")))[0])).toHaveLength(32);
  });

  test("asks the same question once at a time", async () => {
    const stand = new Stand();
    await Promise.all([both(stand.find("a.test")), both(stand.find("a.test"))]);
    expect(stand.asked).toHaveLength(2);
  });

  test("keeps an absolute name apart from the same one that may be completed", async () => {
    const stand = new Stand();
    stand.conf = parseResolvConf("search corp.test", "");
    stand.reply = (name, family) => (name === "intra.corp.test" && family === 4 ? found(60, 1) : NO_NAME);
    expect(await stand.find("intra")[4]).toMatchObject({ ok: true, name: "intra.corp.test" });
    const absolute = stand.resolver.find({ kind: "name", text: "intra", absolute: true });
    expect(textsOf(await absolute[4])).toEqual(["dns_error ENOTFOUND"]);
  });

  test("gives the hosts file the last word, for both families", () => {
    const stand = new Stand();
    stand.local = knowLookups(
      { ok: true, name: "a.test", addresses: [makeIp("192.0.2.7")] },
      { ok: false, detail: "dns_error", note: "ENOTFOUND" },
    );
    expect(stand.find("a.test")).toBe(stand.local);
    expect(stand.asked).toEqual([]);
  });

  test("ends a question with the last one who waits for it", () => {
    const stand = new Stand();
    stand.reply = () => undefined;
    const first = stand.find("a.test");
    const second = stand.find("a.test");
    first.release();
    first.release();
    expect(stand.cancelled).toEqual([]);
    second.release();
    expect(stand.cancelled.toSorted()).toEqual(["a.test/4", "a.test/6"]);
    // And the next one asks anew.
    stand.find("a.test");
    expect(stand.asked).toHaveLength(4);
  });

  test("gives one family while the other one is silent, and remembers the half for five seconds", async () => {
    const stand = new Stand();
    stand.reply = (_, family) => (family === 4 ? found(60, 1) : undefined);
    const lookups = stand.find("a.test");
    expect(textsOf(await lookups[4])).toEqual(["192.0.2.1"]);
    lookups.release();
    expect(stand.cancelled).toEqual(["a.test/6"]);
    expect(textsOf(await lookups[6])).toEqual(["dns_timeout ETIMEOUT"]);
    stand.now = 4999;
    expect(isKnown(stand.find("a.test"))).toBe(true);
    stand.now = 5000;
    expect(isKnown(stand.find("a.test"))).toBe(false);
  });

  test("forgets what was asked before a change, also when the answer comes after it", async () => {
    const stand = new Stand();
    await both(stand.find("known.test"));
    stand.reply = () => undefined;
    const early = stand.find("a.test");
    stand.version += 1;
    const late = stand.find("a.test");
    expect(stand.changes).toBe(1);
    expect(stand.asked.filter((key) => key === "a.test/4")).toHaveLength(2);
    early.release();
    late.release();
    expect(isKnown(stand.find("known.test"))).toBe(false);
  });

  describe("with many clients", () => {
    /** Names of one client that are asked and not answered. */
    function flood(stand: Stand, client: string, count: number): Lookups[] {
      return Array.from({ length: count }, (_, at) => stand.find(`${client.replaceAll(":", "-")}-${at}.test`, client));
    }

    test("gives one client a share, and the others are answered", () => {
      const stand = new Stand();
      stand.reply = () => undefined;
      flood(stand, "192.0.2.1", 1000);
      expect(stand.asked).toHaveLength(2 * 128);
      stand.find("other.test", "192.0.2.2");
      expect(stand.asked.at(-1)).toBe("other.test/4");
    });

    test("keeps a reserve for clients that have few", () => {
      const stand = new Stand();
      stand.reply = () => undefined;
      for (const client of [1, 2, 3, 4]) flood(stand, `192.0.2.${client}`, 128);
      const before = stand.asked.length;
      expect(before).toBeLessThan(2 * 512);
      stand.find("late.test", "192.0.2.9");
      expect(stand.asked).toHaveLength(before + 2);
    });

    test("counts the addresses of an IPv6 client's network as one", () => {
      const stand = new Stand();
      stand.reply = () => undefined;
      for (let at = 0; at < 200; at += 1) stand.find(`n${at}.test`, `2001:db8::${at.toString(16)}`);
      expect(stand.asked).toHaveLength(2 * 128);
      stand.find("other.test", "2001:db8:0:1::1");
      expect(stand.asked).toHaveLength(2 * 129);
    });

    test("lets a client that has its share wait, and asks when a question of it is over", () => {
      const stand = new Stand();
      stand.reply = () => undefined;
      const asked = flood(stand, "192.0.2.1", 129);
      expect(stand.asked).not.toContain("192.0.2.1-128.test/4");
      asked[0]?.release();
      expect(stand.asked).toContain("192.0.2.1-128.test/4");
    });

    test("asks nothing for somebody who has stopped waiting for a turn", () => {
      const stand = new Stand();
      stand.reply = () => undefined;
      const asked = flood(stand, "192.0.2.1", 129);
      asked[128]?.release();
      asked[0]?.release();
      expect(stand.asked).not.toContain("192.0.2.1-128.test/4");
    });

    test("asks at once for a client that has no need to wait for another one's turn", () => {
      const stand = new Stand();
      stand.reply = () => undefined;
      flood(stand, "192.0.2.1", 129);
      stand.find("192.0.2.1-128.test", "192.0.2.2");
      expect(stand.asked).toContain("192.0.2.1-128.test/4");
    });

    test("refuses a client for which too many names wait already", () => {
      const stand = new Stand();
      stand.reply = () => undefined;
      flood(stand, "192.0.2.1", 128 + 1024);
      expect(stand.find("one-more.test", "192.0.2.1")).toMatchObject({ 4: { ok: false, detail: "too_many_lookups" } });
      expect(isKnown(stand.find("other.test", "192.0.2.2"))).toBe(false);
    });

    test("lets no client flush what others have asked for", async () => {
      const stand = new Stand();
      await both(stand.find("popular.test", "192.0.2.2"));
      for (let at = 0; at < 10_000; at += 1) await both(stand.find(`n${at}.test`, "192.0.2.1"));
      expect(isKnown(stand.find("popular.test", "192.0.2.2"))).toBe(true);
      expect(isKnown(stand.find("n0.test", "192.0.2.1"))).toBe(false);
      expect(isKnown(stand.find("n9999.test", "192.0.2.1"))).toBe(true);
    });
  });
});
