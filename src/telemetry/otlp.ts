/** OTLP 1.x in the JSON mapping of its protobuf messages: 64-bit numbers as texts, ids as hexadecimal digits. */

export interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue: string } | { readonly intValue: string } | { readonly boolValue: boolean };
}

/** Characters of a value. What a client can choose is bounded anyway, but not to what a trace should carry. */
const MAX_TEXT = 256;

/** The attributes that have a value. */
export function listAttributes(values: Readonly<Record<string, string | number | boolean | undefined>>): Attribute[] {
  const attributes: Attribute[] = [];
  for (const [key, value] of Object.entries(values)) {
    if (typeof value === "string") attributes.push({ key, value: { stringValue: cutValue(value) } });
    else if (typeof value === "boolean") attributes.push({ key, value: { boolValue: value } });
    else if (value !== undefined) attributes.push({ key, value: { intValue: String(Math.round(value)) } });
  }
  return attributes;
}

/** Half of a surrogate pair is no text of protobuf: a collector may refuse all of an export for it. */
function cutValue(value: string): string {
  return value.slice(0, MAX_TEXT).toWellFormed();
}

/** A point in time: milliseconds since the epoch as nanoseconds, exact to the microsecond. */
export function formatNanos(ms: number): string {
  return `${Math.round(ms * 1000)}000`;
}

/** Who tells. */
export interface Teller {
  /** `service.name`. */
  readonly service: string;
  readonly version: string;
  /** Tells the process from others of the same service. */
  readonly instance: string;
}

function writeResource({ service, version, instance }: Teller): string {
  const attributes = listAttributes({
    "service.name": service,
    "service.version": version,
    "service.instance.id": instance,
  });
  return JSON.stringify({ attributes });
}

function writeScope({ version }: Teller): string {
  return JSON.stringify({ name: "penstock", version });
}

/** The body of an export of spans, each of which is JSON already. */
export function writeTraceExport(teller: Teller, spans: readonly string[]): string {
  return `{"resourceSpans":[{"resource":${writeResource(teller)},"scopeSpans":[{"scope":${writeScope(teller)},"spans":[${spans.join(",")}]}]}]}`;
}

/** The body of an export of metrics. */
export function writeMetricsExport(teller: Teller, metrics: readonly object[]): string {
  return `{"resourceMetrics":[{"resource":${writeResource(teller)},"scopeMetrics":[{"scope":${writeScope(teller)},"metrics":${JSON.stringify(metrics)}}]}]}`;
}
