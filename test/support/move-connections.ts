import type { Gate } from "../../src/gate/gate.ts";
import type { Movable } from "../../src/gate/movable.ts";

/** Takes up to `most` connections from a gate, as they would go over the wire; fewer when no more come for `patienceMs`. */
export async function takeConnections(from: Gate, most: number, patienceMs = 3000): Promise<Movable[]> {
  const released = from.release()[Symbol.asyncIterator]();
  const stop = setTimeout(() => void released.return?.(), patienceMs);
  const taken: Movable[] = [];
  while (taken.length < most) {
    const next = await released.next();
    if (next.done === true) break;
    const { state, descriptors } = next.value;
    taken.push({ state: JSON.parse(JSON.stringify(state)) as Movable["state"], descriptors });
  }
  clearTimeout(stop);
  await released.return?.();
  return taken;
}

/** Moves up to `most` connections, and gives their number. Throws when one is not received. */
export async function moveConnections(from: Gate, to: Gate, most: number, patienceMs?: number): Promise<number> {
  const taken = await takeConnections(from, most, patienceMs);
  for (const movable of taken) if (!to.receive(movable)) throw new Error("A connection was not received");
  return taken.length;
}

/** When bytes last moved, in milliseconds of the clock that processes share. */
export function readActiveAt({ state }: Movable): number {
  return (state as { readonly activeAt: number }).activeAt;
}
