import { describe, expect, test } from "bun:test";
import type { Exchanged, postJson } from "../../../src/net/http/exchange.ts";
import { Secret } from "../../../src/secret.ts";
import { describeRefusal, readRejected, readRetryMs } from "../../../src/telemetry/export-answer.ts";
import { ExportCounts, Exporter } from "../../../src/telemetry/exporter.ts";
import { listAttributes } from "../../../src/telemetry/otlp.ts";

const ACCEPTED: Exchanged = { kind: "answered", status: 200, header: () => undefined, body: Buffer.from("{}") };

/** An exporter whose requests are answered with `answer`. */
function makeExporter(
  answer: Exchanged | ((url: string) => Exchanged),
  metricsMs?: number,
  readMetrics: () => object[] = () => [],
) {
  const orders: Parameters<typeof postJson>[0][] = [];
  const messages: string[] = [];
  const counts = new ExportCounts();
  const exporter = new Exporter({
    plan: {
      url: "http://collector",
      sample: 1,
      trustFrom: undefined,
      headers: [["x-api-key", new Secret("s3cret")]],
      ca: undefined,
      service: "edge",
      metricsMs,
    },
    teller: { service: "edge", version: "1", instance: "abc" },
    counts,
    post: (order) => {
      orders.push(order);
      return Promise.resolve(typeof answer === "function" ? answer(order.url) : answer);
    },
    readMetrics,
    tell: (message) => messages.push(message),
    random: () => 0.5,
  });
  return { exporter, orders, messages, counts };
}

describe("Exporter", () => {
  test("sends what is left when it stops, and nothing after that", async () => {
    const { exporter, orders, counts, messages } = makeExporter(ACCEPTED);
    exporter.push(['{"a":1}', '{"b":2}']);
    await exporter.stop();
    exporter.push(["{}"]);
    expect(orders).toHaveLength(1);
    expect(orders[0]).toMatchObject({ url: "http://collector/v1/traces", headers: { "x-api-key": "s3cret" } });
    expect(JSON.parse(orders[0]?.body ?? "")).toMatchObject({
      resourceSpans: [{ scopeSpans: [{ spans: [{ a: 1 }, { b: 2 }] }] }],
    });
    expect(counts).toMatchObject({ up: true, spansSent: 2, spansDropped: 1, queuedBytes: 0, exports: 1, failures: 0 });
    expect(messages).toEqual([]);
  });

  test("says that spans wait for a collector that is gone, and are lost to one that refuses them", async () => {
    const tell = async (answer: Exchanged): Promise<string[]> => {
      const { exporter, messages } = makeExporter(answer);
      exporter.push(["{}"]);
      await exporter.stop();
      return messages.map((message) => message.slice(message.indexOf("; ") + 2));
    };
    const waits = "spans wait for it, and the oldest are lost when there are too many.";
    expect(await tell({ kind: "failed", fault: "late", why: "did not answer within 10 s" })).toEqual([waits]);
    expect(await tell({ ...ACCEPTED, status: 503 })).toEqual([waits]);
    expect(await tell({ ...ACCEPTED, status: 500 })).toEqual(["what it refuses is lost."]);
  });

  test("counts spans that a collector leaves out of those that it accepts", async () => {
    const body = '{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}}';
    const { exporter, counts } = makeExporter({ ...ACCEPTED, body: Buffer.from(body) });
    exporter.push(["{}", "{}", "{}"]);
    await exporter.stop();
    expect(counts).toMatchObject({ spansSent: 2, spansDropped: 1 });
  });

  test.each<[Exchanged, string]>([
    [{ kind: "failed", fault: "away", why: "cannot be reached: ECONNREFUSED" }, "cannot be reached: ECONNREFUSED"],
    [{ ...ACCEPTED, status: 401, body: Buffer.from("s3cret") }, "telemetry.headers"],
  ])("tells the operator why nothing arrives, without a secret", async (answer, part) => {
    const { exporter, counts, messages } = makeExporter(answer);
    exporter.push(["{}"]);
    await exporter.stop();
    expect(counts).toMatchObject({ up: false, spansSent: 0, spansDropped: 1, failures: 1 });
    expect(messages).toHaveLength(1);
    expect(messages[0]).toContain(part);
    expect(messages[0]).not.toContain("s3cret");
  });

  test("tells of a collector that takes one signal alone, once", async () => {
    const answer = (url: string): Exchanged => (url.endsWith("/v1/metrics") ? ACCEPTED : { ...ACCEPTED, status: 404 });
    const { exporter, messages, counts } = makeExporter(answer, 3_600_000);
    exporter.push(["{}"]);
    await exporter.stop();
    expect(messages).toHaveLength(1);
    expect(messages[0]).toStartWith("telemetry: http://collector/v1/traces answered with 404;");
    expect(counts).toMatchObject({ up: false, exports: 1, failures: 1 });
  });

  test.each(["0", "Sat, 28 Nov 2009 09:00:00 GMT"])(
    "pauses after a failure, whatever is asked (%s)",
    async (retryAfter) => {
      let isLooping = false;
      const answer = (): Exchanged => {
        isLooping = orders.length > 3;
        return isLooping ? ACCEPTED : { ...ACCEPTED, status: 503, header: () => retryAfter };
      };
      const { exporter, orders } = makeExporter(answer);
      exporter.push(["x".repeat(600 * 1024)]);
      await new Promise<void>((resolve) => void setImmediate(resolve));
      expect([orders.length, isLooping]).toEqual([1, false]);
      await exporter.stop();
    },
  );

  test("sends metrics again after they could not be read", async () => {
    let reads = 0;
    const readMetrics = (): object[] => {
      reads += 1;
      if (reads === 1) throw new TypeError("no such metric");
      return [];
    };
    const { exporter, orders } = makeExporter(ACCEPTED, 3_600_000, readMetrics);
    expect(await exporter.stop().catch(String)).toBe("TypeError: no such metric");
    await exporter.stop();
    expect(orders.map(({ url }) => url)).toEqual(["http://collector/v1/metrics"]);
  });

  test("keeps no more than its share of memory while nobody takes anything", () => {
    const { exporter, counts } = makeExporter({ kind: "failed", fault: "away", why: "is gone" });
    const span = "x".repeat(64 * 1024);
    for (let at = 0; at < 1000; at += 1) exporter.push([span]);
    expect(counts.queuedBytes).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect(counts.spansDropped).toBeGreaterThan(900);
  });
});

describe("the answer of a collector", () => {
  test("may ask for a pause in seconds or until a date, at most five minutes", () => {
    const now = Date.parse("2026-11-28T10:00:00Z");
    expect(readRetryMs("7", now)).toBe(7000);
    expect(readRetryMs("Sat, 28 Nov 2026 10:00:30 GMT", now)).toBe(30_000);
    expect(readRetryMs("Sat, 28 Nov 2026 09:00:00 GMT", now)).toBe(0);
    expect(readRetryMs("86400", now)).toBe(300_000);
    expect(readRetryMs("soon", now)).toBeUndefined();
    expect(readRetryMs(undefined, now)).toBeUndefined();
  });

  test("means what it says, however odd its body is", () => {
    expect(
      ["", "null", "[]", '{"partialSuccess":{"rejectedSpans":-1}}', '{"partialSuccess":3}'].map(readRejected),
    ).toEqual([0, 0, 0, 0, 0]);
    expect(describeRefusal({ ...ACCEPTED, status: 204 })).toBeUndefined();
    expect(describeRefusal({ ...ACCEPTED, status: 404 })).toContain("OTLP over HTTP as JSON");
    expect(describeRefusal({ ...ACCEPTED, status: 302 })).toBe("answered with 302");
  });
});

test("a long value is cut to text that every collector can read", () => {
  const [attribute] = listAttributes({ "user.name": `${"x".repeat(255)}\u{1F600}` });
  expect(attribute).toEqual({ key: "user.name", value: { stringValue: `${"x".repeat(255)}\uFFFD` } });
});
