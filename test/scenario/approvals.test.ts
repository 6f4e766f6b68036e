import { describe, expect, test } from "bun:test";
import type { AskedApproval } from "../../src/config/approvals-schema.ts";
import type { Resolver } from "../../src/net/dns/resolver.ts";
import {
  answerQuestion,
  asking,
  connectAsking,
  findQuestion,
  listApprovals,
  statusOf,
  users,
} from "../support/approvals.ts";
import { makeCertificate } from "../support/certificate.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { ok, serveHttp } from "../support/http-origin.ts";
import { basic, startProxy, waitFor } from "../support/proxy.ts";
import { connectRaw, listenEcho } from "../support/raw-peer.ts";

describe("a rule that asks", () => {
  test("holds the connection until an operator allows it, tells by an event and a function, and says who answered", async () => {
    await using upstream = await startConnectUpstream();
    using echo = listenEcho();
    const told: AskedApproval[] = [];
    await using proxy = await startProxy(asking(upstream, { approvals: { notify: (asked) => told.push(asked) } }));
    const target = `new.example:${echo.port}`;
    using peer = await connectAsking(proxy, target);
    const { id, user } = await findQuestion(proxy, target);
    expect(user).toBe("ann");
    expect(upstream.asked).toEqual([]);
    expect(await proxy.metrics()).toContain("penstock_approvals_waiting 1\n");
    const answered = await answerQuestion(proxy, id, { allow: true });
    expect(await answered.json()).toEqual({ id, target, allow: true, for: "once", released: 1 });
    expect(await statusOf(peer)).toBe("200");
    peer.take();
    peer.write("ping");
    await peer.untilText("ping");
    expect(told).toMatchObject([{ id, user: "ann", host: "new.example", port: echo.port, rule: "others" }]);
    expect(proxy.messages.filter((message) => message.startsWith("Approval "))).toEqual([
      `Approval ${id} of rule others, user ann to ${target}: allowed once by sidecar.token.`,
    ]);
    const { events } = (await (await proxy.ask("/events?type=approval&after=x")).json()) as { events: object[] };
    const about = { event: "approval", id, user: "ann", client: "127.0.0.1", target, rule: "others" };
    expect(events).toMatchObject([
      { ...about, change: "asked" },
      { ...about, change: "answered", allow: true, for: "once", by: "sidecar.token", waiting: 1 },
    ]);
    const metrics = await proxy.metrics();
    for (const line of [
      "penstock_approvals_waiting 0",
      "penstock_approvals_asked_total 1",
      'penstock_approvals_answered_total{answer="allow_once"} 1',
    ])
      expect(metrics).toContain(`${line}\n`);
    // Once is once.
    using again = await connectAsking(proxy, target);
    await findQuestion(proxy, target);
    expect(again.text).toBe("");
  });

  test("is refused with a word and Retry-After when nobody answers, and a client that tries again makes no new question", async () => {
    await using upstream = await startConnectUpstream();
    await using proxy = await startProxy(asking(upstream, { timeouts: { ask: "100ms" } }));
    for (let at = 0; at < 2; at++) {
      using peer = await connectAsking(proxy, "new.example:443");
      await peer.untilEnd();
      expect(peer.text).toStartWith("HTTP/1.1 403 No operator approved the target in time\r\n");
      expect(peer.text).toContain("\r\nRetry-After: 30\r\n");
      expect(peer.text).toContain('details="approval_missing"');
    }
    expect(await proxy.record(1)).toMatchObject({ detail: "approval_missing", rule: "others", user: "ann" });
    const { approvals } = await listApprovals(proxy);
    expect(approvals).toMatchObject([{ target: "new.example:443", waiting: 0 }]);
    const metrics = await proxy.metrics();
    expect(metrics).toContain("penstock_approvals_asked_total 1\n");
    expect(metrics).toContain("penstock_approvals_timed_out_total 2\n");
    // The answer comes late: it is for the next try.
    await answerQuestion(proxy, approvals[0]?.id ?? "", { allow: false, for: "10m" });
    using denied = await connectAsking(proxy, "new.example:443");
    await denied.untilEnd();
    expect(denied.text).toStartWith("HTTP/1.1 403 Denied by an operator\r\n");
    expect(denied.text).toMatch(/\r\nRetry-After: (?:600|59\d)\r\n/);
  });

  test("asks only for what no rule decides, and never for a special-purpose address", async () => {
    await using upstream = await startConnectUpstream();
    await using proxy = await startProxy(asking(upstream));
    const expected = {
      "evil.example:443": "denied_by_rule",
      "10.0.0.1:443": "address_prohibited",
      "169.254.169.254:80": "address_prohibited",
      "[::ffff:7f00:1]:80": "address_prohibited",
      "[64:ff9b::a00:1]:80": "address_prohibited",
      "localhost:80": "address_prohibited",
      [`127.0.0.1:${proxy.port}`]: "proxy_loop",
    };
    for (const [target, word] of Object.entries(expected)) {
      using peer = await connectAsking(proxy, target);
      await peer.untilEnd();
      expect(`${target} ${/details="(\w+)/.exec(peer.text)?.[1]}`).toBe(`${target} ${word}`);
    }
    expect(await listApprovals(proxy)).toEqual({ approvals: [], answers: [], always: false });
  });

  test("never opens a special-purpose address by a name: it is judged when it is dialled, and not resolved before", async () => {
    const asked: string[] = [];
    const inner = createFakeResolver({ "inside.example": ["10.1.1.1"] });
    const resolver: Resolver = {
      mayComplete: (host) => inner.mayComplete(host),
      find(host, client) {
        asked.push(host.text);
        return inner.find(host, client);
      },
    };
    await using proxy = await startProxy({ users, rules: [], default: "ask" }, { resolver });
    using peer = await connectAsking(proxy, "inside.example:443");
    const { id } = await findQuestion(proxy, "inside.example:443");
    expect(asked).toEqual([]);
    await answerQuestion(proxy, id, { allow: true, for: "10m" });
    await peer.untilEnd();
    expect(asked).toEqual(["inside.example"]);
    expect(peer.text).toContain('details="address_prohibited');
    expect(await proxy.record()).toMatchObject({ rule: "default", detail: "address_prohibited" });
  });

  test("a client that leaves frees its place, however it leaves", async () => {
    await using upstream = await startConnectUpstream();
    await using proxy = await startProxy(asking(upstream, { approvals: { maxPerClient: 2 } }));
    using one = await connectAsking(proxy, "new.example:443");
    using two = await connectAsking(proxy, "new.example:443");
    await findQuestion(proxy, "new.example:443", 2);
    using third = await connectAsking(proxy, "new.example:443");
    await third.untilEnd();
    expect(third.text).toStartWith("HTTP/1.1 429 Too many targets wait for an operator\r\n");
    expect(third.text).toContain('details="approvals_full"');
    expect(third.text).toContain("\r\nRetry-After: 30\r\n");
    one.reset();
    two.finish();
    await findQuestion(proxy, "new.example:443", 0);
    await waitFor(() => proxy.records.filter((each) => each["detail"] === "client_gone").length === 2, "their records");
    using fourth = await connectAsking(proxy, "new.example:443");
    await findQuestion(proxy, "new.example:443");
    expect(fourth.text).toBe("");
  });

  test("a drain and an end release who waits", async () => {
    await using upstream = await startConnectUpstream();
    await using proxy = await startProxy(asking(upstream));
    using peer = await connectAsking(proxy, "new.example:443");
    await findQuestion(proxy, "new.example:443");
    const drained = proxy.daemon.drain();
    await peer.untilEnd();
    expect(peer.text).toStartWith("HTTP/1.1 503 Proxy is shutting down\r\n");
    expect(await drained).toBe("ended");

    await using other = await startProxy(asking(upstream));
    using held = await connectAsking(other, "new.example:443");
    await findQuestion(other, "new.example:443");
    await other.daemon.stop();
    await held.untilEnd();
    expect(other.records.map(({ detail }) => detail)).toEqual(["draining"]);
  });

  test("forwarded requests wait as well, one after the other on one connection, and no plan remembers an approval", async () => {
    await using upstream = await startConnectUpstream();
    using origin = serveHttp(() => ok("here"));
    const rules = [{ name: "others", ask: true, via: "corp", tunnelHttp: true }];
    await using proxy = await startProxy(asking(upstream, { rules, timeouts: { ask: "30s" } }));
    const target = `new.example:${origin.port}`;
    using peer = await proxy.connect();
    const [[name, value] = ["", ""]] = Object.entries(basic("ann", "secret"));
    const get = `GET http://${target}/ HTTP/1.1\r\nHost: ${target}\r\n${name}: ${value}\r\n\r\n`;
    for (let at = 0; at < 4; at++) {
      peer.write(get);
      const { id } = await findQuestion(proxy, target);
      expect(peer.text).toBe("");
      await answerQuestion(proxy, id, { allow: at !== 2 });
      await peer.untilText(at === 2 ? "approval_denied" : "here");
      await waitFor(() => proxy.records.length === at + 1, "its record");
      peer.take();
    }
    expect(proxy.records.map(({ status }) => status)).toEqual([200, 200, 403, 200]);
  });

  test("SOCKS clients and clients of TLS listeners wait as well, with the replies of their protocols", async () => {
    await using upstream = await startConnectUpstream();
    using echo = listenEcho();
    const { cert, key } = await makeCertificate();
    const files = { "cert.pem": cert, "key.pem": key };
    const config = {
      ...asking(upstream),
      listen: [{ port: 0 }, { port: 0, tls: { cert: "cert.pem", key: "key.pem" } }],
      users: undefined,
    };
    await using proxy = await startProxy(config, { files });
    const port = Buffer.from([echo.port >> 8, echo.port & 255]);
    const name = Buffer.from("new.example");
    for (const allow of [true, false]) {
      using socks = await connectRaw(proxy.port);
      socks.write(Buffer.from([5, 1, 0]));
      await waitFor(() => socks.receivedBytes === 2, "the method");
      socks.write(Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), name, port]));
      await answerQuestion(proxy, (await findQuestion(proxy, `new.example:${echo.port}`)).id, { allow });
      await waitFor(() => socks.receivedBytes > 2, "the reply");
      // RFC 1928 §6: succeeded, or not allowed by ruleset.
      expect(socks.received[3]).toBe(allow ? 0 : 2);
    }
    const secured = fetch(`http://new.example:${echo.port}/`, {
      proxy: `https://127.0.0.1:${proxy.daemon.listeners[1]?.port}`,
      tls: { rejectUnauthorized: false },
    } as RequestInit).then(
      (response) => response.status,
      () => 0,
    );
    await answerQuestion(proxy, (await findQuestion(proxy, `new.example:${echo.port}`)).id, { allow: false });
    expect(await secured).toBe(403);
  });
});
