import type { Session } from "../session.ts";
import type { Tunnel } from "../tunnel/tunnel.ts";
import type { AccessLog } from "./access-log.ts";
import { buildAccessRecord } from "./access-record.ts";
import type { LiveTable } from "./live-table.ts";
import type { Metrics } from "./metrics.ts";

/** What a connection tells of itself: that it is there, that it became a tunnel, that it is over. */
export interface Recorder {
  /** Exactly once per connection, before anything else. */
  opened(session: Session): void;
  /** When bytes begin to flow both ways. */
  tunnelOpened(session: Session, tunnel: Tunnel): void;
  /** Exactly once per request, the first one or one on a kept connection, when all there is to know is in the session. */
  finished(session: Session): void;
  /** Exactly once per connection, with the session of its last request. */
  closed(session: Session): void;
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
    opened(session) {
      metrics.countOpened(session.listener);
    },
    tunnelOpened(session, tunnel) {
      live.add(session, tunnel);
    },
    finished(session) {
      if (saidNothing(session)) {
        metrics.countProbe(session.listener);
        return;
      }
      const now = performance.now();
      // What ends in that stage was never in the table.
      const tunnel = session.stage === "forward" ? undefined : live.remove(session);
      try {
        metrics.countFinished(session, sumUpBytes(session, tunnel), now);
        if (accessLog.enabled) accessLog.write(buildAccessRecord(session, now));
      } catch (error) {
        reportBug?.(error, session.id);
      }
    },
    closed(session) {
      metrics.countClosed(session);
    },
  };
}

/**
 * A connection that ended before its first byte, and not because it was turned
 * away: a TCP health check, a browser's connection in advance.
 */
function saidNothing({ failure, stage, tunnel, forwarded }: Session): boolean {
  const isBefore = stage === "accept" || stage === "handshake";
  return isBefore && failure === undefined && tunnel === undefined && forwarded === undefined;
}

/** The result of the tunnel; or, when a mistake of ours lost that, what it last knew: a counter must not go back. */
function sumUpBytes(session: Session, tunnel: Tunnel | undefined): { up: number; down: number } {
  if (session.tunnel !== undefined) return { up: session.tunnel.bytesUp, down: session.tunnel.bytesDown };
  return tunnel?.bytes() ?? session.forwarded ?? { up: 0, down: 0 };
}
