import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { makeAuthority } from "../support/certificate-authority.ts";
import { allowLoopback, basic, startProxy, waitFor } from "../support/proxy.ts";
import { connectRaw, listenEcho, type RawServer } from "../support/raw-peer.ts";
import { connectTls } from "../support/tls-stand.ts";

let echo: RawServer;
beforeAll(() => {
  echo = listenEcho();
});
afterAll(() => echo[Symbol.dispose]());

const target = () => `127.0.0.1:${echo.port}`;
const connectTo = (fields: Record<string, string> = {}) =>
  `CONNECT ${target()} HTTP/1.1\r\nHost: ${target()}\r\n${Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n`;
const status = (text: string) => text.split(" ")[1];
const denyAll = { name: "deny-all", to: ["127.0.0.0/8"], deny: true };

describe("a reload", () => {
  test("changes users, rules, timeouts and the log for new connections, and says so redacted", async () => {
    await using proxy = await startProxy({ users: [{ name: "ann", password: "first-secret" }] });
    const outcome = await proxy.reload({
      users: [{ name: "ann", password: "second-secret" }],
      rules: [{ ...allowLoopback, to: [...allowLoopback.to, "*.example.org"] }],
      timeouts: { idle: "5m" },
    });
    expect(outcome).toEqual({
      kind: "done",
      changes: ['rules[0].to: +"*.example.org"', 'timeouts.idle: "10m" → "5m"', "users[0].password: other content"],
      warnings: [],
    });
    expect(proxy.messages.join("\n")).not.toContain("secret");
    expect(status((await proxy.tunnel(target(), basic("ann", "first-secret"))).head)).toBe("407");
    const { peer, head } = await proxy.tunnel(target(), basic("ann", "second-secret"));
    peer[Symbol.dispose]();
    expect(status(head)).toBe("200");
    expect(await (await proxy.ask("/config")).json()).toMatchObject({ timeouts: { idle: "5m" } });

    await proxy.reload({ rules: [denyAll], log: { access: "off" } });
    const before = proxy.records.length;
    expect(status((await proxy.tunnel(target())).head)).toBe("403");
    expect(proxy.records.slice(before).filter(({ rule }) => rule === "deny-all")).toEqual([]);
  });

  test("reaches the next request of a kept connection, and leaves a tunnel under way alone", async () => {
    using origin = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("ok") });
    await using proxy = await startProxy();
    const get = `GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n\r\n`;
    using kept = await proxy.connect();
    kept.write(get);
    await kept.untilText("ok");
    expect(status(kept.take().toString())).toBe("200");
    const { peer: tunnel } = await proxy.tunnel(target());
    await proxy.reload({ rules: [denyAll] });
    kept.write(get);
    await kept.untilText("\r\n\r\n");
    expect(status(kept.text)).toBe("403");
    tunnel.write("still here");
    await tunnel.untilText("still here");
    tunnel[Symbol.dispose]();
  });

  test("applies limits to connections that come later, and counts those that are there", async () => {
    await using proxy = await startProxy({ limits: { connections: 10 } });
    const { peer: tunnel } = await proxy.tunnel(target());
    await proxy.reload({ limits: { connections: 1 } });
    expect(status((await proxy.tunnel(target())).head)).toBe("429");
    tunnel[Symbol.dispose]();
    await proxy.reload({ limits: { connections: 10 } });
    const { peer, head } = await proxy.tunnel(target());
    peer[Symbol.dispose]();
    expect(status(head)).toBe("200");
  });

  test("with a configuration that is wrong changes nothing, and everybody who asks is told", async () => {
    await using proxy = await startProxy();
    proxy.write({ rules: [{ to: ["a:0"], allow: true }] });
    const answer = await proxy.ask("/reload", "POST");
    expect(answer.status).toBe(422);
    const { problems } = (await answer.json()) as { problems: string[] };
    expect(problems[0]).toStartWith("rules[0].to[0]: ");
    expect(proxy.messages).toContain("Cannot use the new configuration. The one before stays in effect:");
    expect(await (await proxy.ask("/readyz")).json()).toMatchObject({
      ready: true,
      warning: "The last reload failed. The configuration before it is in effect.",
    });
    expect(await proxy.metrics()).toContain("penstock_config_last_reload_successful 0\n");
    const { peer, head } = await proxy.tunnel(target());
    peer[Symbol.dispose]();
    expect(status(head)).toBe("200");

    proxy.write({});
    expect((await proxy.ask("/reload", "POST")).status).toBe(200);
    expect(await (await proxy.ask("/readyz")).json()).toEqual({ ready: true });
    const metrics = await proxy.metrics();
    expect(metrics).toContain("penstock_config_last_reload_successful 1\n");
    expect(metrics).toMatch(/^penstock_config_last_reload_success_timestamp_seconds \d+/m);
  });

  test("says which settings need a restart, and goes on showing those in effect", async () => {
    await using proxy = await startProxy();
    const outcome = await proxy.reload({ splice: "off", timeouts: { idle: "1m" } });
    expect(outcome).toMatchObject({
      changes: ['timeouts.idle: "10m" → "1m"'],
      warnings: ['splice: "off" needs a restart. Until then "auto" stays in effect.'],
    });
    expect(await (await proxy.ask("/config")).json()).toMatchObject({ splice: "auto" });
  });

  test("is answered although it moves the sidecar or changes its token", async () => {
    await using proxy = await startProxy();
    const first = proxy.daemon.sidecar?.port;
    proxy.write({ sidecar: { port: 0, host: "::1", token: "other-token" } });
    expect((await proxy.ask("/reload", "POST")).status).toBe(200);
    const moved = await fetch(`http://[::1]:${proxy.daemon.sidecar?.port}/config`, {
      headers: { Authorization: "Bearer other-token" },
    });
    expect(moved.status).toBe(200);
    await waitFor(
      async () =>
        fetch(`http://127.0.0.1:${first}/healthz`).then(
          () => false,
          () => true,
        ),
      "its end",
    );
    await proxy.reload({ sidecar: { port: 0, host: "::1", token: "third-token" } });
    expect((await fetch(moved.url, { headers: { Authorization: "Bearer other-token" } })).status).toBe(401);
    await proxy.reload({ sidecar: undefined });
    expect(proxy.daemon.sidecar).toBeUndefined();
  });

  test("needs the token", async () => {
    await using proxy = await startProxy();
    const url = `http://127.0.0.1:${proxy.daemon.sidecar?.port}/reload`;
    expect((await fetch(url, { method: "POST" })).status).toBe(401);
    expect((await proxy.ask("/reload")).status).toBe(405);
    expect(proxy.messages.filter((message) => message.startsWith("Reloaded"))).toEqual([]);
  });

  test("is refused while the proxy drains", async () => {
    await using proxy = await startProxy();
    const { peer: tunnel } = await proxy.tunnel(target());
    const drained = proxy.daemon.drain();
    expect(await proxy.reload({})).toMatchObject({ kind: "refused" });
    expect((await proxy.ask("/reload", "POST")).status).toBe(409);
    tunnel[Symbol.dispose]();
    await drained;
  });

  test("does not overtake another one: all that wait share the next", async () => {
    await using proxy = await startProxy();
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => proxy.daemon.reload()));
    expect(outcomes.every(({ kind }) => kind === "done")).toBe(true);
    expect(proxy.messages.filter((message) => message.startsWith("Reloaded"))).toHaveLength(2);
  });

  test("keeps verified passwords verified", async () => {
    const users = [{ name: "ann", password: await Bun.password.hash("pw", { algorithm: "bcrypt", cost: 4 }) }];
    await using proxy = await startProxy({ users });
    (await proxy.tunnel(target(), basic("ann", "pw"))).peer[Symbol.dispose]();
    await proxy.reload({ users, auth: { realm: "other" } });
    (await proxy.tunnel(target(), basic("ann", "pw"))).peer[Symbol.dispose]();
    expect(await proxy.metrics()).toContain('penstock_auth_checks_total{cache="hit"} 1\n');
  });
});

describe("certificates", () => {
  test("change with a reload, and a tunnel goes on", async () => {
    await using authority = await makeAuthority();
    const [first, second] = [await authority.issue(), await authority.issue()];
    const config = { listen: [{ port: 0, tls: { cert: "cert", key: "key" } }] };
    await using proxy = await startProxy(config, { files: { cert: first.cert, key: first.key } });
    const open = async () => {
      const peer = await connectTls(proxy.port, authority.cert);
      peer.write(connectTo());
      await peer.untilText("\r\n\r\n");
      return peer;
    };
    using before = await open();
    const outcome = await proxy.reload(config, { cert: second.cert, key: second.key });
    expect(outcome).toMatchObject({ changes: ['file "cert": other content', 'file "key": other content'] });
    using after = await open();
    const serial = (peer: typeof before) => peer.socket.getPeerCertificate().serialNumber;
    expect(serial(after)).not.toBe(serial(before));
    before.write("still here");
    await before.untilText("still here");
    expect(await proxy.reload(config, { cert: second.cert, key: first.key })).toMatchObject({ kind: "invalid" });
    using last = await open();
    expect(serial(last)).toBe(serial(after));
    // TLS comes and goes on the same socket.
    await proxy.reload({ listen: [{ port: 0 }] });
    const { peer, head } = await proxy.tunnel(target());
    peer[Symbol.dispose]();
    expect(status(head)).toBe("200");
  });
});

describe("listeners", () => {
  test("are added, removed, changed and kept by reloads without a failed connection", async () => {
    await using proxy = await startProxy({ listen: [{ port: 0 }, { port: 0, host: "127.0.0.2" }] });
    const { port } = proxy;
    let failed = 0;
    let served = 0;
    let stop = false;
    const load = async () => {
      while (!stop) {
        using client = await connectRaw(port);
        client.write(connectTo());
        await client.untilText("\r\n\r\n");
        if (status(client.text) === "200") served += 1;
        else failed += 1;
      }
    };
    const clients = Array.from({ length: 4 }, load);
    for (let round = 0; round < 20; round += 1) {
      const protocols = round % 2 === 0 ? (["http"] as const) : (["http", "socks5"] as const);
      const listen = [
        { port: 0, protocols: [...protocols] },
        ...(round % 3 === 0 ? [{ port: 0, host: "127.0.0.3" }] : []),
      ];
      expect(await proxy.reload({ listen })).toMatchObject({ kind: "done" });
      expect(proxy.daemon.listeners[0]?.port).toBe(port);
      expect(proxy.daemon.listeners).toHaveLength(listen.length);
      const seen = served;
      await waitFor(() => served > seen + 5, "some connections");
      using socks = await connectRaw(port);
      socks.write(Uint8Array.of(5, 1, 0));
      if (round % 2 === 0) await socks.untilEnd();
      else await waitFor(() => socks.received[1] === 0, "the answer to SOCKS5");
    }
    stop = true;
    await Promise.all(clients);
    expect(failed).toBe(0);
  });

  test("stay as they are when a new one cannot be bound", async () => {
    await using proxy = await startProxy();
    const busy = echo.port;
    const outcome = await proxy.reload({ listen: [{ port: 0 }, { port: busy }], rules: [denyAll] });
    expect(outcome).toEqual({
      kind: "invalid",
      problems: [expect.stringContaining(`Cannot listen on 127.0.0.1:${busy}: the port is in use.`)],
    });
    const { peer, head } = await proxy.tunnel(target());
    peer[Symbol.dispose]();
    expect(status(head)).toBe("200");
    expect(proxy.daemon.listeners).toHaveLength(1);
  });

  test("that were removed refuse connections, and their tunnels go on", async () => {
    await using proxy = await startProxy();
    const { peer: tunnel } = await proxy.tunnel(target());
    await proxy.reload({ listen: [{ host: "127.0.0.2", port: 0 }] });
    expect(
      await connectRaw(proxy.port).then(
        () => "open",
        () => "refused",
      ),
    ).toBe("refused");
    tunnel.write("still here");
    await tunnel.untilText("still here");
    tunnel[Symbol.dispose]();
  });
});
