import type { Drain } from "../drain.ts";
import type { InUse } from "../apply-config.ts";
import type { Gate } from "../gate/gate.ts";
import type { InheritedSockets } from "../net/inherited-sockets.ts";
import { openLibc } from "../net/libc/libc.ts";
import type { OfferedSocket } from "../protocol/handover/message.ts";
import { carryPools } from "./carried-pools.ts";
import { carryRates } from "./carried-rates.ts";
import { carrySessions } from "./carried-sessions.ts";
import { carryDigestNonces, type CarriedState } from "./carried-state.ts";
import { carryUse, type UseKeeping } from "./carried-use.ts";
import { findContainerEnd } from "./container-end.ts";
import { Handover, type HandoverOptions, type SocketToPass } from "./handover.ts";

/** What a daemon gives to its hand-over. */
export interface HandoverParts extends Pick<
  HandoverOptions,
  "watch" | "start" | "program" | "passed" | "carried" | "tell" | "release" | "receive"
> {
  readonly gate: Gate;
  readonly drain: Drain;
  readonly inUse: InUse;
  readonly inherited: InheritedSockets | undefined;
  /** Opens the sidecar at its address again. */
  readonly reopenSidecar: () => Promise<void>;
  /** A process with that id has taken over. */
  readonly onHandedOver: (pid: number) => void;
  /** Ends answers of the sidecar that have no end, so that clients ask the process that has taken over. */
  readonly endWatches: () => void;
  /** It is gone, and this one serves again. */
  readonly onResumed: () => void;
}

/** Connects a hand-over to the parts of a daemon. */
export function composeHandover(parts: HandoverParts): Handover {
  const { gate, drain, inUse, inherited, reopenSidecar, onHandedOver, onResumed, endWatches } = parts;
  return new Handover({
    ...parts,
    libc: openLibc(),
    listSockets: () => [...listListeners(gate), ...listSidecar(inUse), ...listActivated(inherited)],
    findObstacle() {
      if (drain.phase !== "serving") return "The proxy is shutting down, so it does not hand over.";
      return findContainerEnd();
    },
    leave(successor, used, settle) {
      // The service manager takes messages from its main process alone: this is the last one.
      onHandedOver(successor.pid);
      gate.leaveListeners(({ host, port }) =>
        used.some((socket) => socket.kind === "listener" && socket.host === host && socket.bound === port),
      );
      inUse.sidecar?.sidecar.retire(used.some(({ kind }) => kind === "sidecar" || kind === "unix"));
      endWatches();
      drain.handOver(successor.pid, inUse.compiled.handoverMs, settle);
    },
    async resume() {
      if (!drain.takeOverAgain()) return;
      await reopenSidecar();
      onResumed();
    },
    // A client whose idle connection is closed may be about to send a request, which would be lost.
    onQuiet: () => gate.windDown("serve"),
  });
}

/** What the next process is to know of a gate, and of use that is not kept yet. */
export function carryGate(gate: Gate, use: UseKeeping): CarriedState[] {
  const pools = { listPools: () => gate.pools.all(), findPool: (name: string) => gate.findPool(name) };
  return [
    carryDigestNonces(gate.checks.nonces),
    carryPools(pools),
    carrySessions(pools),
    carryRates(gate.requestLimits),
    carryUse(use),
  ];
}

function listListeners(gate: Gate): SocketToPass[] {
  return (gate.listeners ?? []).map(({ host, port, asked, fd }) => ({
    socket: { kind: "listener", host, port: asked, bound: port },
    fd,
  }));
}

function listSidecar({ compiled, sidecar }: InUse): SocketToPass[] {
  const at = compiled.sidecar?.at;
  if (at === undefined || sidecar === undefined) return [];
  const { port = 0, fd } = sidecar.sidecar;
  const socket: OfferedSocket =
    at.kind === "tcp"
      ? { kind: "sidecar", host: at.host, port: at.port, bound: port }
      : { kind: "unix", path: at.path };
  return [{ socket, fd }];
}

function listActivated(inherited: InheritedSockets | undefined): SocketToPass[] {
  return (inherited?.list() ?? []).map(({ name, fd }) => ({ socket: { kind: "activated", name }, fd }));
}
