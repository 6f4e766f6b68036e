import { describe, expect, test } from "bun:test";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { recordHello } from "../support/tap-stand.ts";
import { startProxy } from "../support/proxy.ts";

/** Nobody is asked for names: an upstream resolves them. */
const resolver = createFakeResolver({});

describe("what rules would refuse and only report", () => {
  test("opens a tunnel, and is told in Proxy-Status, the log, events, metrics and the live view", async () => {
    using echo = listenEcho();
    await using up = await startConnectUpstream();
    await using proxy = await startProxy(
      {
        upstreams: { up: `http://127.0.0.1:${up.port}` },
        mode: "report",
        rules: [{ name: "no-ads", to: ["*.ads.example"], deny: true }, { via: "up" }],
      },
      { resolver },
    );
    const target = `x.ads.example:${echo.port}`;
    const { peer, head } = await proxy.tunnel(target);
    using client = peer;
    expect(head).toStartWith("HTTP/1.1 200 Connection Established\r\n");
    expect(head).toContain('\r\nProxy-Status: penstock; details="reported: denied_by_rule, rule no-ads"\r\n');
    client.write("through");
    await client.untilText("through");
    const { tunnels } = (await (await proxy.ask("/tunnels")).json()) as { tunnels: Record<string, unknown>[] };
    expect(tunnels).toMatchObject([{ target, rule: "rule-2", reported: "denied_by_rule", reported_rule: "no-ads" }]);
    const events = await proxy.ask("/events?type=tunnel_ended&word=denied_by_rule");
    client.finish();
    const record = await proxy.record();
    expect(record).toMatchObject({ target, status: 200, reported: "denied_by_rule", reported_rule: "no-ads" });
    expect(record).not.toHaveProperty("detail");
    expect(await proxy.metrics()).toContain('penstock_reported_total{rule="no-ads",detail="denied_by_rule"} 1\n');
    let told = "";
    for await (const bytes of events.body ?? []) {
      told += Buffer.from(bytes).toString();
      if (told.includes("tunnel_ended")) break;
    }
    expect(told).toContain('"reported":"denied_by_rule","reported_rule":"no-ads"');
  });

  test("says nothing of what no rule would refuse", async () => {
    using echo = listenEcho();
    await using up = await startConnectUpstream();
    await using proxy = await startProxy(
      {
        upstreams: { up: `http://127.0.0.1:${up.port}` },
        rules: [{ to: ["*.ads.example"], deny: true, report: true }, { via: "up" }],
      },
      { resolver },
    );
    const { peer, head } = await proxy.tunnel(`good.example:${echo.port}`);
    peer.finish();
    expect(head).not.toContain("Proxy-Status");
    expect(await proxy.record()).not.toHaveProperty("reported");
    expect(await proxy.metrics()).not.toContain("penstock_reported_total{");
  });

  test("stays refused at a private address, though a later rule allows it, with the word of the address", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({
      mode: "report",
      rules: [
        { to: ["127.0.0.0/8"], deny: true },
        { to: ["127.0.0.0/8"], allowPrivate: true },
      ],
    });
    expect(await proxy.exchange(`CONNECT 127.0.0.1:${echo.port} HTTP/1.1\r\nHost: x\r\n\r\n`)).toContain(
      "(address_prohibited)",
    );
    expect(await proxy.record()).toMatchObject({ status: 403, detail: "address_prohibited" });
  });

  test("leaves authentication, clients and malformed messages enforced", async () => {
    await using proxy = await startProxy({
      mode: "report",
      users: [{ name: "ci", password: "right" }],
      default: "deny",
    });
    const connect = (more = "") => proxy.exchange(`CONNECT a.example:443 HTTP/1.1\r\nHost: x\r\n${more}\r\n`);
    expect(await connect()).toStartWith("HTTP/1.1 407");
    expect(await connect("Bad Name: x\r\n")).toStartWith("HTTP/1.1 400");
    await using closed = await startProxy({ mode: "report", clients: ["192.0.2.1"], default: "deny" });
    expect(await closed.exchange("CONNECT a.example:443 HTTP/1.1\r\nHost: x\r\n\r\n")).toContain(
      "(client_not_admitted)",
    );
  });

  test("is told for each forwarded request on a kept connection, the first and the later ones alike", async () => {
    using origin = serveHttp(() => ok("fine"));
    await using up = await startConnectUpstream();
    await using proxy = await startProxy(
      {
        upstreams: { up: `http://127.0.0.1:${up.port}` },
        rules: [
          { name: "reads", methods: ["DELETE"], deny: true, report: true },
          { via: "up", tunnelHttp: true },
        ],
      },
      { resolver },
    );
    using client = await proxy.connect();
    const uri = `http://origin.example:${origin.port}/`;
    const told: boolean[] = [];
    for (const method of ["GET", "DELETE", "GET", "DELETE", "DELETE", "GET"]) {
      client.write(ask(method, uri));
      const { head } = await takeResponse(client, true);
      expect(head).toStartWith("HTTP/1.1 200");
      told.push(head.includes('Proxy-Status: penstock; details="reported: denied_by_rule, rule reads"'));
    }
    expect(told).toEqual([false, true, false, true, true, false]);
    await proxy.record(5);
    expect(proxy.records.map(({ reported }) => reported !== undefined)).toEqual(told);
  });

  test("lets a tunnel go on whose server name a rule with report does not allow, and records it", async () => {
    using echo = listenEcho();
    await using up = await startConnectUpstream();
    await using proxy = await startProxy(
      {
        upstreams: { up: `http://127.0.0.1:${up.port}` },
        rules: [{ name: "front", via: "up", sni: "match", report: true }],
        default: "deny",
      },
      { resolver },
    );
    const { peer, head } = await proxy.tunnel(`good.example:${echo.port}`);
    using client = peer;
    expect(head).not.toContain("Proxy-Status");
    const hello = recordHello("evil.example");
    client.write(hello);
    client.finish();
    await client.untilEnd();
    expect(client.receivedBytes).toBeGreaterThanOrEqual(hello.length);
    expect(await proxy.record()).toMatchObject({
      reported: "sni_mismatch",
      reported_rule: "front",
      tls: { sni: "evil.example" },
    });
  });
});
