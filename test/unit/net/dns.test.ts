import { describe, expect, test } from "bun:test";
import { CachingResolver, type Lookup, type RawAnswer } from "../../../src/net/dns.ts";

/** A resolver over a source that the test holds in its hands, with a clock of its own. */
class Stand {
  now = 0;
  readonly asked: string[] = [];
  reply: (name: string) => readonly RawAnswer[] | Promise<readonly RawAnswer[]> = () => [
    { address: "192.0.2.1", ttl: 60 },
  ];
  readonly resolver = new CachingResolver(
    async (name, family) => {
      this.asked.push(`${name}/${family}`);
      return this.reply(name);
    },
    () => this.now,
  );
}

function textsOf(lookup: Lookup): string[] {
  return lookup.ok ? lookup.addresses.map((ip) => ip.text) : [`${lookup.detail} ${lookup.note}`];
}

function failWith(code: string): () => Promise<never> {
  return () => Promise.reject(Object.assign(new Error(code), { code }));
}

describe("CachingResolver", () => {
  test("asks each family on its own", async () => {
    const stand = new Stand();
    await Promise.all([stand.resolver.lookup("a.test", 4), stand.resolver.lookup("a.test", 6)]);
    expect(stand.asked).toEqual(["a.test/4", "a.test/6"]);
  });

  test("answers at once from memory until the answer's time is over", async () => {
    const stand = new Stand();
    stand.reply = () => [{ address: "192.0.2.1", ttl: 10 }];
    expect(textsOf(await stand.resolver.lookup("a.test", 4))).toEqual(["192.0.2.1"]);
    stand.now = 9999;
    const known = stand.resolver.lookup("a.test", 4);
    expect(known).not.toBeInstanceOf(Promise);
    stand.now = 10_000;
    expect(stand.resolver.lookup("a.test", 4)).toBeInstanceOf(Promise);
    expect(stand.asked).toHaveLength(2);
  });

  test("believes no TTL above 30 seconds, and none below one", async () => {
    const stand = new Stand();
    stand.reply = (name) => [{ address: "192.0.2.1", ttl: name === "long.test" ? 86_400 : 0 }];
    await stand.resolver.lookup("long.test", 4);
    await stand.resolver.lookup("short.test", 4);
    stand.now = 999;
    expect(stand.resolver.lookup("short.test", 4)).not.toBeInstanceOf(Promise);
    stand.now = 1000;
    expect(stand.resolver.lookup("short.test", 4)).toBeInstanceOf(Promise);
    stand.now = 29_999;
    expect(stand.resolver.lookup("long.test", 4)).not.toBeInstanceOf(Promise);
    stand.now = 30_000;
    expect(stand.resolver.lookup("long.test", 4)).toBeInstanceOf(Promise);
  });

  test("asks the same question once at a time", async () => {
    const stand = new Stand();
    const answers = [stand.resolver.lookup("a.test", 4), stand.resolver.lookup("a.test", 4)];
    expect(answers[0]).toBe(answers[1] as Promise<Lookup>);
    await Promise.all(answers);
    expect(stand.asked).toHaveLength(1);
  });

  test("drops duplicates, zone ids and what is no address, and keeps 32 addresses", async () => {
    const stand = new Stand();
    stand.reply = () => ["192.0.2.1", "192.0.2.1", "fe80::1%eth0", "x"].map((address) => ({ address, ttl: 1 }));
    expect(textsOf(await stand.resolver.lookup("a.test", 4))).toEqual(["192.0.2.1"]);
    stand.reply = () => Array.from({ length: 100 }, (_, at) => ({ address: `192.0.2.${at}`, ttl: 1 }));
    expect(textsOf(await stand.resolver.lookup("b.test", 4))).toHaveLength(32);
  });

  test("tells a name that does not exist from trouble, and remembers it for five seconds", async () => {
    const stand = new Stand();
    stand.reply = failWith("DNS_ENOTFOUND");
    expect(textsOf(await stand.resolver.lookup("a.test", 4))).toEqual(["dns_error ENOTFOUND"]);
    stand.now = 4999;
    expect(stand.resolver.lookup("a.test", 4)).not.toBeInstanceOf(Promise);
    stand.now = 5000;
    expect(stand.resolver.lookup("a.test", 4)).toBeInstanceOf(Promise);
  });

  test("takes an answer without addresses for a name that does not exist", async () => {
    const stand = new Stand();
    stand.reply = () => [];
    expect(textsOf(await stand.resolver.lookup("a.test", 6))).toEqual(["dns_error ENOTFOUND"]);
  });

  test("remembers trouble for a second only", async () => {
    const stand = new Stand();
    for (const [code, told] of [
      ["DNS_ETIMEOUT", "dns_timeout ETIMEOUT"],
      ["DNS_EAI_AGAIN", "dns_timeout EAI_AGAIN"],
      ["DNS_ESERVFAIL", "dns_error ESERVFAIL"],
      ["DNS_ECONNREFUSED", "dns_error ECONNREFUSED"],
    ] as const) {
      stand.reply = failWith(code);
      expect(textsOf(await stand.resolver.lookup(`${code}.test`, 4))).toEqual([told]);
    }
    stand.now = 1000;
    expect(stand.resolver.lookup("DNS_ETIMEOUT.test", 4)).toBeInstanceOf(Promise);
  });

  test("bounds what it remembers: the oldest answer goes", async () => {
    const stand = new Stand();
    for (let at = 0; at <= 4096; at += 1) await stand.resolver.lookup(`n${at}.test`, 4);
    expect(stand.resolver.lookup("n1.test", 4)).not.toBeInstanceOf(Promise);
    expect(stand.resolver.lookup("n0.test", 4)).toBeInstanceOf(Promise);
  });

  test("bounds the questions under way", async () => {
    const stand = new Stand();
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    stand.reply = () => gate.then(() => []);
    const underWay = Array.from({ length: 1024 }, (_, at) => stand.resolver.lookup(`n${at}.test`, 4));
    expect(stand.resolver.lookup("one-more.test", 4)).toMatchObject({ ok: false, detail: "dns_error" });
    release();
    await Promise.all(underWay);
    expect(stand.resolver.lookup("one-more.test", 4)).toBeInstanceOf(Promise);
  });
});
