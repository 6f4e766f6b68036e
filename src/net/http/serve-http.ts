import type { Ip } from "../../address/ip.ts";
import type { Conn } from "../conn/conn.ts";
import { SpareDescriptors } from "../libc/spare-descriptors.ts";
import { type Listen, listenTcp, listenUnix } from "../runtime/listen.ts";
import type { ServerTls } from "../runtime/server-tls.ts";
import { ConnectionTable, type TableLimits } from "./connection-table.ts";
import { type Handle, ServedConnection, type ServedDeadlines } from "./served-connection.ts";

export interface ServeHttpOptions {
  readonly at: { readonly host: string; readonly port: number } | { readonly unix: string };
  readonly handle: Handle;
  /** Default: sockets of the runtime, which on Unix sockets are used in any case. */
  readonly listen?: Listen;
  /** A socket that listens at the path of `at` already. The server owns it. */
  readonly passed?: number | undefined;
  /** TLS that a new connection begins with; undefined, or absent, for none. Asked for each. */
  readonly secure?: () => ServerTls | undefined;
  /** Gets the errors of bugs that ended a connection. */
  readonly reportBug: (error: unknown) => void;
  readonly limits?: TableLimits;
  readonly deadlines?: ServedDeadlines;
}

/** A small HTTP server that is running. */
export interface HttpServer {
  /** As bound; undefined on a Unix socket. */
  readonly port: number | undefined;
  /** Connections that are open, that came, and that were closed to make room. */
  readonly connections: { readonly open: number; readonly accepted: number; readonly evicted: number };
  /** The listening socket, where it can be told. */
  readonly fd: number | undefined;
  /** Stops accepting. Connections that are open are served on. */
  stopAccepting(): void;
  /** Stops accepting; the path of a Unix socket stays for a process that listens on the same one. Waiting connections are closed, answers under way go on to their end. */
  retire(keepsPath: boolean): void;
  /** Stops accepting and closes waiting connections. Answers under way get `ms` milliseconds. */
  stop(ms: number): Promise<void>;
}

/** The server, or the errno word when it cannot be bound. */
export type HttpServerStart =
  { readonly ok: true; readonly server: HttpServer } | { readonly ok: false; readonly code: string };

/** Far more than scrapers, health checks and people need, and few beside the descriptors of the proxy. */
const LIMITS: TableLimits = { total: 32, perPeer: 16, graceMs: 25, burst: 4, whenScarce: 8 };

const DEADLINES: ServedDeadlines = { requestMs: 10_000, idleMs: 30_000, answerMs: 30_000, lingerMs: 1_000 };

/**
 * Serves HTTP/1.0 and HTTP/1.1 to few clients that are not trusted: connections
 * are bounded, in all and per peer, and every wait has a deadline. The runtime's
 * own server has neither.
 */
export function serveHttp(options: ServeHttpOptions): HttpServerStart {
  const {
    at,
    handle,
    listen = listenTcp,
    passed,
    reportBug,
    secure = () => undefined,
    limits = LIMITS,
    deadlines = DEADLINES,
  } = options;
  const table = new ConnectionTable(limits);
  const descriptors = new SpareDescriptors();
  let ending = false;
  let accepting = true;
  const served = { handle, deadlines, reportBug, isEnding: () => ending, secure };
  const accept = (conn: Conn, peer: string): void => {
    const member = new ServedConnection(conn, peer, served);
    if (ending || !table.admit(member, descriptors.judge(conn.fd))) {
      conn.reset();
      return;
    }
    void member.serve().finally(() => table.leave(member));
  };
  const bound =
    // With the last descriptors the table makes room.
    "unix" in at
      ? listenUnix(at.unix, (conn) => accept(conn, "unix"), passed)
      : listen(at.host, at.port, (conn, from) => accept(conn, nameNetwork(from)), "never");
  if (!bound.ok) return bound;
  const stopAccepting = (keepPath = false): void => {
    if (accepting) bound.listener.stop({ keepPath });
    accepting = false;
  };
  const endWaiting = (): void => {
    ending = true;
    for (const member of table.list()) if (member.state === "waiting") member.evict();
  };
  return {
    ok: true,
    server: {
      port: "unix" in at ? undefined : bound.listener.port,
      get connections() {
        return { open: table.open, accepted: table.accepted, evicted: table.evicted };
      },
      fd: bound.listener.fd,
      stopAccepting: () => stopAccepting(),
      retire(keepsPath) {
        stopAccepting(keepsPath);
        endWaiting();
      },
      async stop(ms) {
        stopAccepting();
        endWaiting();
        const until = performance.now() + ms;
        while (table.open > 0 && performance.now() < until) await Bun.sleep(5);
        for (const member of table.list()) member.evict();
      },
    },
  };
}

/** One peer is an IPv4 address, or the first 64 bits of an IPv6 address. */
function nameNetwork({ family, bytes, text }: Ip): string {
  return family === 4 ? text : Buffer.from(bytes.subarray(0, 8)).toString("hex");
}
