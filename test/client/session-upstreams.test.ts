import { describe, expect } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { needs } from "../support/needs.ts";
import { basic, startProxy, waitFor } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { startMicrosocks, startSquid, startTinyproxy } from "../support/upstream-programs.ts";

const password = "up-s3cret";
const users = ["alice", "team-blue"].map((name) => ({ name, password: "pw" }));

/** Everything goes through that upstream, under a name made of the client's. */
function configure(
  url: string,
  username: string,
  more: { tunnelHttp?: boolean; auth?: "digest" } = {},
): PenstockConfig {
  return {
    users,
    auth: { parameters: ["session", "country"] },
    upstreams: { exits: { url, username, password, ...more } },
    rules: [{ allowPrivate: true, via: "exits" }],
  };
}

const logins = (...names: string[]) => names.map((username) => ({ username, password }));

describe("Squid with its helper for Basic", () => {
  needs("squid", "htpasswd")("gets the user name of each session, for tunnels and for what it forwards", async () => {
    // Squid takes user names in lower case by default.
    const names = ["c-alice", "c-alice-sid-a1", "c-alice-cc-de-sid-b2", "c-team%2dblue-sid-a1"];
    await using squid = await startSquid(logins(...names));
    using origin = serveHttp(() => ok("x"));
    using echo = listenEcho();
    await using proxy = await startProxy(configure(squid.url, "c-{user}[-cc-{country}][-sid-{session}]"));
    const clients = ["alice", "alice-session-a1", "alice-session-b2-country-de", "team-blue-session-a1"];
    using client = await proxy.connect();
    const expected: { user: string; target: string }[] = [];
    for (const [at, name] of [...clients, ...clients.toReversed()].entries()) {
      const login = names[at < clients.length ? at : 2 * clients.length - 1 - at] ?? "";
      const shown = basic(name, "pw");
      client.write(ask("GET", origin.uri(`/${at}`), `Proxy-Authorization: ${shown["Proxy-Authorization"]}\r\n`));
      expect(`${name} ${(await takeResponse(client)).head}`).toStartWith(`${name} HTTP/1.1 200 `);
      const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`, shown);
      expect(head).toStartWith("HTTP/1.1 200 ");
      peer.finish();
      await peer.untilEnd();
      expected.push({ user: login, target: origin.uri(`/${at}`) }, { user: login, target: `127.0.0.1:${echo.port}` });
    }
    const seen = await waitFor(() => {
      const found = squid.readUsers();
      return found.length >= expected.length && found;
    }, "all requests in Squid's log");
    const sort = (list: readonly { readonly user: string; readonly target: string }[]) =>
      list.map(({ user, target }) => `${target} ${user}`).sort();
    expect(sort(seen)).toEqual(sort(expected));
  });

  needs("squid", "htpasswd")(
    "refuses a session that it does not know, and nobody is asked for another password",
    async () => {
      await using squid = await startSquid(logins("c-alice-sid-a1"));
      await using proxy = await startProxy(configure(squid.url, "c-{user}-sid-{session}"));
      const { head } = await proxy.tunnel("127.0.0.1:9", basic("alice-session-b2", "pw"));
      expect(head).toStartWith("HTTP/1.1 502 ");
      expect(head).toContain("upstream_credentials");
      expect(head).not.toContain("Proxy-Authenticate");
    },
  );
});

describe("Squid with its helper for Digest", () => {
  needs("squid")("gets the user name of each session in its hash, and answers sessions by turns", async () => {
    const names = ["c-alice-sid-a1", "c-alice-sid-b2", "c-team%2Dblue-sid-a1"];
    await using squid = await startSquid(logins(...names), "digest");
    using echo = listenEcho();
    await using proxy = await startProxy(configure(squid.url, "c-{user}-sid-{session}", { auth: "digest" }));
    const clients = ["alice-session-a1", "alice-session-b2", "team-blue-session-a1"];
    for (const name of [...clients, ...clients, ...clients]) {
      const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`, basic(name, "pw"));
      expect(head).toStartWith("HTTP/1.1 200 ");
      peer.finish();
      await peer.untilEnd();
    }
    const counted = await waitFor(() => {
      const seen = squid.readUsers().map(({ user }) => user);
      const counts = names.map((name) => seen.filter((user) => user === name).length);
      return counts.every((count) => count >= 3) && counts;
    }, "three tunnels of each session in Squid's log");
    expect(counted).toEqual([3, 3, 3]);
    const { head } = await proxy.tunnel(`127.0.0.1:${echo.port}`, basic("alice-session-c3", "pw"));
    expect(head).toStartWith("HTTP/1.1 502 ");
  });
});

describe("microsocks, which knows one user", () => {
  needs("microsocks")("lets exactly that session through", async () => {
    await using socks = await startMicrosocks({ username: "c-team%2Dblue;sid=a.1;cc=DE", password });
    using echo = listenEcho();
    const url = socks.url.replace("socks5:", "socks5h:");
    await using proxy = await startProxy(configure(url, "c-{user}[;sid={session}][;cc={country}]"));
    const connect = async (name: string) => {
      const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`, basic(name, "pw"));
      using _ = peer;
      return head.slice(9, 12);
    };
    expect(await connect("team-blue-session-a.1-country-DE")).toBe("200");
    expect(await connect("team-blue-country-DE-session-a.1")).toBe("200");
    for (const other of ["team-blue-session-a.1-country-de", "team-blue-session-a.1", "alice-session-a.1-country-DE"])
      expect(await connect(other)).toBe("502");
    expect(await proxy.record(2)).toMatchObject({ detail: "upstream_credentials", next_hop: "exits" });
  });
});

describe("tinyproxy, which knows one user", () => {
  needs("tinyproxy")("lets exactly that session through", async () => {
    await using tiny = await startTinyproxy({ username: "c-alice_s1", password });
    using echo = listenEcho();
    await using proxy = await startProxy(configure(tiny.url, "c-{user}_{session}"));
    const connect = async (name: string) => {
      const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`, basic(name, "pw"));
      using _ = peer;
      return head.slice(9, 12);
    };
    expect(await connect("alice-session-s1")).toBe("200");
    expect(await connect("alice-session-s2")).toBe("502");
    expect(await connect("alice")).toBe("403");
  });
});
