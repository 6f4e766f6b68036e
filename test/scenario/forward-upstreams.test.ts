import { describe, expect, test } from "bun:test";
import { makeAuthority } from "../support/certificate-authority.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { allowLoopback, basic, startProxy } from "../support/proxy.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { listenRaw } from "../support/raw-peer.ts";

const credentials = (user: string, password: string) =>
  `Proxy-Authorization: ${basic(user, password)["Proxy-Authorization"]}\r\n`;

describe("plain HTTP through an HTTP upstream", () => {
  test("goes in absolute-form, with that upstream's credentials and not the client's", async () => {
    using upstream = serveHttp(() => ok("from afar"));
    await using proxy = await startProxy({
      users: [{ name: "ann", password: "secret" }],
      upstreams: { corp: `http://edge:parent@127.0.0.1:${upstream.port}` },
      rules: [],
      default: "corp",
      forward: { via: "here" },
    });
    using client = await proxy.connect();
    client.write(ask("GET", "http://far.example/a?b", credentials("ann", "secret")));
    expect((await takeResponse(client)).body).toBe("from afar");
    expect(upstream.heads).toEqual([
      `GET http://far.example/a?b HTTP/1.1\r\nHost: far.example\r\n${credentials("edge", "parent")}Via: 1.1 here\r\n\r\n`,
    ]);
    expect(await proxy.record()).toMatchObject({ route: "corp", dialled: `127.0.0.1:${upstream.port}`, status: 200 });
  });

  test("shares connections between origins, but not between upstreams with other credentials", async () => {
    using upstream = serveHttp(() => ok("x"));
    await using proxy = await startProxy({
      upstreams: {
        one: `http://one:1@127.0.0.1:${upstream.port}`,
        two: `http://two:2@127.0.0.1:${upstream.port}`,
      },
      rules: [{ to: ["two.example"], via: "two" }],
      default: "one",
    });
    using client = await proxy.connect();
    for (const host of ["a.example", "b.example", "two.example", "a.example"]) {
      client.write(ask("GET", `http://${host}/`));
      await takeResponse(client);
    }
    expect(upstream.server.accepted).toHaveLength(2);
    expect(upstream.heads.map((head) => head.includes(credentials("two", "2")))).toEqual([false, false, true, false]);
  });

  test("asks for what is for us alone with an asterisk only at the origin", async () => {
    using upstream = serveHttp(() => ok(""));
    await using proxy = await startProxy({ upstream: `http://127.0.0.1:${upstream.port}`, rules: [] });
    using client = await proxy.connect();
    client.write(ask("OPTIONS", "http://far.example"));
    await takeResponse(client);
    expect(upstream.heads[0]).toStartWith("OPTIONS http://far.example HTTP/1.1\r\n");
  });

  test("makes a 407 of the upstream a 502, and never passes its challenge on", async () => {
    using upstream = serveHttp(
      () => 'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="up"\r\nContent-Length: 0\r\n\r\n',
    );
    await using proxy = await startProxy({ upstream: `http://u:wrong@127.0.0.1:${upstream.port}`, rules: [] });
    const answer = await proxy.exchange(ask("GET", "http://far.example/", "Connection: close\r\n"));
    expect(answer).toStartWith("HTTP/1.1 502 ");
    expect(answer).toContain("upstream_credentials");
    expect(answer).toContain("received-status=407");
    expect(answer).not.toContain("Proxy-Authenticate");
    expect(answer).not.toContain("wrong");
  });

  test("refuses localhost names and private addresses, which the upstream would resolve in its own way", async () => {
    using upstream = serveHttp(() => ok(""));
    await using proxy = await startProxy({ upstream: `http://127.0.0.1:${upstream.port}`, rules: [] });
    for (const host of ["localhost", "127.0.0.1", "10.1.2.3", "[::1]"]) {
      const answer = await proxy.exchange(ask("GET", `http://${host}/`, "Connection: close\r\n"));
      expect(answer).toContain("address_prohibited");
    }
    expect(upstream.heads).toHaveLength(0);
  });

  test.each([
    ["the upstream says so", { upstreams: { corp: "URL" } }, true],
    ["a rule says so", { upstreams: { corp: "URL" } }, false],
  ] as const)("goes through a tunnel when %s", async (_name, _config, byUpstream) => {
    using upstream = listenRaw();
    const url = `http://127.0.0.1:${upstream.port}`;
    await using proxy = await startProxy({
      upstreams: { corp: byUpstream ? { url, tunnelHttp: true } : url },
      rules: [{ via: "corp", ...(byUpstream ? {} : { tunnelHttp: true }) }],
      forward: { via: "here" },
    });
    using client = await proxy.connect();
    client.write(ask("GET", "http://far.example/a"));
    const peer = await upstream.next();
    await peer.untilText("\r\n\r\n");
    expect(peer.take().toString()).toStartWith("CONNECT far.example:80 HTTP/1.1\r\n");
    peer.write("HTTP/1.1 200 OK\r\n\r\n");
    await peer.untilText("\r\n\r\n");
    expect(peer.text).toBe("GET /a HTTP/1.1\r\nHost: far.example\r\nVia: 1.1 here\r\n\r\n");
    peer.write(ok("x"));
    expect((await takeResponse(client)).body).toBe("x");
  });

  test("may go over TLS, verified", async () => {
    await using authority = await makeAuthority();
    const { cert, key } = await authority.issue();
    const heads: string[] = [];
    const upstream = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert, key },
      socket: {
        data(socket, chunk) {
          heads.push(Buffer.from(chunk).toString("latin1"));
          socket.write(ok("safe"));
        },
      },
    });
    await using proxy = await startProxy(
      { upstreams: { safe: { url: `https://127.0.0.1:${upstream.port}`, ca: "ca.pem" } }, rules: [], default: "safe" },
      { files: { "ca.pem": authority.cert } },
    );
    using client = await proxy.connect();
    client.write(ask("GET", "http://far.example/a"));
    expect((await takeResponse(client)).body).toBe("safe");
    expect(heads[0]).toStartWith("GET http://far.example/a HTTP/1.1\r\n");
    upstream.stop(true);
  });
});

describe("plain HTTP through a chain", () => {
  test("is given in absolute-form to the last upstream, through a tunnel of the first", async () => {
    using last = serveHttp(() => ok("chained"));
    using first = await tunnelling();
    await using proxy = await startProxy({
      upstreams: { first: `http://127.0.0.1:${first.port}`, last: `http://127.0.0.1:${last.port}` },
      rules: [],
      default: ["first", "last"],
    });
    using client = await proxy.connect();
    client.write(ask("GET", "http://far.example/a"));
    expect((await takeResponse(client)).body).toBe("chained");
    expect(last.heads[0]).toStartWith("GET http://far.example/a HTTP/1.1\r\n");
    expect(await proxy.record()).toMatchObject({ route: "first > last" });
  });

  test("through another of our own ends in 508 when it comes back", async () => {
    await using inner = await startProxy({ rules: [allowLoopback], forward: { via: "inner" } });
    await using outer = await startProxy({
      upstream: `http://127.0.0.1:${inner.port}`,
      rules: [],
      forward: { via: "outer" },
    });
    const answer = await outer.exchange(ask("GET", "http://far.example/", "Via: 1.1 inner\r\nConnection: close\r\n"));
    expect(answer).toStartWith("HTTP/1.1 508 ");
  });

  test("passes two of our own, each with a Via of its own", async () => {
    using origin = serveHttp(() => ok("x"));
    await using inner = await startProxy({}, { resolver: createFakeResolver({ "far.example": ["127.0.0.1"] }) });
    await using outer = await startProxy({ upstream: `http://127.0.0.1:${inner.port}`, rules: [] });
    using client = await outer.connect();
    client.write(ask("GET", `http://far.example:${origin.port}/`));
    expect((await takeResponse(client)).body).toBe("x");
    expect(origin.heads[0]).toMatch(/\r\nVia: 1\.1 penstock-[0-9a-f]+\r\n(?:.*\r\n)*Via: 1\.1 penstock-[0-9a-f]+\r\n/);
  });
});

describe("plain HTTP through a SOCKS upstream", () => {
  test("goes in origin-form", async () => {
    using upstream = listenRaw();
    await using proxy = await startProxy({ upstream: `socks5h://127.0.0.1:${upstream.port}`, rules: [] });
    using client = await proxy.connect();
    client.write(ask("GET", "http://far.example/a"));
    const peer = await upstream.next();
    await peer.untilReceived(3);
    peer.write(new Uint8Array([5, 0]));
    await peer.untilText("far.example");
    peer.take();
    peer.write(new Uint8Array([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
    await peer.untilText("\r\n\r\n");
    expect(peer.text).toStartWith("GET /a HTTP/1.1\r\nHost: far.example\r\n");
    peer.write(ok("socks"));
    expect((await takeResponse(client)).body).toBe("socks");
  });
});

/** An upstream that makes one tunnel to wherever it is asked to, on loopback. */
async function tunnelling(): Promise<{ port: number } & Disposable> {
  const proxy = await startProxy();
  return { port: proxy.port, [Symbol.dispose]: () => void proxy[Symbol.asyncDispose]() };
}
