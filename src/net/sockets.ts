import { parseIp } from "../address/ip.ts";
import type { Conn } from "./conn/conn.ts";
import { LoopTimers } from "./conn/loop-timers.ts";
import { type Connect, connectTcp } from "./runtime/connect.ts";
import { createDescriptorConnect } from "./epoll/connect-descriptor.ts";
import { createInProcessNetwork, type InProcessNetwork } from "./epoll/in-process-network.ts";
import { adoptSocket } from "./epoll/descriptor-conn.ts";
import type { PassedSockets } from "./handover/passed-sockets.ts";
import { type Watch, watchWithReactor, watchWithTimer } from "./handover/watch.ts";
import type { InheritedSockets } from "./inherited-sockets.ts";
import { listenDescriptor } from "./epoll/listen-descriptor.ts";
import { Reactor } from "./epoll/reactor.ts";
import { type Listen, listenTcp } from "./runtime/listen.ts";

/** Accepts and makes connections. */
export interface Sockets {
  readonly listen: Listen;
  /** The same for the sidecar: sockets that another process passed are for one of them. */
  readonly listenForSidecar: Listen;
  /** Tells of a descriptor that is no connection. */
  readonly watch: Watch;
  readonly connect: Connect;
  /** Of the event loop. */
  readonly timers: LoopTimers;
  /** Makes a connection of a TCP socket that was connected elsewhere, and owns it from then on. Only with epoll. */
  readonly adopt?: (fd: number) => Conn;
  /** Makes a network inside this process, driven by the same event loop. Absent with the runtime's sockets. */
  readonly openInProcess?: () => InProcessNetwork;
  /** Calls back once the event loop has taken another turn. */
  readonly afterTurn: (callback: () => void) => void;
  /** Ends the event loop, unless it was given. No connection may be left. */
  close(): void;
  /** One sentence: which event loop drives them, and why. */
  readonly description: string;
}

/** Sockets that listen already. */
export interface ListeningSockets {
  /** Those of the service manager. Only the loop over epoll listens on them. */
  readonly inherited?: InheritedSockets | undefined;
  /** Those of the process before this one. */
  readonly passed?: PassedSockets;
}

/**
 * Chooses the event loop. `auto`: the loop over epoll (the `given` one, or a new
 * one), which costs half the CPU, where it works. `runtime`: Bun's sockets.
 */
export function chooseSockets(
  mode: "auto" | "runtime",
  given?: Reactor,
  { inherited, passed }: ListeningSockets = {},
): Sockets {
  if (mode === "runtime") return useRuntime('Sockets are the runtime\'s: "sockets" says so.', passed);
  const reactor = given ?? Reactor.open();
  if (reactor === undefined) return useRuntime("Sockets are the runtime's: epoll cannot be used here.", passed);
  const listenFor =
    (kind: "listener" | "sidecar"): Listen =>
    (host, port, accept, turnAway, shared) => {
      const ip = parseIp(host);
      // The runtime resolves a name.
      if (ip === undefined)
        return listenTcp(host, port, accept, turnAway, reactor.timers, passed?.take(kind, host, port));
      const own = inherited?.open(ip.text, port);
      const handed = passed?.take(kind, host, port);
      // A socket of the service manager comes both ways.
      if (own !== undefined && handed !== undefined) reactor.libc.close(handed);
      return listenDescriptor(reactor, ip, port, accept, turnAway, { inherited: own ?? handed, shared });
    };
  return {
    listen: listenFor("listener"),
    listenForSidecar: listenFor("sidecar"),
    watch: watchWithReactor(reactor),
    connect: createDescriptorConnect(reactor),
    timers: reactor.timers,
    adopt: (fd) => adoptSocket(reactor, fd),
    openInProcess: () => createInProcessNetwork(reactor),
    afterTurn: (callback) => reactor.callSoon({ onEvent: callback, onBug: () => {} }),
    close: () => {
      if (given === undefined) reactor.close();
    },
    description: "Sockets are driven by epoll.",
  };
}

function useRuntime(description: string, passed: PassedSockets | undefined): Sockets {
  const timers = new LoopTimers();
  const listenFor =
    (kind: "listener" | "sidecar"): Listen =>
    (host, port, accept, turnAway) =>
      listenTcp(host, port, accept, turnAway, timers, passed?.take(kind, host, port));
  return {
    listen: listenFor("listener"),
    listenForSidecar: listenFor("sidecar"),
    watch: watchWithTimer,
    connect: (target, done) => connectTcp(target, done, timers),
    timers,
    afterTurn: (callback) => void setImmediate(callback),
    close: () => {},
    description,
  };
}
