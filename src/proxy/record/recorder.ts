import type { RequestRecord } from "./request-record.ts";
import type { Tunnel } from "../flow/tunnel.ts";
import type { AccessLog } from "./access-log.ts";
import { buildAccessRecord } from "./access-record.ts";
import type { LiveTable } from "./live-table.ts";
import type { Metrics } from "./metrics.ts";

/** What a connection tells of itself: that it is there, that it became a tunnel, that it is over. */
export interface Recorder {
  /** Exactly once per connection, before anything else. */
  opened(record: RequestRecord): void;
  /** When bytes begin to flow both ways. */
  tunnelOpened(record: RequestRecord, tunnel: Tunnel): void;
  /** Exactly once per request, the first one or one on a kept connection, when all there is to know is in the record. */
  finished(record: RequestRecord): void;
  /** Exactly once per connection, with the record of its last request. */
  closed(record: RequestRecord): void;
}

export interface RecorderOptions {
  readonly accessLog: AccessLog;
  readonly metrics: Metrics;
  readonly live: LiveTable;
  /** Told of mistakes in writing something down, which end nothing. */
  readonly reportBug?: (error: unknown, id: string) => void;
}

/**
 * Joins the access log, the metrics and the live table behind the one thing that
 * connections see. None of its functions throws: who calls them is in the middle
 * of giving back what the connection had.
 */
export function createRecorder({ accessLog, metrics, live, reportBug }: RecorderOptions): Recorder {
  return {
    opened(record) {
      metrics.countOpened(record.listener);
    },
    tunnelOpened(record, tunnel) {
      live.add(record, tunnel);
    },
    finished(record) {
      if (saidNothing(record)) {
        metrics.countProbe(record.listener);
        return;
      }
      const now = performance.now();
      // What ends in that stage was never in the table.
      const tunnel = record.stage === "forward" ? undefined : live.remove(record);
      try {
        metrics.countFinished(record, sumUpBytes(record, tunnel), now);
        if (accessLog.enabled) accessLog.write(buildAccessRecord(record, now));
      } catch (error) {
        reportBug?.(error, record.id);
      }
    },
    closed(record) {
      metrics.countClosed(record);
    },
  };
}

/**
 * A connection that ended before its first byte, and not because it was turned
 * away: a TCP health check, a browser's connection in advance.
 */
function saidNothing({ failure, stage, tunnel, forwarded }: RequestRecord): boolean {
  const isBefore = stage === "accept" || stage === "handshake";
  return isBefore && failure === undefined && tunnel === undefined && forwarded === undefined;
}

/** The result of the tunnel; or, when a mistake of ours lost that, what it last knew: a counter must not go back. */
function sumUpBytes(record: RequestRecord, tunnel: Tunnel | undefined): { up: number; down: number } {
  if (record.tunnel !== undefined) return { up: record.tunnel.bytesUp, down: record.tunnel.bytesDown };
  return tunnel?.bytes() ?? record.forwarded ?? { up: 0, down: 0 };
}
