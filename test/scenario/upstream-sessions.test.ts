import { describe, expect, test } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { ask, takeResponse } from "../support/http-origin.ts";
import { basic, startProxy, type TestProxy } from "../support/proxy.ts";
import type { RawPeer } from "../support/raw-peer.ts";
import { createRandom } from "../support/seeded-random.ts";
import { listenSessionUpstream, type SessionUpstream } from "../support/session-upstream.ts";

const users = ["alice", "bob", "team-blue"].map((name) => ({ name, password: "pw" }));
const auth = { parameters: ["session", "country"] };
const TEMPLATE = "c-{user}[-cc-{country}][-sid-{session}]";

/** What the template makes of a user and the parameters of its name. */
function expectLogin(user: string, { country, session }: { country?: string; session?: string }): string {
  const escaped = user.replaceAll("-", "%2D");
  return `c-${escaped}${country === undefined ? "" : `-cc-${country}`}${session === undefined ? "" : `-sid-${session}`}`;
}

function fieldsFor(name: string): string {
  return `Proxy-Authorization: ${basic(name, "pw")["Proxy-Authorization"]}\r\n`;
}

async function get(client: RawPeer, name: string, host = "far.example"): Promise<{ head: string; body: string }> {
  client.write(ask("GET", `http://${host}/`, fieldsFor(name)));
  return takeResponse(client);
}

const kinds = {
  "a SOCKS5 upstream": ["socks5", (port: number) => ({ url: `socks5h://127.0.0.1:${port}` })],
  "a SOCKS4a upstream": ["socks4a", (port: number) => ({ url: `socks4a://127.0.0.1:${port}` })],
  "tunnels of an HTTP upstream": ["tunnel", (port: number) => ({ url: `http://127.0.0.1:${port}`, tunnelHttp: true })],
  "an HTTP upstream that forwards": ["forward", (port: number) => ({ url: `http://127.0.0.1:${port}` })],
} as const;

function configure(kind: keyof typeof kinds, upstream: SessionUpstream, username = TEMPLATE): PenstockConfig {
  const settings = { ...kinds[kind][1](upstream.port), username, password: "secret" };
  return { users, auth, upstreams: { exits: settings }, default: "exits", rules: [] };
}

describe.each(Object.keys(kinds) as (keyof typeof kinds)[])("connections through %s", (kind) => {
  test("carry the user name that the template makes of the client's", async () => {
    using upstream = listenSessionUpstream(kinds[kind][0]);
    await using proxy = await startProxy(configure(kind, upstream));
    for (const [name, login] of [
      ["alice", "c-alice"],
      ["alice-session-a1", "c-alice-sid-a1"],
      ["alice-session-a1-country-de", "c-alice-cc-de-sid-a1"],
      ["team-blue-country-US", "c-team%2Dblue-cc-US"],
    ]) {
      using client = await proxy.connect();
      expect((await get(client, name ?? "")).body).toBe(login ?? "");
    }
  });

  test("are kept for the same session, and never shared with another", async () => {
    using upstream = listenSessionUpstream(kinds[kind][0]);
    await using proxy = await startProxy(configure(kind, upstream));
    using client = await proxy.connect();
    using other = await proxy.connect();
    const names = [
      "alice-session-1",
      "alice-session-1",
      "alice-session-2",
      "alice-session-1",
      "alice",
      "bob-session-1",
    ];
    for (const name of [...names, ...names]) {
      await get(client, name);
      await get(other, name);
    }
    expect(upstream.connections.map(({ logins }) => [...new Set(logins)])).toEqual([
      ["c-alice-sid-1"],
      ["c-alice-sid-2"],
      ["c-alice"],
      ["c-bob-sid-1"],
    ]);
  });

  test("are never mixed up, however many clients with however many sessions ask at once", async () => {
    using upstream = listenSessionUpstream(kinds[kind][0]);
    await using proxy = await startProxy(configure(kind, upstream));
    const random = createRandom(20_261_128);
    const pick = <T>(list: readonly T[]): T => list[random.below(list.length)] as T;
    const run = async () => {
      using client = await proxy.connect();
      for (let request = 0; request < 60; request++) {
        const user = pick(["alice", "bob", "team-blue"]);
        const session = pick([undefined, "1", "2", "1.2", "x"]);
        const country = pick([undefined, "de", "1"]);
        const parts = [
          ...(session === undefined ? [] : [`session-${session}`]),
          ...(country === undefined ? [] : [`country-${country}`]),
        ];
        const name = [user, ...(random.below(2) === 0 ? parts : parts.toReversed())].join("-");
        const expected = expectLogin(user, { ...(session && { session }), ...(country && { country }) });
        const { body } = await get(client, name, pick(["a.example", "b.example"]));
        expect(body).toBe(expected);
      }
    };
    await Promise.all(Array.from({ length: 12 }, run));
    for (const { logins } of upstream.connections) expect(new Set(logins).size).toBe(1);
    // It is a test of sharing only when there was some.
    const carried = upstream.connections.reduce((sum, { heads }) => sum + heads.length, 0);
    expect(carried).toBe(12 * 60);
    expect(upstream.connections.length).toBeLessThan(carried / 2);
    // No client's own credentials went on.
    for (const { heads } of upstream.connections)
      for (const head of heads) expect(head).not.toContain(Buffer.from("alice").toString("base64").slice(0, 6));
  });

  test("are not made when the client's user name lacks what the template needs", async () => {
    using upstream = listenSessionUpstream(kinds[kind][0]);
    await using proxy = await startProxy(configure(kind, upstream, "c-{user}-sid-{session}"));
    using client = await proxy.connect();
    const refused = await get(client, "alice-country-de");
    expect(refused.head).toStartWith("HTTP/1.1 403 Parameters in the user name do not fit the upstream proxy\r\n");
    expect(refused.head).toContain('next-hop="exits"');
    expect(refused.body).toContain("the user name for it needs the parameter session");
    expect((await get(client, "alice-session-1")).body).toBe("c-alice-sid-1");
    expect((await get(client, "alice")).head).toStartWith("HTTP/1.1 403 ");
    const { head } = await proxy.tunnel("far.example:443", basic("alice", "pw"));
    expect(head).toStartWith("HTTP/1.1 403 ");
    expect(upstream.connections).toHaveLength(1);
    expect(await proxy.record()).toMatchObject({
      user: "alice",
      parameters: { country: "de" },
      detail: "parameters_unfit",
      error: "http_request_denied",
      next_hop: "exits",
      status: 403,
    });
  });
});

describe("a template", () => {
  test("changed by a reload gets connections of its own", async () => {
    using upstream = listenSessionUpstream("forward");
    const kind = "an HTTP upstream that forwards";
    await using proxy = await startProxy(configure(kind, upstream));
    using client = await proxy.connect();
    expect((await get(client, "alice-session-1")).body).toBe("c-alice-sid-1");
    await proxy.reload(configure(kind, upstream, "d-{session}"));
    expect((await get(client, "alice-session-1")).body).toBe("d-1");
    expect((await get(client, "alice")).head).toStartWith("HTTP/1.1 403 ");
    expect(upstream.connections.map(({ logins }) => logins)).toEqual([["c-alice-sid-1"], ["d-1"]]);
  });

  test("in a chain keeps the connections of sessions apart, at whichever hop it is", async () => {
    using last = listenSessionUpstream("forward");
    await using first = await startProxy({
      users: [
        { name: "edge-1", password: "pw" },
        { name: "edge-2", password: "pw" },
      ],
      rules: [{ to: ["127.0.0.1"], allowPrivate: true }],
    });
    await using proxy = await startProxy({
      users,
      auth,
      upstreams: {
        first: { url: `http://127.0.0.1:${first.port}`, username: "edge-{session}", password: "pw" },
        last: `http://fixed:pw@127.0.0.1:${last.port}`,
      },
      default: ["first", "last"],
      rules: [],
    });
    using client = await proxy.connect();
    for (const session of ["1", "2", "1", "2"]) {
      const { body } = await get(client, `alice-session-${session}`);
      expect(body).toBe("fixed");
    }
    expect(last.connections).toHaveLength(2);
    expect((await get(client, "alice-session-3")).head).toStartWith("HTTP/1.1 502 ");
  });

  test("that makes too long a name for SOCKS refuses the request, and not the upstream", async () => {
    using upstream = listenSessionUpstream("socks5");
    const long = "x".repeat(190);
    await using proxy = await startProxy(configure("a SOCKS5 upstream", upstream, `${long}-{session}`));
    using client = await proxy.connect();
    expect((await get(client, `alice-session-${"s".repeat(64)}`)).body).toBe(`${long}-${"s".repeat(64)}`);
    const refused = await get(client, `alice-session-${"s".repeat(60)}-country-de`);
    expect(refused.head).toStartWith("HTTP/1.1 200 ");
    await proxy.reload(configure("a SOCKS5 upstream", upstream, `${long}-{session}-{country}`));
    const tooLong = await get(client, `alice-session-${"s".repeat(62)}-country-de`);
    expect(tooLong.body).toContain("exceeds 255 bytes");
    expect(await get(client, `alice-session-${"s".repeat(61)}-country-de`)).toMatchObject({
      body: `${long}-${"s".repeat(61)}-de`,
    });
  });

  test("cannot be made to say more by what a user is called", async () => {
    using upstream = listenSessionUpstream("socks5");
    const names: string[] = [];
    await using proxy = await startProxy({
      ...configure("a SOCKS5 upstream", upstream),
      // Users who chose their names themselves.
      users: (name) => names.push(name) > 0,
    });
    for (const [name, login] of [
      ["mallory-cc-us", "c-mallory%2Dcc%2Dus"],
      ["mallory-sid-1-session-2", "c-mallory%2Dsid%2D1-sid-2"],
      ["{session}-session-2", "c-%7Bsession%7D-sid-2"],
      ["[-cc-us]", "c-%5B%2Dcc%2Dus%5D"],
      ["a%2Dcc%2Dus", "c-a%252Dcc%252Dus"],
      ["a\u2010cc\u2010us", "c-a%E2%80%90cc%E2%80%90us"],
    ])
      expect((await getAs(proxy, name ?? "")).body).toBe(login ?? "");
  });
});

async function getAs(proxy: TestProxy, name: string): Promise<{ head: string; body: string }> {
  using client = await proxy.connect();
  return await get(client, name);
}
