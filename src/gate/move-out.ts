import { readClockOffset } from "../net/conn/monotonic-clock.ts";
import type { TakenTunnel, Tunnel } from "../proxy/flow/tunnel.ts";
import type { Admission } from "../proxy/limit/admission.ts";
import type { LiveTable } from "../proxy/record/live-table.ts";
import type { RequestRecord } from "../proxy/record/request-record.ts";
import type { Movable } from "./movable.ts";
import { writeTunnel } from "./move-state.ts";

/** What giving away needs of a gate. */
export interface ReleaseServices {
  readonly live: LiveTable;
  readonly admission: Pick<Admission, "connections">;
}

/** Tunnels that leave their lanes at once: each lane answers in its own time. */
const BATCH = 64;
/** Milliseconds between two looks at those that could not move. */
const LOOK_MS = 50;
/** Milliseconds after which a tunnel moves also in the middle of first bytes that are only noted. */
const PATIENCE_MS = 2000;

/**
 * Gives away what can move, as soon as it can. Ends when no connection is left,
 * or when the caller wants no more; `putBack` gets what was on its way then.
 */
export async function* release(
  services: ReleaseServices,
  putBack: (movable: Movable) => void,
): AsyncGenerator<Movable, void, undefined> {
  const clockOffset = readClockOffset();
  if (clockOffset === undefined) return;
  const beganAt = performance.now();
  while (services.admission.connections > 0) {
    const isHurried = performance.now() - beganAt > PATIENCE_MS;
    const tunnels: [RequestRecord, Tunnel][] = [];
    services.live.visit((record, tunnel) => tunnels.push([record, tunnel]));
    for (let at = 0; at < tunnels.length; at += BATCH) {
      const leaving = takeAll(tunnels.slice(at, at + BATCH), isHurried, clockOffset);
      let given = 0;
      try {
        for (const one of leaving) {
          const movable = await one;
          given += 1;
          if (movable !== undefined) yield movable;
        }
      } finally {
        for (const one of leaving.slice(given)) {
          const movable = await one;
          if (movable !== undefined) putBack(movable);
        }
      }
    }
    await Bun.sleep(LOOK_MS);
  }
}

/** Takes tunnels from their engines. Undefined stands for one that ended instead. */
function takeAll(
  tunnels: readonly (readonly [RequestRecord, Tunnel])[],
  isHurried: boolean,
  clockOffset: number,
): (Movable | undefined | Promise<Movable | undefined>)[] {
  return tunnels.map(([record, tunnel]) => {
    const taken = record.isWritten ? undefined : tunnel.take?.(isHurried);
    return taken instanceof Promise
      ? taken.then((later) => later && leave(record, later, clockOffset))
      : taken && leave(record, taken, clockOffset);
  });
}

function leave(record: RequestRecord, { clientFd, targetFd, before }: TakenTunnel, clockOffset: number): Movable {
  const state = writeTunnel(record, before, clockOffset);
  record.connection.tunnelTaken?.();
  return { state, descriptors: [clientFd, targetFd] };
}
