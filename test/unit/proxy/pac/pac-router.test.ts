import { describe, expect, test } from "bun:test";
import { parseAuthority } from "../../../../src/address/endpoint.ts";
import { parseIp, type Ip } from "../../../../src/address/ip.ts";
import { TimeLimit } from "../../../../src/net/conn/time-limit.ts";
import type { Lookups, Resolver } from "../../../../src/net/dns/resolver.ts";
import type { PacQuestion } from "../../../../src/protocol/pac/pac-url.ts";
import type { Outcome } from "../../../../src/proxy/failure.ts";
import type { KnownNames, PacFile, PacStep } from "../../../../src/proxy/pac/pac-file.ts";
import type { PacPlan, PacWay } from "../../../../src/proxy/pac/pac-plan.ts";
import { PacRouter } from "../../../../src/proxy/pac/pac-router.ts";
import { Secret } from "../../../../src/secret.ts";
import { createFakeResolver } from "../../../support/fake-resolver.ts";

type Answer = (question: PacQuestion, names: KnownNames) => PacStep | Promise<PacStep>;

/** A PAC file that is a function of the test, and what it was asked. */
class FakeFile implements PacFile {
  version = 1;
  missing: string | undefined;
  answer: Answer;
  readonly asked: string[] = [];

  constructor(answer: Answer) {
    this.answer = answer;
  }

  async find(question: PacQuestion, names: KnownNames): Promise<PacStep> {
    this.asked.push(question.url);
    return this.answer(question, names);
  }
}

const plan: PacPlan = {
  kind: "pac",
  name: "corp",
  credentials: (proxy) => (proxy === "p.example:8080" ? { user: "u", password: new Secret("s") } : undefined),
};

function address(text: string): Ip {
  const ip = parseIp(text);
  if (ip === undefined) throw new Error(text);
  return ip;
}

function stand(answer: Answer | string, resolver: Resolver = createFakeResolver({})) {
  const file = new FakeFile(typeof answer === "string" ? () => ({ kind: "answer", text: answer }) : answer);
  const reports: string[] = [];
  let now = 0;
  const router = new PacRouter({
    resolver,
    find: (name) => (name === "corp" ? file : undefined),
    report: (name, why) => reports.push(`${name} ${why}`),
    nameClient: ({ text }) => text,
    now: () => now,
  });
  const choose = async (authority: string, client = "192.0.2.1", path?: string): Promise<Outcome<PacWay>> => {
    const target = parseAuthority(authority);
    if (!target.ok) throw new Error(target.code);
    const limit = new TimeLimit(5000);
    const request = { target: target.endpoint, client: address(client), path };
    try {
      return await router.choose(plan, { ...request, ...(path !== undefined && { scheme: "http" as const }) }, limit);
    } finally {
      limit.release();
    }
  };
  return { file, router, reports, choose, pass: (ms: number) => (now += ms) };
}

function describeWay(outcome: Outcome<PacWay>): unknown {
  if (!outcome.ok) return outcome.failure.detail;
  const way = outcome.value;
  if (way === "direct") return way;
  const [only] = way.members;
  return way.members.length === 1 && only?.way !== "direct" ? [only?.way.name] : way.members.map(({ name }) => name);
}

/** The way of one proxy that stands alone. */
function proxyOf(outcome: Outcome<PacWay>): unknown {
  return outcome.ok && outcome.value !== "direct" ? outcome.value.members[0]?.way : undefined;
}

describe("a route that a PAC file chooses", () => {
  test.each([
    ["DIRECT", "direct"],
    ["PROXY p.example:8080", ["corp/http://p.example:8080"]],
    ["HTTPS p.example", ["corp/https://p.example:443"]],
    ["SOCKS p.example", ["corp/socks5h://p.example:1080"]],
    ["PROXY p.example:8080; SOCKS4 q.example; DIRECT", ["http://p.example:8080", "socks4a://q.example:1080", "direct"]],
    ["NONSENSE", "pac_failed"],
  ])("%s is %p", async (text, way) => {
    expect(describeWay(await stand(text).choose("a.example:443"))).toEqual(way);
  });

  test("has the credentials of the proxy and the name that its certificate must have", async () => {
    const { choose } = stand(({ host }) => ({
      kind: "answer",
      text: host === "a.example" ? "PROXY p.example:8080" : "HTTPS other.example:8443",
    }));
    expect(proxyOf(await choose("a.example:443"))).toMatchObject({ credentials: { user: "u" } });
    const other = proxyOf(await choose("b.example:443"));
    expect(other).toMatchObject({ tls: { serverName: "other.example" } });
    expect(other).not.toHaveProperty("credentials");
  });

  test("tries at most as many proxies as the file named, and shares what is known of each", async () => {
    const { choose } = stand(({ host }) => ({
      kind: "answer",
      text: host === "a.example" ? "PROXY p.example:1; DIRECT" : "PROXY q.example:1; PROXY p.example:1",
    }));
    const [first, second] = [await choose("a.example:443"), await choose("b.example:443")];
    if (!first.ok || !second.ok || first.value === "direct" || second.value === "direct") throw new Error("no pools");
    expect(first.value).toMatchObject({ balance: "first", attempts: 2 });
    expect(first.value.members[0]?.way).toBe(second.value.members[1]?.way);
  });

  test("is remembered by URL for 30 seconds; the same answer is the same route", async () => {
    const { file, choose, pass } = stand("PROXY p.example:1; DIRECT");
    const first = await choose("a.example:443");
    await choose("a.example:443", "192.0.2.2");
    expect(file.asked).toEqual(["https://a.example/"]);
    await choose("b.example:443");
    await choose("a.example:8443");
    await choose("a.example:80", "192.0.2.1", "/one");
    await choose("a.example:80", "192.0.2.1", "/two");
    await choose("a.example:80", "192.0.2.1", "/two");
    expect(file.asked.slice(1)).toEqual([
      "https://b.example/",
      "https://a.example:8443/",
      "http://a.example/one",
      "http://a.example/two",
    ]);
    pass(30_001);
    const later = await choose("a.example:443");
    expect(file.asked).toHaveLength(6);
    expect(first.ok && later.ok && first.value === later.value).toBe(true);
  });

  test("is asked for once for requests of one client at the same time", async () => {
    const { file, choose } = stand("DIRECT");
    await Promise.all(Array.from({ length: 20 }, () => choose("a.example:443")));
    expect(file.asked).toHaveLength(1);
  });

  test("is forgotten when the file changes", async () => {
    const { file, choose } = stand("DIRECT");
    await choose("a.example:443");
    file.version = 2;
    file.answer = () => ({ kind: "answer", text: "PROXY p.example:1" });
    expect(describeWay(await choose("a.example:443"))).toEqual(["corp/http://p.example:1"]);
  });

  test("remembers at most 4,096 answers", async () => {
    const { file, choose } = stand("DIRECT");
    for (let at = 0; at < 4097; at += 1) await choose(`h${at}.example:443`);
    await choose("h4096.example:443");
    expect(file.asked).toHaveLength(4097);
    await choose("h0.example:443");
    expect(file.asked).toHaveLength(4098);
  });
});

describe("a PAC file that asks for names", () => {
  const asksFor =
    (...wanted: string[]): Answer =>
    (_, names) => {
      const name = wanted.find((each) => names[each] === undefined);
      return name === undefined
        ? { kind: "answer", text: names["in.example"]?.includes("10.0.0.1") === true ? "DIRECT" : "PROXY p.example:1" }
        : { kind: "needs", name };
    };

  test("gets the addresses from the resolver of the proxy, for the client", async () => {
    const clients: (string | undefined)[] = [];
    const inner = createFakeResolver({ "in.example": ["10.0.0.1"] });
    const resolver: Resolver = {
      find(host, client): Lookups {
        clients.push(`${host.text} for ${client?.text}`);
        return inner.find(host, client);
      },
      mayComplete: () => false,
    };
    const { choose } = stand(asksFor("in.example"), resolver);
    expect(describeWay(await choose("a.example:443", "192.0.2.9"))).toBe("direct");
    expect(clients).toEqual(["in.example for 192.0.2.9"]);
  });

  test("learns that a name has no address, and that localhost is loopback", async () => {
    const { choose, file } = stand(
      asksFor("in.example", "localhost"),
      createFakeResolver({ "in.example": "dns_error" }),
    );
    let seen: KnownNames = {};
    const { answer } = file;
    file.answer = (question, names) => {
      seen = names;
      return answer(question, names);
    };
    expect(describeWay(await choose("a.example:443"))).toEqual(["corp/http://p.example:1"]);
    expect(seen["in.example"]).toEqual([]);
    expect(seen["localhost"]).toContain("127.0.0.1");
  });

  test("cannot ask for more than 16 names", async () => {
    let asked = 0;
    const { choose, reports } = stand(() => ({ kind: "needs", name: `n${asked++}.example` }));
    expect(describeWay(await choose("a.example:443"))).toBe("pac_failed");
    expect(reports).toEqual(["corp asked for more than 16 names"]);
  });
});

describe("a PAC file that fails", () => {
  test("refuses the request, tells the operator why, and the client only that", async () => {
    const { choose, reports } = stand(() => ({ kind: "failed", why: "threw Error: secret plans in line 3" }));
    expect(await choose("a.example:443")).toEqual({
      ok: false,
      failure: { detail: "pac_failed", note: "the PAC file of corp gave no usable answer", nextHop: "corp" },
    });
    expect(reports).toEqual(["corp threw Error: secret plans in line 3"]);
  });

  test("is not asked again for a second", async () => {
    const { choose, file, pass } = stand(() => ({ kind: "failed", why: "threw" }));
    await choose("a.example:443");
    await choose("a.example:443");
    expect(file.asked).toHaveLength(1);
    pass(1001);
    await choose("a.example:443");
    expect(file.asked).toHaveLength(2);
  });

  test("that names a new proxy for every host has those forgotten that it did not name for longest", async () => {
    const { choose, file, reports } = stand(({ host }) => ({ kind: "answer", text: `PROXY ${host}:80` }));
    const way = async (at: number): Promise<unknown> => {
      const chosen = await choose(`h${at}.example:443`);
      return chosen.ok && chosen.value;
    };
    const [first, second] = [await way(0), await way(1)];
    for (let at = 2; at < 256; at += 1) await way(at);
    expect([await way(0), await way(1)]).toEqual([first, second]);
    expect(file.asked).toHaveLength(256);
    // Two more take the places of the first two, whose answers are remembered no longer.
    await way(256);
    await way(257);
    expect(await way(255)).toBeTruthy();
    expect(file.asked).toHaveLength(258);
    expect(await way(0)).not.toBe(first);
    expect(file.asked).toHaveLength(259);
    expect(reports).toEqual([]);
  });

  test("is counted: requests, those among them that were refused, and evaluations", async () => {
    const { choose, file, router } = stand("DIRECT");
    await choose("a.example:443");
    await choose("a.example:443");
    file.answer = () => ({ kind: "failed", why: "threw" });
    await choose("b.example:443");
    file.version = 0;
    await choose("c.example:443");
    expect(router.countsOf("corp")).toEqual({ queries: 4, failures: 2, evaluations: 2 });
    router.retain(new Map());
    expect(router.countsOf("corp")).toEqual({ queries: 0, failures: 0, evaluations: 0 });
  });

  test("that is not there yet is another word", async () => {
    const { choose, file } = stand("DIRECT");
    file.version = 0;
    file.missing = "cannot be fetched: ECONNREFUSED";
    expect(await choose("a.example:443")).toMatchObject({
      failure: { detail: "pac_unavailable", note: "the PAC file of corp cannot be fetched: ECONNREFUSED" },
    });
  });

  test("that does not answer ends with the limit of the request", async () => {
    const { router } = stand(() => new Promise(() => {}));
    const target = parseAuthority("a.example:443");
    if (!target.ok) throw new Error(target.code);
    const limit = new TimeLimit(1);
    const outcome = await router.choose(plan, { target: target.endpoint, client: address("192.0.2.1") }, limit);
    expect(outcome).toMatchObject({
      failure: { detail: "pac_failed", note: "the PAC file of corp did not answer in time" },
    });
  });
});

describe("clients that ask a slow PAC file", () => {
  test("take turns: one with many questions does not keep another waiting", async () => {
    const gates: (() => void)[] = [];
    const { choose, file } = stand(
      () => new Promise((resolve) => gates.push(() => resolve({ kind: "answer", text: "DIRECT" }))),
    );
    const busy = Array.from({ length: 50 }, (_, at) => choose(`h${at}.example:443`, "192.0.2.1"));
    const other = choose("other.example:443", "192.0.2.2");
    const release = async (): Promise<void> => {
      gates.shift()?.();
      await new Promise(setImmediate);
    };
    let isAnswered = false;
    void other.then(() => (isAnswered = true));
    while (!isAnswered) await release();
    expect(file.asked).toEqual([
      "https://h0.example/",
      "https://h1.example/",
      "https://other.example/",
      "https://h2.example/",
    ]);
    for (let at = 0; at < 60; at += 1) await release();
    expect((await Promise.all(busy)).every(({ ok }) => ok)).toBe(true);
  });

  test("have at most 128 questions that wait, and a refusal that does not reach others", async () => {
    const { choose } = stand(() => new Promise(() => {}));
    for (let at = 0; at < 129; at += 1) void choose(`h${at}.example:443`, "192.0.2.1");
    await new Promise(setImmediate);
    expect(describeWay(await choose("more.example:443", "192.0.2.1"))).toBe("pac_busy");
    let isAnswered = false;
    void choose("more.example:443", "192.0.2.2").then(() => (isAnswered = true));
    await new Promise(setImmediate);
    expect(isAnswered).toBe(false);
  });
});
