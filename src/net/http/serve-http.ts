import { LoopTimers } from "../conn/loop-timers.ts";
import type { Ip } from "../../address/ip.ts";
import { SpareDescriptors } from "../libc/spare-descriptors.ts";
import { listenTcp } from "../runtime/listen.ts";
import { SocketConn, socketConnHandlers } from "../runtime/socket-conn.ts";
import { ConnectionTable, type TableLimits } from "./connection-table.ts";
import { type Handle, ServedConnection, type ServedDeadlines } from "./served-connection.ts";

export interface ServeHttpOptions {
  readonly at: { readonly host: string; readonly port: number } | { readonly unix: string };
  readonly handle: Handle;
  /** Told of mistakes that ended a connection. */
  readonly reportBug: (error: unknown) => void;
  readonly limits?: TableLimits;
  readonly deadlines?: ServedDeadlines;
}

/** A small HTTP server that is running. */
export interface HttpServer {
  /** As bound; undefined on a Unix socket. */
  readonly port: number | undefined;
  /** Connections under way, those that came, and those closed to make room. */
  readonly connections: { readonly open: number; readonly accepted: number; readonly evicted: number };
  /** Stops accepting, ends what waits, gives answers under way `ms` milliseconds, then ends them. */
  stop(ms: number): Promise<void>;
}

/** The server, or the errno word of why it cannot be bound. */
export type HttpServerStart =
  { readonly ok: true; readonly server: HttpServer } | { readonly ok: false; readonly code: string };

/** Far more than scrapers, health checks and people need; few enough that descriptors are left for the proxy. */
const LIMITS: TableLimits = { total: 32, perPeer: 16, graceMs: 25, burst: 4, whenScarce: 8 };

const DEADLINES: ServedDeadlines = { requestMs: 10_000, idleMs: 30_000, answerMs: 30_000, lingerMs: 1_000 };

/**
 * Serves HTTP/1.0 and HTTP/1.1 to few clients, none of which is trusted:
 * connections are bounded, in all and by peer, and every wait has a deadline.
 * The runtime's own server knows neither bound.
 */
export function serveHttp(options: ServeHttpOptions): HttpServerStart {
  const { at, handle, reportBug, limits = LIMITS, deadlines = DEADLINES } = options;
  const table = new ConnectionTable(limits);
  const descriptors = new SpareDescriptors();
  let ending = false;
  const served = { handle, deadlines, reportBug, isEnding: () => ending };
  const accept = (conn: SocketConn, peer: string): void => {
    const member = new ServedConnection(conn, peer, served);
    if (ending || !table.admit(member, descriptors.judge(conn.fd))) {
      conn.reset();
      return;
    }
    void member.serve().finally(() => table.leave(member));
  };
  const bound =
    // Nobody is turned away for want of descriptors: the table makes room.
    "unix" in at
      ? listenUnix(at.unix, (conn) => accept(conn, "unix"))
      : listenTcp(at.host, at.port, (conn, from) => accept(conn, nameNetwork(from)), "never");
  if (!bound.ok) return bound;
  return {
    ok: true,
    server: {
      port: "unix" in at ? undefined : bound.listener.port,
      get connections() {
        return { open: table.open, accepted: table.accepted, evicted: table.evicted };
      },
      async stop(ms) {
        ending = true;
        bound.listener.stop();
        for (const member of table.list()) if (member.state === "waiting") member.evict();
        const until = performance.now() + ms;
        while (table.open > 0 && performance.now() < until) await Bun.sleep(5);
        for (const member of table.list()) member.evict();
      },
    },
  };
}

/** One household counts as one peer: an IPv4 address, or 64 bits of an IPv6 one. */
function nameNetwork({ family, bytes, text }: Ip): string {
  return family === 4 ? text : Buffer.from(bytes.subarray(0, 8)).toString("hex");
}

type Bound =
  | { readonly ok: true; readonly listener: { readonly port: number; stop(): void } }
  | { readonly ok: false; readonly code: string };

function listenUnix(path: string, accept: (conn: SocketConn) => void): Bound {
  const timers = new LoopTimers();
  try {
    const server = Bun.listen<SocketConn>({
      unix: path,
      allowHalfOpen: true,
      socket: {
        ...socketConnHandlers,
        open(socket) {
          const conn = new SocketConn(socket, false, timers);
          socket.data = conn;
          accept(conn);
        },
      },
    });
    return { ok: true, listener: { port: 0, stop: () => server.stop(false) } };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "EUNKNOWN";
    return { ok: false, code };
  }
}
