/** What `traceparent` says of the caller (W3C Trace Context, level 1). */
export interface TraceParent {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** The span of the caller: 16 hexadecimal digits. */
  readonly spanId: string;
  /** Whether the caller records the trace. */
  readonly isSampled: boolean;
}

const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Reads the value of `traceparent`; undefined when it is malformed, of which nothing may be used (§4.3). */
export function parseTraceParent(value: string): TraceParent | undefined {
  // Later versions may add fields to the end: some of them is read, all of it is not.
  if (value.length > 256) return undefined;
  const [, version, traceId = "", spanId = "", flags = "", more] = FORM.exec(value) ?? [];
  if (version === undefined || version === "ff" || (version === "00" && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** Writes `traceparent` for who comes next in a trace that is recorded. */
export function formatTraceParent(traceId: string, spanId: string): string {
  return `00-${traceId}-${spanId}-01`;
}
