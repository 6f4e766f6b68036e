import { describe, expect, test } from "bun:test";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { startProxy } from "../support/proxy.ts";
import { listenRaw, type RawPeer } from "../support/raw-peer.ts";

describe("a connection that somebody has logged in on, with NTLM or Negotiate,", () => {
  /** As servers do it: the connection is the user once the last message of three came over it. */
  function serveNtlm(scheme = "NTLM") {
    const users = new WeakSet<object>();
    return serveHttp(({ head, peer }) => {
      if (head.includes(`Authorization: ${scheme} three`)) users.add(peer);
      if (users.has(peer)) return ok("secret");
      const more = head.includes(`Authorization: ${scheme} one`) ? " two" : "";
      return ok("", `WWW-Authenticate: ${scheme}${more}\r\n`).replace("200 OK", "401 Who");
    });
  }

  const login = async (client: RawPeer, uri: string, method = "GET", scheme = "NTLM") => {
    const statuses: string[] = [];
    for (const shown of ["", "one", "three"]) {
      const fields = shown === "" ? "" : `Authorization: ${scheme} ${shown}\r\n`;
      client.write(ask(method, uri, fields + (method === "POST" ? "Content-Length: 0\r\n" : "")));
      const { head } = await takeResponse(client);
      statuses.push(head.slice(9, 12));
    }
    return statuses;
  };

  test.each(["GET", "POST", "PROPFIND"])("is nobody else's, for %s too", async (method) => {
    for (const scheme of ["NTLM", "Negotiate"]) {
      using origin = serveNtlm(scheme);
      await using proxy = await startProxy();
      using client = await proxy.connect();
      expect(await login(client, origin.uri(), method, scheme)).toEqual(["401", "401", "200"]);
      const bound = origin.server.accepted.length;
      using other = await proxy.connect();
      other.write(ask("GET", origin.uri()));
      expect((await takeResponse(other)).head).toStartWith("HTTP/1.1 401 ");
      // It stays the user's, without another word.
      client.write(ask("POST", origin.uri(), "Content-Length: 0\r\n"));
      expect((await takeResponse(client)).body).toBe("secret");
      expect(origin.server.accepted).toHaveLength(bound + 1);
    }
  });

  test("waits as long as the client may, though others are given up", async () => {
    using origin = serveNtlm();
    using plain = serveHttp(() => ok("x"));
    await using proxy = await startProxy({ forward: { originIdle: "50ms" } });
    using client = await proxy.connect();
    client.write(ask("GET", plain.uri()));
    await takeResponse(client);
    client.write(ask("GET", origin.uri(), "Authorization: NTLM one\r\n"));
    await takeResponse(client);
    await plain.server.accepted[0]?.untilEnd();
    client.write(ask("POST", origin.uri(), "Authorization: NTLM three\r\nContent-Length: 0\r\n"));
    expect((await takeResponse(client)).body).toBe("secret");
    expect(origin.server.accepted).toHaveLength(1);
  });

  test("stays, whatever room the connections of others need", async () => {
    using origin = serveNtlm();
    using plain = serveHttp(() => ok("x"));
    await using proxy = await startProxy({ forward: { idleOrigins: 1, idlePerOrigin: 1 } });
    using client = await proxy.connect();
    await login(client, origin.uri());
    using other = await proxy.connect();
    other.write(ask("GET", plain.uri()));
    await takeResponse(other);
    client.write(ask("GET", origin.uri()));
    expect((await takeResponse(client)).body).toBe("secret");
  });

  test.each([
    ["goes", (client: RawPeer) => client.reset()],
    ["ends", (client: RawPeer) => client.finish()],
    [
      "asks for a tunnel",
      (client: RawPeer, port: number) =>
        client.write(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`),
    ],
  ])("ends when its client %s", async (_how, end) => {
    using origin = serveNtlm();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    await login(client, origin.uri());
    end(client, origin.port);
    const [bound] = origin.server.accepted;
    await bound?.untilEnd();
    expect(bound?.end).toBe("fin");
  });

  test("is announced with the 401, and only with one of that kind", async () => {
    using origin = serveNtlm();
    using basic = serveHttp(() => ok("", "WWW-Authenticate: Basic realm=x\r\n").replace("200 OK", "401 Who"));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri()));
    const { head } = await takeResponse(client);
    expect(head).toContain("\r\nProxy-Support: Session-Based-Authentication\r\nConnection: Proxy-Support\r\n");
    client.write(ask("GET", basic.uri()));
    expect((await takeResponse(client)).head).not.toContain("Proxy-Support");
  });

  test("is announced through an upstream only when that does so", async () => {
    let says = "";
    using upstream = serveHttp(() => ok("", `WWW-Authenticate: NTLM\r\n${says}`).replace("200 OK", "401 Who"));
    await using proxy = await startProxy({ upstream: `http://127.0.0.1:${upstream.port}`, rules: [] });
    using client = await proxy.connect();
    const support = "Proxy-Support: Session-Based-Authentication\r\n";
    for (const [line, count] of [
      ["", 0],
      [`${support}Connection: Proxy-Support\r\n`, 1],
      [support, 1],
    ] as const) {
      says = line;
      client.write(ask("GET", "http://far.example/"));
      expect((await takeResponse(client)).head.split(support)).toHaveLength(count + 1);
    }
  });

  test("fails a request that cannot be sent twice when it is closed, with a word of its own", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    const uri = `http://127.0.0.1:${server.port}/`;
    client.write(ask("GET", uri, "Authorization: NTLM one\r\n"));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    origin.take();
    origin.write(ok("", "WWW-Authenticate: NTLM two\r\n").replace("200 OK", "401 Who"));
    await takeResponse(client);
    client.write(ask("POST", uri, "Authorization: NTLM three\r\nContent-Length: 4\r\n") + "body");
    await origin.untilText("\r\n\r\nbody");
    origin.reset();
    const { head } = await takeResponse(client);
    expect(head).toStartWith("HTTP/1.1 502 ");
    expect(head).toContain("connection_stale");
    expect(await proxy.record(1)).toMatchObject({ error: "connection_terminated", detail: "connection_stale" });
  });
});
