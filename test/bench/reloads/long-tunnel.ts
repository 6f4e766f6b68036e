import type { RawPeer } from "../../support/raw-peer.ts";
import { nameTunnel } from "./origins.ts";
import { askTunnel, connectBy, type Way } from "./short-requests.ts";
import { Arrival, numberDown, PIECE_BYTES, Stream } from "./streams.ts";

/** Milliseconds that a busy machine may take for one step. */
const PATIENCE_MS = 20_000;
/** Milliseconds between two pieces, and their bytes. */
const PACE_MS = 1000;
const PACE_BYTES = 256;

export interface LongTunnelOptions {
  readonly way: Way;
  readonly streamPort: number;
  readonly number: number;
  /** Bytes each way at the beginning. */
  readonly firstBytes: number;
  readonly block: Uint8Array;
  /** Resolves when tunnels are to end. */
  readonly over: Promise<void>;
  /** Is told that the tunnel is open and its first bytes are through. */
  readonly opened: () => void;
}

/** A tunnel that says something every second until it is told to end: gives the bytes that it carried, or what failed. */
export async function runLongTunnel(options: LongTunnelOptions): Promise<string | number> {
  const { way, streamPort, number, block, over } = options;
  using peer = await connectBy(way);
  const refusal = await askTunnel(peer, way, `127.0.0.1:${streamPort}`);
  if (refusal !== undefined) return `not opened: ${refusal}`;
  peer.write(nameTunnel(number));
  const up = new Stream(number, block);
  const down = new Arrival(numberDown(number), block);
  peer.consume = (chunk) => down.take(chunk);
  const talk = async (bytes: number): Promise<string | undefined> => {
    peer.write(up.next(bytes));
    await peer.until((now) => isOver(now) || down.got >= up.sent, "as many bytes as were sent", PATIENCE_MS);
    return isOver(peer) ? `lost by ${peer.end} after ${up.sent} bytes` : undefined;
  };
  for (let left = options.firstBytes; left > 0; left -= PIECE_BYTES) {
    const lost = await talk(Math.min(left, PIECE_BYTES));
    if (lost !== undefined) return lost;
  }
  options.opened();
  let isDone = false;
  void over.then(() => (isDone = true));
  // Not all at once.
  await Promise.race([over, Bun.sleep((number * 37) % PACE_MS)]);
  while (!isDone) {
    const lost = await talk(PACE_BYTES);
    if (lost !== undefined) return lost;
    await Promise.race([over, Bun.sleep(PACE_MS)]);
  }
  if (isOver(peer)) return `lost by ${peer.end}`;
  peer.finish();
  await peer.until(isOver, "the end", PATIENCE_MS);
  if (peer.end !== "fin") return "reset instead of an end";
  if (down.got !== up.sent) return `${down.got} instead of ${up.sent} bytes`;
  return down.isRight() ? up.sent + down.got : "wrong bytes";
}

function isOver({ end, closed }: RawPeer): boolean {
  return closed || end !== "open";
}
