import type { RequestRecord } from "./request-record.ts";
import type { Tunnel } from "../flow/tunnel.ts";
import type { RequestEvents } from "./events/request-events.ts";
import { formatJsonLine } from "./access-line.ts";
import type { AccessLog } from "./access-log.ts";
import { type AccessRecord, buildAccessRecord } from "./access-record.ts";
import type { LiveCounters } from "./live/live-counters.ts";
import type { LiveTable } from "./live-table.ts";
import type { Usage } from "../limit/usage.ts";
import type { MovedBytes } from "../limit/use.ts";
import type { RequestTracer } from "./request-tracer.ts";
import type { Metrics } from "./metrics.ts";
import type { RequestTrace } from "../trace/request-trace.ts";

/** Is told when a connection opens, opens a tunnel, finishes a request, and closes. */
export interface Recorder {
  /** Called once per connection, first. */
  opened(record: RequestRecord): void;
  tunnelOpened(record: RequestRecord, tunnel: Tunnel): void;
  /** Called once per request, when its record is complete. */
  finished(record: RequestRecord): void;
  /** Called once per connection, with the record of its last request. */
  closed(record: RequestRecord): void;
  /** Instead of `opened`: a connection came from another process, with its tunnel, or with none. `bytes` were moved there. */
  received(record: RequestRecord, tunnel: Tunnel | undefined, bytes?: MovedBytes): void;
  /** Instead of `closed`, and of `finished` for a tunnel: the connection goes on in another process. */
  gaveAway(record: RequestRecord): void;
}

export interface RecorderOptions {
  readonly accessLog: AccessLog;
  readonly metrics: Metrics;
  readonly live: LiveTable;
  /** Absent where no use is counted. */
  readonly usage?: Usage | undefined;
  readonly events: RequestEvents;
  readonly counters: LiveCounters;
  /** Is told of requests that were traced. */
  readonly traces?: TraceReceiver | undefined;
  /** What traces requests now; undefined when nothing does. */
  readonly findTracer?: () => Pick<RequestTracer, "finished"> | undefined;
  /** Is told of bugs in recording, which end no connection. */
  readonly reportBug?: (error: unknown, id: string) => void;
}

/** Takes traces that are complete. */
export interface TraceReceiver {
  /** `now` in monotonic milliseconds. A tunnel without an end goes on in another process. */
  finished(record: RequestRecord, trace: RequestTrace, access: AccessRecord, now: number): void;
}

const NONE: MovedBytes = { up: 0, down: 0 };

/**
 * Joins the access log, the metrics and the live table. None of the functions
 * throws: a connection calls them while it frees what it holds.
 */
export function createRecorder(options: RecorderOptions): Recorder {
  const { accessLog, metrics, live, usage, events, counters, traces, findTracer, reportBug } = options;
  return {
    opened(record) {
      metrics.countOpened(record.listener);
    },
    tunnelOpened(record, tunnel) {
      live.add(record, tunnel);
      counters.opened(record);
      events.opened(record, performance.now());
    },
    finished(record) {
      if (saidNothing(record)) {
        metrics.countProbe(record.listener);
        return;
      }
      const now = performance.now();
      // The live table has no record that ends in that stage.
      const tunnel = record.stage === "forward" ? undefined : live.remove(record);
      try {
        const moved = sumUpBytes(record, tunnel);
        metrics.countFinished(record, moved, now);
        counters.finished(record, now);
        if (usage?.enabled === true) usage.finished(record, moved, now);
        findTracer?.()?.finished(record, now);
        const isTold = events.wants(record, now);
        const isWritten = accessLog.wants(record.failure !== undefined);
        const { trace } = record;
        if (!isTold && !isWritten && trace === undefined) return;
        const access = buildAccessRecord(record, now);
        const line = isTold || accessLog.format === "json" ? formatJsonLine(access) : undefined;
        if (isWritten) accessLog.write(access, line);
        if (isTold && line !== undefined) events.finished(record, access, line);
        if (trace !== undefined) traces?.finished(record, trace, access, now);
      } catch (error) {
        reportBug?.(error, record.id);
      }
    },
    closed(record) {
      metrics.countClosed(record);
    },
    received(record, tunnel, bytes = NONE) {
      if (tunnel !== undefined) live.add(record, tunnel);
      metrics.countMoved(1, bytes, record);
      if (tunnel !== undefined && usage?.enabled === true) usage.received(record, bytes);
    },
    gaveAway(record) {
      const tunnel = live.remove(record);
      const bytes = tunnel?.bytes() ?? NONE;
      metrics.countMoved(-1, bytes, record);
      if (tunnel === undefined) return;
      if (usage?.enabled === true) usage.gaveAway(record, bytes);
      const now = performance.now();
      if (record.trace !== undefined) traces?.finished(record, record.trace, buildAccessRecord(record, now), now);
    },
  };
}

/**
 * A connection that ended before its first byte and was not refused: a TCP health
 * check, or a connection that a browser opened in advance.
 */
function saidNothing({ failure, stage, tunnel, forwarded }: RequestRecord): boolean {
  const isBefore = stage === "accept" || stage === "handshake";
  return isBefore && failure === undefined && tunnel === undefined && forwarded === undefined;
}

/** Bytes of the result; or, after a bug, the last count of the tunnel, because a counter must not decrease. */
function sumUpBytes(record: RequestRecord, tunnel: Tunnel | undefined): { up: number; down: number } {
  if (record.tunnel !== undefined) return { up: record.tunnel.bytesUp, down: record.tunnel.bytesDown };
  return tunnel?.bytes() ?? record.forwarded ?? { up: 0, down: 0 };
}
