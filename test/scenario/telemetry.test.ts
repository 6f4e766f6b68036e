import { describe, expect, test } from "bun:test";
import { type CollectedSpan, type Collector, startCollector } from "../support/collector.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { allowLoopback, startProxy, type TestProxy, waitFor } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

const refused = reserveClosedPort();

/** `[name, …children]`, children in the order of their beginning. */
type Tree = readonly [string, ...Tree[]];

function drawTree(spans: readonly CollectedSpan[], root: CollectedSpan): Tree {
  const children = spans
    .filter(({ parentSpanId }) => parentSpanId === root.spanId)
    .toSorted((one, other) => (one.start < other.start ? -1 : one.start > other.start ? 1 : 0));
  return [root.name, ...children.map((child) => drawTree(spans, child))];
}

/** Ends the proxy, so that it tells what is left. */
async function collect(proxy: TestProxy, collector: Collector): Promise<CollectedSpan[]> {
  await proxy.daemon.stop();
  expect(collector.faults).toEqual([]);
  return collector.spans;
}

function find(spans: readonly CollectedSpan[], name: string): CollectedSpan {
  const found = spans.find((span) => span.name === name);
  if (found === undefined) throw new Error(`No span ${name} among ${spans.map((span) => span.name).join(" ")}`);
  return found;
}

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

describe("the trace of a request", () => {
  test("is a tree of its stages, the resolving and the attempts at connecting", async () => {
    using echo = listenEcho();
    using collector = startCollector();
    await using proxy = await startProxy(
      { telemetry: { otlp: collector.url, sample: 1 } },
      { resolver: createFakeResolver({ "echo.example": ["127.0.0.1"] }) },
    );
    const { peer } = await proxy.tunnel(`echo.example:${echo.port}`);
    peer.finish();
    await peer.untilEnd();
    const { id } = (await proxy.record()) as { id: string };
    const spans = await collect(proxy, collector);
    const root = find(spans, "CONNECT");
    expect(drawTree(spans, root)).toEqual([
      "CONNECT",
      ["accept"],
      ["handshake"],
      ["authenticate"],
      ["request"],
      ["decide", ["resolve"]],
      ["route"],
      ["dial", ["connect"]],
      ["respond"],
      ["tunnel"],
    ]);
    expect(spans.every(({ traceId }) => traceId === root.traceId)).toBe(true);
    expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
    expect(root.attributes).toMatchObject({
      "penstock.connection.id": id,
      "server.address": "echo.example",
      "server.port": String(echo.port),
      "network.peer.address": "127.0.0.1",
      "http.request.method": "CONNECT",
      "http.response.status_code": "200",
      "penstock.rule": "loopback",
      "penstock.upstream": "direct",
      "penstock.end": "closed",
    });
    expect(find(spans, "connect").attributes["network.peer.address"]).toBe(`127.0.0.1:${echo.port}`);
    expect(find(spans, "resolve").attributes).toMatchObject({
      "dns.question.name": "echo.example",
      "dns.answers": "127.0.0.1",
    });
    // Each stage begins where the one before ended, and the tunnel ends with the request.
    const stages = spans.filter(({ parentSpanId }) => parentSpanId === root.spanId);
    for (const [index, { start }] of stages.entries()) expect(start).toBe(stages[index - 1]?.end ?? root.start);
    expect(stages.at(-1)?.end).toBe(root.end);
  });

  test("says where it failed and why, with each attempt", async () => {
    using collector = startCollector();
    const port = await refused;
    await using proxy = await startProxy(
      { telemetry: { otlp: collector.url, sample: 1 } },
      { resolver: createFakeResolver({ "two.example": ["::1", "127.0.0.1"] }) },
    );
    await proxy.tunnel(`two.example:${port}`);
    await proxy.record();
    const spans = await collect(proxy, collector);
    const attempts = spans.filter(({ name }) => name === "connect");
    expect(attempts.map(({ attributes }) => attributes["network.peer.address"])).toEqual([
      `[::1]:${port}`,
      `127.0.0.1:${port}`,
    ]);
    expect(attempts.map(({ error }) => error)).toEqual(["connection_refused", "connection_refused"]);
    expect(find(spans, "dial").error).toBe("connection_refused");
    expect(find(spans, "CONNECT").error).toBe("connection_refused");
    expect(find(spans, "respond").error).toBeUndefined();
  });

  test("has the members of a pool that were tried, and what was done for each", async () => {
    using echo = listenEcho();
    using collector = startCollector();
    await using exit = await startProxy();
    const dead = `http://127.0.0.1:${await refused}`;
    await using proxy = await startProxy({
      telemetry: { otlp: collector.url, sample: 1 },
      upstreams: { exits: { pool: [dead, `http://127.0.0.1:${exit.port}`], balance: "first" } },
      rules: [{ ...allowLoopback, via: "exits" }],
    });
    const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    peer.finish();
    await peer.untilEnd();
    await proxy.record();
    const spans = await collect(proxy, collector);
    const dialled = drawTree(spans, find(spans, "dial"));
    expect(dialled).toEqual(["dial", ["attempt", ["hop", ["connect"]]], ["attempt", ["hop", ["connect"]]]]);
    const errors = spans.filter(({ name }) => name === "attempt").map(({ error }) => error);
    expect(errors).toEqual(["connection_refused", undefined]);
    expect(find(spans, "CONNECT").attributes["penstock.attempts"]).toBe("2");
  });

  test("of a client that is denied is no error of the proxy", async () => {
    using collector = startCollector();
    await using proxy = await startProxy({ telemetry: { otlp: collector.url, sample: 1 }, rules: [], default: "deny" });
    await proxy.tunnel("127.0.0.1:9");
    const spans = await collect(proxy, collector);
    const root = find(spans, "CONNECT");
    expect(root.error).toBeUndefined();
    expect(root.attributes).toMatchObject({ "error.type": "denied_by_default", "http.response.status_code": "403" });
    expect(find(spans, "decide").error).toBe("denied_by_default");
  });

  test("is not made for requests that are left out, and nobody is told", async () => {
    using origin = serveHttp(() => ok("x"));
    using collector = startCollector();
    await using proxy = await startProxy({ telemetry: { otlp: collector.url, sample: 0, metrics: false } });
    using client = await proxy.connect();
    for (let at = 0; at < 3; at += 1) {
      client.write(ask("GET", origin.uri()));
      await takeResponse(client);
    }
    await collect(proxy, collector);
    expect(collector.headers).toEqual([]);
  });
});

describe("traceparent", () => {
  test("of a listed client is continued, and the next hop is told our span", async () => {
    using origin = serveHttp(() => ok("x"));
    using collector = startCollector();
    await using proxy = await startProxy({
      telemetry: { otlp: collector.url, sample: 0, trustFrom: ["127.0.0.0/8"] },
    });
    using client = await proxy.connect();
    // The second request is like the first one, which a plan would carry out.
    for (let at = 0; at < 2; at += 1) {
      client.write(ask("GET", origin.uri(), `traceparent: 00-${TRACE}-${SPAN}-01\r\ntracestate: a=b\r\n`));
      await takeResponse(client);
    }
    await proxy.record(1);
    const spans = await collect(proxy, collector);
    const roots = spans.filter(({ name }) => name === "GET");
    expect(roots.map(({ traceId, parentSpanId }) => [traceId, parentSpanId])).toEqual([
      [TRACE, SPAN],
      [TRACE, SPAN],
    ]);
    const sent = spans.filter(({ name }) => name === "forward").map(({ spanId }) => `00-${TRACE}-${spanId}-01`);
    expect(origin.heads.map((head) => /traceparent: (.*)\r\n/i.exec(head)?.[1])).toEqual(sent);
    expect(new Set(sent).size).toBe(2);
    for (const head of origin.heads) expect(head).toContain("\r\ntracestate: a=b\r\n");
  });

  test("of a listed client decides whether its request is traced", async () => {
    using origin = serveHttp(() => ok("x"));
    using collector = startCollector();
    await using proxy = await startProxy({
      telemetry: { otlp: collector.url, sample: 1, trustFrom: ["127.0.0.1"], metrics: false },
    });
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri(), `traceparent: 00-${TRACE}-${SPAN}-00\r\n`));
    await takeResponse(client);
    await collect(proxy, collector);
    expect(collector.spans).toEqual([]);
    expect(origin.heads[0]).toContain(`\r\ntraceparent: 00-${TRACE}-${SPAN}-00\r\n`);
  });

  test.each([
    ["of another client", ["10.0.0.0/8"], `00-${TRACE}-${SPAN}-01`],
    ["that is malformed", ["127.0.0.1"], `00-${TRACE}-0000000000000000-01`],
    ["that comes twice", ["127.0.0.1"], `00-${TRACE}-${SPAN}-01\r\ntraceparent: 00-${TRACE}-${SPAN}-01`],
  ])("%s goes on as it came, and the request has a trace of its own", async (_, trustFrom, value) => {
    using origin = serveHttp(() => ok("x"));
    using collector = startCollector();
    await using proxy = await startProxy({ telemetry: { otlp: collector.url, sample: 1, trustFrom } });
    using client = await proxy.connect();
    for (let at = 0; at < 2; at += 1) {
      client.write(ask("GET", origin.uri(), `traceparent: ${value}\r\n`));
      await takeResponse(client);
    }
    await proxy.record(1);
    const spans = await collect(proxy, collector);
    expect(origin.heads).toHaveLength(2);
    for (const head of origin.heads) expect(head).toContain(`\r\ntraceparent: ${value}\r\n`);
    const roots = spans.filter(({ name }) => name === "GET");
    expect(roots.map(({ parentSpanId }) => parentSpanId)).toEqual([undefined, undefined]);
    expect(roots.every(({ traceId }) => traceId !== TRACE)).toBe(true);
  });
});

describe("exports", () => {
  test("have the metrics of /metrics, the name of the service and the fields that are configured", async () => {
    using origin = serveHttp(() => ok("x"));
    using collector = startCollector();
    await using proxy = await startProxy(
      {
        telemetry: {
          otlp: `${collector.url}/`,
          sample: 1,
          service: "edge",
          headers: { "x-api-key": { env: "OTLP_KEY" } },
        },
      },
      { variables: { OTLP_KEY: "s3cr3t-key" } },
    );
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri()));
    await takeResponse(client);
    await proxy.record();
    const text = await proxy.metrics();
    const config = await (await proxy.ask("/config")).text();
    await collect(proxy, collector);
    expect(config).not.toContain("s3cr3t");
    expect(collector.headers.every((fields) => fields.get("x-api-key") === "s3cr3t-key")).toBe(true);
    expect(collector.resources[0]).toMatchObject({ "service.name": "edge" });
    // Every family that /metrics has samples of.
    const names = new Set(
      Array.from(text.matchAll(/^([a-z_]+?)(?:_bucket|_sum|_count)?[{ ]/gm), ([, name = ""]) => name),
    );
    expect(names.difference(new Set(collector.metrics.keys()))).toEqual(new Set());
    const requests = collector.metrics.get("penstock_rule_requests_total");
    expect(requests).toMatchObject([{ attributes: { rule: "loopback" }, value: 1 }]);
    const forward = collector.metrics
      .get("penstock_stage_seconds")
      ?.find(({ attributes }) => attributes["stage"] === "forward");
    expect(forward?.bucketCounts).toHaveLength((forward?.explicitBounds.length ?? 0) + 1);
    expect(forward?.bucketCounts.reduce((sum, count) => sum + Number(count), 0)).toBe(1);
  });

  test("that a collector does not take cost clients nothing, and the operator is told once", async () => {
    using echo = listenEcho();
    const closed = `http://127.0.0.1:${await refused}`;
    await using proxy = await startProxy({ telemetry: { otlp: closed, sample: 1, every: "50ms" } });
    const failures = async () => Number(/^penstock_telemetry_failures_total (\d+)$/m.exec(await proxy.metrics())?.[1]);
    await waitFor(async () => (await failures()) >= 3, "three failures");
    const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    expect(head).toStartWith("HTTP/1.1 200 ");
    peer.finish();
    await peer.untilEnd();
    await proxy.record();
    await proxy.daemon.stop();
    expect(proxy.messages.filter((message) => message.startsWith(`telemetry: ${closed}/v1/metrics `))).toEqual([
      `telemetry: ${closed}/v1/metrics cannot be reached: ECONNREFUSED. Clients are served as before; spans wait for it, and the oldest are lost when there are too many.`,
    ]);
  });

  test("follow a reload to another collector, and to none", async () => {
    using first = startCollector();
    using second = startCollector();
    await using proxy = await startProxy({ telemetry: { otlp: first.url, sample: 1, metrics: false } });
    await proxy.exchange("GET / HTTP/1.1\r\n\r\n");
    await proxy.reload({ telemetry: { otlp: second.url, sample: 1, metrics: false } });
    await first.trace(({ parentSpanId }) => parentSpanId === undefined);
    await proxy.exchange("GET / HTTP/1.1\r\n\r\n");
    await proxy.reload({});
    await second.trace(({ parentSpanId }) => parentSpanId === undefined);
    expect(await proxy.metrics()).not.toContain("penstock_telemetry");
    expect([...first.faults, ...second.faults]).toEqual([]);
    expect(first.spans.filter(({ parentSpanId }) => parentSpanId === undefined)).toHaveLength(1);
  });
});
