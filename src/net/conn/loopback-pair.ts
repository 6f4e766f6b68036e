import { parseIp } from "../../address/ip.ts";
import { type ConnectAttempt, type ConnectResult, connectTcp } from "../runtime/connect.ts";
import { listenTcp } from "../runtime/listen.ts";
import type { SocketConn } from "../runtime/socket-conn.ts";
import type { LoopTimers } from "./loop-timers.ts";

const HOST = "127.0.0.1";

/** Two connections that are each other's peers: what is written to one is read from the other. */
export type LoopbackPair = readonly [SocketConn, SocketConn];

/**
 * Opens a pair of connected sockets on loopback, for code that takes only
 * sockets. Calls `done` with undefined when this machine has no descriptors or
 * ports left.
 *
 * Any process on this machine could connect to the listener meanwhile: the two
 * ends recognise each other by their ports, and other connections are reset.
 */
export function openLoopbackPair(timers: LoopTimers, done: (pair: LoopbackPair | undefined) => void): ConnectAttempt {
  const accepted: SocketConn[] = [];
  let near: SocketConn | undefined;
  const accept = (conn: SocketConn): void => {
    accepted.push(conn);
    settle();
  };
  const listening = listenTcp(HOST, 0, accept, undefined, timers);
  const ip = parseIp(HOST);
  if (!listening.ok || ip === undefined) {
    queueMicrotask(() => done(undefined));
    return { cancel: () => {} };
  }
  const { listener } = listening;
  const hear = (result: ConnectResult<SocketConn>): void => {
    if (result.ok) {
      near = result.conn;
      settle();
    } else {
      end();
      done(undefined);
    }
  };
  const attempt = connectTcp({ ip, port: listener.port }, hear, timers);

  function settle(): void {
    const far = accepted.find((conn) => conn.remotePort === near?.localPort);
    if (near === undefined || far === undefined) return;
    end(far);
    done([near, far]);
  }

  function end(kept?: SocketConn): void {
    listener.stop();
    for (const conn of accepted) if (conn !== kept) conn.reset();
  }

  return {
    cancel() {
      attempt.cancel();
      near?.reset();
      end();
    },
  };
}
