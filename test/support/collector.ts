import messages from "@opentelemetry/otlp-transformer/build/src/generated/root.js";
import { waitFor } from "./wait-for.ts";

/** A span as the collector got it, with its attributes as a map. */
export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly kind: number;
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: Readonly<Record<string, string>>;
  readonly error: string | undefined;
}

/** A point of a metric. */
export interface CollectedPoint {
  readonly attributes: Readonly<Record<string, string>>;
  readonly value: number | undefined;
  readonly bucketCounts: readonly string[];
  readonly explicitBounds: readonly number[];
}

/** A collector of OpenTelemetry on a free loopback port, which takes nothing but what the protobuf messages of OTLP allow. */
export interface Collector extends Disposable {
  readonly url: string;
  readonly spans: CollectedSpan[];
  /** The last points of each metric, by name. */
  readonly metrics: Map<string, readonly CollectedPoint[]>;
  readonly resources: Readonly<Record<string, string>>[];
  readonly headers: Headers[];
  /** What is wrong with what came. */
  readonly faults: string[];
  /** The spans of one trace, once its first one is there. */
  trace(isRoot: (span: CollectedSpan) => boolean): Promise<CollectedSpan[]>;
}

/** A message class that protobuf.js made from the published definitions of OTLP. */
interface Message {
  fromObject(value: object): object;
  toObject(message: object, options: object): unknown;
  encode(message: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
}

type Json = { readonly [key: string]: Json } | readonly Json[] | string | number | boolean;

const { ExportTraceServiceRequest, ExportMetricsServiceRequest } = findMessages();

function findMessages(): Readonly<Record<"ExportTraceServiceRequest" | "ExportMetricsServiceRequest", Message>> {
  const { collector } = (messages as unknown as { opentelemetry: { proto: { collector: Namespace } } }).opentelemetry
    .proto;
  return { ...collector.trace.v1, ...collector.metrics.v1 };
}

interface Namespace {
  readonly trace: { readonly v1: { readonly ExportTraceServiceRequest: Message } };
  readonly metrics: { readonly v1: { readonly ExportMetricsServiceRequest: Message } };
}

/** Starts a collector. `answer` gives what a request is answered with; 200 and an empty answer when absent. */
export function startCollector(answer: (path: string) => Response | undefined = () => undefined): Collector {
  const spans: CollectedSpan[] = [];
  const points = new Map<string, readonly CollectedPoint[]>();
  const resources: Record<string, string>[] = [];
  const headers: Headers[] = [];
  const faults: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname } = new URL(request.url);
      headers.push(request.headers);
      const body = (await request.json()) as Json;
      const said = answer(pathname);
      if (said !== undefined) return said;
      const isTrace = pathname === "/v1/traces";
      if (!isTrace && pathname !== "/v1/metrics") faults.push(`${pathname} is no path of a signal`);
      const message = isTrace ? ExportTraceServiceRequest : ExportMetricsServiceRequest;
      faults.push(...findFaults(message, body));
      for (const { resource, scopeSpans, scopeMetrics } of readList(
        body,
        isTrace ? "resourceSpans" : "resourceMetrics",
      )) {
        resources.push(readAttributes(resource));
        for (const scope of asList(scopeSpans)) spans.push(...readList(scope, "spans").map(readSpan));
        for (const scope of asList(scopeMetrics))
          for (const metric of readList(scope, "metrics")) points.set(readText(metric["name"]), readPoints(metric));
      }
      return Response.json({});
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    spans,
    metrics: points,
    resources,
    headers,
    faults,
    async trace(isRoot) {
      const root = await waitFor(() => spans.find(isRoot), "the trace");
      return spans.filter(({ traceId }) => traceId === root.traceId);
    },
    [Symbol.dispose]: () => void server.stop(true),
  };
}

/** Puts JSON through the protobuf message and back. What is not the same is not in the message, or of another type. */
function findFaults(message: Message, body: Json): string[] {
  const bytes = message.encode(message.fromObject(mapIds(body, toBase64) as object)).finish();
  const back: unknown = message.toObject(message.decode(bytes), { longs: String, enums: Number, bytes: String });
  const [sent, kept] = [sortKeys(body), sortKeys(mapIds(back as Json, toHex))];
  const [one, other] = [JSON.stringify(sent), JSON.stringify(kept)];
  if (one === other) return [];
  const at = Math.max(0, Array.from(one).findIndex((character, index) => character !== other[index]) - 100);
  return [`sent ${one.slice(at, at + 200)}, kept ${other.slice(at, at + 200)}`];
}

const toBase64 = (id: string): string => Buffer.from(id, "hex").toString("base64");
const toHex = (id: string): string => Buffer.from(id, "base64").toString("hex");

/** OTLP writes ids as hexadecimal digits, where protobuf's own JSON writes base64. */
function mapIds(value: Json, map: (id: string) => string): Json {
  if (Array.isArray(value)) return value.map((each: Json) => mapIds(each, map));
  if (typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]: [string, Json]) => [
      key,
      /^(trace|span|parentSpan)Id$/.test(key) ? map(readText(each)) : mapIds(each, map),
    ]),
  );
}

function sortKeys(value: Json): Json {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, each]: [string, Json]) => [key, sortKeys(each)]),
  );
}

type Fields = Readonly<Record<string, Json>>;

function asList(value: Json | undefined): readonly Fields[] {
  return (value ?? []) as readonly Fields[];
}

function readList(value: Json, key: string): readonly Fields[] {
  return asList((value as Fields)[key]);
}

function readText(value: Json | undefined): string {
  return typeof value === "object" || value === undefined ? JSON.stringify(value) : `${value}`;
}

function readAttributes(holder: Json | undefined): Record<string, string> {
  const attributes = readList(holder ?? {}, "attributes");
  return Object.fromEntries(
    attributes.map(({ key, value }) => [readText(key), readText(Object.values((value ?? {}) as Fields)[0])]),
  );
}

function readSpan(span: Fields): CollectedSpan {
  const { traceId, spanId, parentSpanId, name, kind, startTimeUnixNano, endTimeUnixNano, status } = span;
  const { code, message } = (status ?? {}) as Fields;
  return {
    traceId: readText(traceId),
    spanId: readText(spanId),
    parentSpanId: parentSpanId === undefined ? undefined : readText(parentSpanId),
    name: readText(name),
    kind: Number(kind),
    start: BigInt(readText(startTimeUnixNano)),
    end: BigInt(readText(endTimeUnixNano)),
    attributes: readAttributes(span),
    error: code === 2 ? readText(message) : undefined,
  };
}

function readPoints({ sum, gauge, histogram }: Fields): CollectedPoint[] {
  return readList(sum ?? gauge ?? histogram ?? {}, "dataPoints").map((point) => ({
    attributes: readAttributes(point),
    value: point["asDouble"] === undefined ? undefined : Number(point["asDouble"]),
    bucketCounts: (point["bucketCounts"] ?? []) as readonly string[],
    explicitBounds: (point["explicitBounds"] ?? []) as readonly number[],
  }));
}
