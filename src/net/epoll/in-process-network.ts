import { openSocketPair } from "../libc/socket.ts";
import type { Connect } from "../runtime/connect.ts";
import type { Accept, Listen } from "../runtime/listen.ts";
import { createDescriptorConnect } from "./connect-descriptor.ts";
import { DescriptorConn } from "./descriptor-conn.ts";
import type { Reactor } from "./reactor.ts";
import type { StartSocket } from "../libc/start-socket.ts";

/** Listens and connects over socket pairs. Other processes cannot reach it, and it takes no ports of the machine. */
export interface InProcessNetwork {
  readonly listen: Listen;
  readonly connect: Connect;
}

/** Makes a network with ports of its own, whose connections the reactor watches like all others. */
export function createInProcessNetwork(reactor: Reactor): InProcessNetwork {
  const accepts = new Map<number, Accept>();
  let lastPort = 0;
  const start: StartSocket = (libc, descriptors, { ip, port }) => {
    const accept = accepts.get(port);
    if (accept === undefined) return { ok: false, code: "ECONNREFUSED" };
    const pair = openSocketPair(libc);
    if (pair === undefined) return { ok: false, code: "EMFILE" };
    const [near, far] = pair;
    const conn = new DescriptorConn(reactor, far, ip, port);
    if (descriptors.judge(Math.max(near, far)) !== "enough") {
      libc.close(near);
      conn.reset();
      return { ok: false, code: "EMFILE" };
    }
    // On a later turn: the caller is in the middle of `connect`.
    reactor.callSoon({ onEvent: () => accept(conn, ip), onBug: () => conn.reset() });
    return { ok: true, fd: near, connected: true };
  };
  return {
    listen(host, _port, accept) {
      lastPort += 1;
      const port = lastPort;
      accepts.set(port, accept);
      return { ok: true, listener: { host, port, stop: () => void accepts.delete(port) } };
    },
    connect: createDescriptorConnect(reactor, start),
  };
}
