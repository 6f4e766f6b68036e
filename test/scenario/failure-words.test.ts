import { describe, expect, test } from "bun:test";
import { makeCertificate } from "../support/certificate.ts";
import { allowLoopback, basic, startProxy, type TestProxy } from "../support/proxy.ts";
import { expectOf, expectRefusal, resolver } from "../support/expect-refusal.ts";
import { connectRaw, listenRaw } from "../support/raw-peer.ts";
import { listenBlackhole, reserveClosedPort } from "../support/unreachable.ts";

describe("the same word in Proxy-Status, body, log and metric for", () => {
  test("a malformed request", async () => {
    await using proxy = await startProxy();
    await expectRefusal(
      proxy,
      await proxy.exchange("CONNECT a.example:443 HTTP/1.1\r\nHost : a\r\n\r\n"),
      "malformed_request",
    );
  });

  test("TLS spoken to a plain listener, at once", async () => {
    await using proxy = await startProxy();
    const answer = await proxy.exchange(new Uint8Array([0x16, 3, 1, 2, 0, 1]));
    await expectRefusal(proxy, answer, "protocol_not_served");
    expect(answer).toStartWith("HTTP/1.1 400 The client speaks TLS, this listener does not\r\n");
    expect(answer).toContain("\nFound: the client speaks TLS, this listener does not\n");
    expect(proxy.records[0]).toMatchObject({ note: "the client speaks TLS, this listener does not" });
  });

  test("something that only begins like TLS", async () => {
    await using proxy = await startProxy();
    await expectRefusal(proxy, await proxy.exchange(new Uint8Array([0x16, 0x20])), "malformed_request");
  });

  test("a target without a port", () => expectOf("example.org", "bad_target"));

  test("another version of HTTP", async () => {
    await using proxy = await startProxy();
    await expectRefusal(proxy, await proxy.exchange("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "version_not_supported");
  });

  test("a head that is too large", async () => {
    await using proxy = await startProxy({ limits: { headBytes: "1KiB" } });
    const answer = await proxy.exchange(
      `CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\nX: ${"x".repeat(2000)}\r\n\r\n`,
    );
    await expectRefusal(proxy, answer, "head_too_large");
  });

  test("too many fields", async () => {
    await using proxy = await startProxy({ limits: { headFields: 10 } });
    const answer = await proxy.exchange(
      `CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n${"X: x\r\n".repeat(20)}\r\n`,
    );
    await expectRefusal(proxy, answer, "head_too_large");
  });

  test("a handshake that is too slow", async () => {
    await using proxy = await startProxy({ timeouts: { handshake: "200ms" } });
    await expectRefusal(proxy, await proxy.exchange("CONNECT a.example:443 HT"), "handshake_timeout");
  });

  test("no credentials", () =>
    expectOf("127.0.0.1:1", "credentials_required", { users: [{ name: "ann", password: "secret" }] }));

  test("wrong credentials", () =>
    expectOf(
      "127.0.0.1:1",
      "credentials_wrong",
      { users: [{ name: "ann", password: "secret" }] },
      { fields: basic("ann", "guess") },
    ));

  test("parameters in the user name that cannot be read", () =>
    expectOf(
      "127.0.0.1:1",
      "parameters_malformed",
      { users: [{ name: "ann", password: "secret" }], auth: { parameters: ["session"] } },
      { fields: basic("ann-session-", "secret") },
    ));

  test("parameters in the user name that an upstream needs", () =>
    expectOf(
      "far.example:443",
      "parameters_unfit",
      {
        users: [{ name: "ann", password: "secret" }],
        auth: { parameters: ["session"] },
        upstreams: { exits: { url: "socks5h://127.0.0.1:1", username: "c-{session}" } },
        rules: [{ via: "exits" }],
      },
      { fields: basic("ann", "secret") },
    ));

  test("an unknown user", () =>
    expectOf(
      "127.0.0.1:1",
      "credentials_wrong",
      { users: [{ name: "ann", password: "secret" }] },
      { fields: basic("bob", "secret") },
    ));

  test("credentials that cannot be read", () =>
    expectOf(
      "127.0.0.1:1",
      "credentials_malformed",
      { users: [{ name: "ann", password: "secret" }] },
      {
        fields: { "Proxy-Authorization": "Basic ???" },
      },
    ));

  test("a client that may not connect", async () => {
    await using proxy = await startProxy({ clients: ["10.9.9.0/24"] });
    await expectRefusal(
      proxy,
      await proxy.exchange("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n"),
      "client_not_admitted",
    );
  });

  test("a user with too many connections", async () => {
    using origin = listenRaw();
    await using proxy = await startProxy({
      users: [{ name: "ann", password: "secret" }],
      limits: { perUser: { connections: 1 } },
    });
    const first = await proxy.tunnel(`127.0.0.1:${origin.port}`, basic("ann", "secret"));
    expect(first.head).toStartWith("HTTP/1.1 200 ");
    const second = await proxy.tunnel(`127.0.0.1:${origin.port}`, basic("ann", "secret"));
    expect(second.head).toContain("\r\nRetry-After: ");
    await expectRefusal(proxy, second.head, "too_many_connections");
  });

  test("a client with too many requests", async () => {
    using origin = listenRaw();
    await using proxy = await startProxy({ limits: { perClient: { rate: "1/h" } } });
    expect((await proxy.tunnel(`127.0.0.1:${origin.port}`)).head).toStartWith("HTTP/1.1 200 ");
    const second = await proxy.tunnel(`127.0.0.1:${origin.port}`);
    expect(second.head).toContain("\r\nRetry-After: ");
    await expectRefusal(proxy, second.head, "rate_exceeded");
  });

  test("a rule that denies", () =>
    expectOf("mail.example:25", "denied_by_rule", { rules: [{ to: ["*:25"], deny: true }] }));

  test("a default that denies", () =>
    expectOf("some.example:443", "denied_by_default", { rules: [], default: "deny" }));

  test("a function that throws", () =>
    expectOf("some.example:443", "hook_failed", {
      rules: () => {
        throw new Error("no");
      },
    }));

  test("an address class", () => expectOf("127.0.0.1:443", "address_prohibited", { rules: [] }));

  test("a name whose addresses are all of a prohibited class", () =>
    expectOf("mixed.example:443", "address_prohibited", { rules: [] }));

  test("a target that is the proxy itself", async () => {
    await using proxy = await startProxy();
    const { head } = await proxy.tunnel(`127.0.0.1:${proxy.port}`);
    await expectRefusal(proxy, head, "proxy_loop");
  });

  test("a name that does not resolve", () => expectOf("gone.example:443", "dns_error", { rules: [] }));

  test("a name that does not resolve in time", () => expectOf("slow.example:443", "dns_timeout", { rules: [] }));

  test("a target that refuses", async () => {
    await expectOf(`127.0.0.1:${await reserveClosedPort()}`, "connection_refused");
  });

  test("a target that never answers", async () => {
    await using hole = await listenBlackhole();
    await expectOf(`127.0.0.1:${hole.port}`, "connection_timeout", { timeouts: { connect: "300ms" } });
  });

  test("an upstream that refuses the tunnel", async () => {
    using upstream = listenRaw((peer) => peer.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"));
    await using proxy = await startProxy({ upstream: `http://127.0.0.1:${upstream.port}`, rules: [] }, { resolver });
    const { head } = await proxy.tunnel("some.example:443");
    expect(head).toContain("received-status=403");
    await expectRefusal(proxy, head, "upstream_refused");
  });

  test("an upstream that does not accept our credentials, never as a 407", async () => {
    using upstream = listenRaw((peer) =>
      peer.write(
        'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="up"\r\nContent-Length: 0\r\n\r\n',
      ),
    );
    await using proxy = await startProxy(
      { upstream: `http://u:wrong@127.0.0.1:${upstream.port}`, rules: [] },
      { resolver },
    );
    const { head } = await proxy.tunnel("some.example:443");
    expect(head).toContain("received-status=407");
    expect(head).not.toContain("Proxy-Authenticate");
    expect(head).not.toContain("wrong");
    await expectRefusal(proxy, head, "upstream_credentials");
  });

  test("an upstream that is not there", async () => {
    await expectOf("some.example:443", "connection_refused", {
      upstream: `http://127.0.0.1:${await reserveClosedPort()}`,
      rules: [],
    });
  });

  test("a pool without a healthy member", async () => {
    const pool = [`http://127.0.0.1:${await reserveClosedPort()}`];
    const upstreams = { exits: { pool, eject: { failures: 1, for: "10m" } } };
    await using proxy = await startProxy({ upstreams, default: "exits", rules: [] }, { resolver });
    const first = await proxy.tunnel("some.example:443");
    expect(first.head).toContain('details="connection_refused');
    const { head } = await proxy.tunnel("some.example:443");
    expect(head).toContain('next-hop="exits"');
    await expectRefusal(proxy, head, "no_healthy_upstream");
  });

  test("a pool whose members have no connection left", async () => {
    using silent = listenRaw();
    const pool = [{ url: `http://127.0.0.1:${silent.port}`, maxConnections: 1 }];
    await using proxy = await startProxy({ upstreams: { exits: { pool } }, default: "exits", rules: [] }, { resolver });
    using first = await proxy.connect();
    first.write("CONNECT some.example:443 HTTP/1.1\r\nHost: some.example:443\r\n\r\n");
    await silent.next();
    const { head } = await proxy.tunnel("some.example:443");
    await expectRefusal(proxy, head, "upstreams_full");
  });

  test("an upstream whose certificate nobody signed", async () => {
    const { cert, key } = await makeCertificate();
    const upstream = Bun.listen({ hostname: "127.0.0.1", port: 0, tls: { cert, key }, socket: { data() {} } });
    await expectOf("some.example:443", "tls_certificate", {
      upstream: `https://127.0.0.1:${upstream.port}`,
      rules: [],
    });
    upstream.stop(true);
  });

  test("an upstream that speaks no TLS", async () => {
    using upstream = listenRaw((peer) => {
      peer.write("220 mail ready\r\n");
      peer.finish();
    });
    await expectOf("some.example:443", "tls_protocol", { upstream: `https://127.0.0.1:${upstream.port}`, rules: [] });
  });

  test("an upstream that answers with something else", async () => {
    using upstream = listenRaw((peer) => peer.write("SSH-2.0-OpenSSH_9.2\r\n"));
    await expectOf("some.example:443", "upstream_protocol", {
      upstream: `http://127.0.0.1:${upstream.port}`,
      rules: [],
    });
  });

  test("an upstream that does not answer in time", async () => {
    using upstream = listenRaw();
    await expectOf("some.example:443", "upstream_timeout", {
      upstream: `http://127.0.0.1:${upstream.port}`,
      rules: [],
      timeouts: { connect: "300ms" },
    });
  });

  test("draining", async () => {
    using origin = listenRaw();
    await using proxy = await startProxy();
    const { peer: tunnel } = await proxy.tunnel(`127.0.0.1:${origin.port}`);
    using waiting = await connectRaw(proxy.port);
    using silent = await connectRaw(proxy.port);
    // Accepted, as the metric tells.
    await waitForOpen(proxy, 3);
    waiting.write(`CONNECT 127.0.0.1:${origin.port} HTTP/1.1\r\n`);
    const drained = proxy.daemon.drain();
    // Silent clients are closed when new requests are refused from then on.
    await silent.untilEnd();
    waiting.write(`Host: 127.0.0.1:${origin.port}\r\n\r\n`);
    await waiting.untilEnd();
    await expectRefusal(proxy, waiting.text, "draining");
    tunnel.finish();
    (await origin.next()).finish();
    await drained;
  });
});

async function waitForOpen(proxy: TestProxy, count: number): Promise<void> {
  let seen = "";
  while (!seen.includes(`penstock_connections_open ${count}`)) seen = await proxy.metrics();
}

describe("allowing", () => {
  test("a private address needs a rule that says so", async () => {
    using origin = listenRaw();
    await using proxy = await startProxy({ rules: [{ ...allowLoopback, allowPrivate: false }] });
    const { head } = await proxy.tunnel(`127.0.0.1:${origin.port}`);
    await expectRefusal(proxy, head, "address_prohibited");
    expect(origin.accepted).toHaveLength(0);
  });
});
