import { MSG_DONTWAIT, MSG_NOSIGNAL } from "../../src/net/libc/constants.ts";
import { requireLibc } from "./lane-stand.ts";
import type { RawPeer } from "./raw-peer.ts";

/** Sends the last byte as an urgent one (send(2)). */
export const MSG_OOB = 0x1;

/** Hands bytes to the kernel at once, past the runtime, which knows nothing of urgent ones. Gives how many it took. */
export function sendNow(peer: RawPeer, bytes: Uint8Array | string, flags = 0): number {
  const { fd } = peer.socket as unknown as { fd: number };
  const what = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
  return requireLibc().send(fd, what, what.length, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
}
