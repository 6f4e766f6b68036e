import type { TunnelEnd } from "../../src/proxy/flow/tunnel.ts";
import { makeKeystream } from "./keystream.ts";
import type { RawPeer } from "./raw-peer.ts";
import { MSG_OOB, sendNow } from "./send-now.ts";
import type { createRandom } from "./seeded-random.ts";

export type Random = ReturnType<typeof createRandom>;

/** What came of a tunnel that was driven from a seed. Everything else about it was compared already. */
export interface DrivenTunnel {
  readonly end: Extract<TunnelEnd, "closed" | "client_reset" | "target_reset" | "killed">;
  /** Bytes that were written at one end and that arrived at the other. */
  readonly sentUp: number;
  readonly sentDown: number;
  readonly gotUp: number;
  readonly gotDown: number;
}

export interface DriveOptions {
  /** Bytes each way, at most; 200,000 when absent. */
  readonly maxBytes?: number;
  /** Sends bytes as urgent ones now and then. */
  readonly urgent?: boolean;
  /** Has the proxy end the tunnel, when all is written. */
  readonly kill?: (client: RawPeer) => Promise<void>;
}

/** Milliseconds that a busy machine may take for one step of a tunnel. */
const PATIENCE_MS = 60_000;
/** Milliseconds after which an end that has not heard of a reset says something. */
const PROD_MS = 5_000;
/** Bytes that a writer keeps in memory before it waits. */
const UNWRITTEN_BYTES = 262_144;

/**
 * Lets both ends of an open tunnel talk as `random` has it: sizes, chunks and
 * pauses of writers and readers, who half-closes when, who resets. Throws when
 * an end does not get, by SHA-256, exactly what the other one wrote, or after a
 * reset the beginning of it, or does not see the end that the other one made.
 */
export async function driveTunnel(
  client: RawPeer,
  target: RawPeer,
  random: Random,
  options: DriveOptions = {},
): Promise<DrivenTunnel> {
  const up = new Flow(client, target, random, options);
  const down = new Flow(target, client, random, options);
  const dice = random.below(20);
  const { kill } = options;
  const end = kill !== undefined ? "killed" : dice < 3 ? "client_reset" : dice < 6 ? "target_reset" : "closed";
  if (kill !== undefined) {
    await Promise.all([up.write(), down.write()]);
    await kill(client);
    await Promise.all([up.expectReset(), down.expectReset()]);
    up.expectBeginning();
    down.expectBeginning();
  } else if (end === "closed") {
    // One end may be a server that answers when it has heard everything; or both talk at once.
    const order = random.below(3);
    await Promise.all([
      up.write().then(() => up.finish(order === 1 ? down : undefined)),
      down.write(order === 2 ? up : undefined).then(() => down.finish()),
    ]);
    await Promise.all([up.expectWhole(), down.expectWhole()]);
  } else {
    const [resetting, other] = end === "client_reset" ? [up, down] : [down, up];
    const talk = other.write();
    await resetting.write();
    resetting.reset();
    await Promise.all([talk, other.expectReset()]);
    resetting.expectBeginning();
    other.expectBeginning();
  }
  return { end, sentUp: up.sent, sentDown: down.sent, gotUp: up.got, gotDown: down.got };
}

/** Nobody could tell two random places of it apart by accident. */
let block: Uint8Array | undefined;
const BLOCK_BYTES = 4 * 1024 * 1024;

/** One direction: a writer at `from`, a reader at `to`. */
class Flow {
  sent = 0;
  got = 0;
  readonly #from: RawPeer;
  readonly #to: RawPeer;
  readonly #random: Random;
  readonly #offset: number;
  readonly #total: number;
  readonly #urgent: boolean;
  readonly #hash = new Bun.CryptoHasher("sha256");

  constructor(from: RawPeer, to: RawPeer, random: Random, { maxBytes = 200_000, urgent = false }: DriveOptions) {
    this.#from = from;
    this.#to = to;
    this.#random = random;
    this.#urgent = urgent;
    // Sizes of all magnitudes: most tunnels are small, and none at all is a size, too.
    this.#total = Math.floor(Math.min(maxBytes, 2 ** (random.below(1000) / 50) - 1));
    this.#offset = random.below(BLOCK_BYTES - this.#total);
    const lazy = random.below(4) === 0;
    const early = to.take();
    to.receivedBytes -= early.length;
    to.consume = (chunk) => {
      this.got += chunk.length;
      this.#hash.update(chunk);
      if (lazy && random.below(4) === 0) this.#rest();
    };
    if (early.length > 0) to.onData(early);
  }

  /** Writes all there is, once `before` has been heard whole. */
  async write(before?: Flow): Promise<void> {
    if (before !== undefined) await before.untilFinished();
    const bytes = payload();
    const hasty = this.#random.below(2) === 0;
    while (this.sent < this.#total && !this.#from.closed) {
      const most = this.#random.below(4) === 0 ? 65_536 : 1500;
      const size = Math.min(this.#total - this.sent, 1 + this.#random.below(most));
      const at = this.#offset + this.sent;
      this.sent += this.#send(bytes.subarray(at, at + size));
      if (!hasty && this.#random.below(8) === 0) await Bun.sleep(this.#random.below(5));
      if (this.#from.unwrittenBytes > UNWRITTEN_BYTES)
        await this.#from.until(
          (peer) => peer.closed || peer.unwrittenBytes <= UNWRITTEN_BYTES,
          "room to write",
          PATIENCE_MS,
        );
    }
  }

  /** Gives how many bytes were sent, or wait to be. */
  #send(bytes: Uint8Array): number {
    if (this.#urgent && this.#from.unwrittenBytes === 0 && this.#random.below(6) === 0) {
      const taken = sendNow(this.#from, bytes, MSG_OOB);
      if (taken > 0) return taken;
    }
    this.#from.write(bytes);
    return bytes.length;
  }

  /** Sends FIN, once `before` has been heard whole. */
  async finish(before?: Flow): Promise<void> {
    if (before !== undefined) await before.untilFinished();
    this.#from.finish();
  }

  reset(): void {
    this.#from.reset();
  }

  untilFinished(): Promise<void> {
    return this.#to.until((peer) => peer.end !== "open", "an end", PATIENCE_MS);
  }

  async expectWhole(): Promise<void> {
    await this.untilFinished();
    if (this.#to.end !== "fin") throw new Error(`An end in order became a ${this.#to.end}`);
    if (this.got !== this.#total) throw new Error(`${this.got} of ${this.#total} bytes arrived`);
    this.expectBeginning();
  }

  /**
   * The end that this flow writes at sees the reset that the other end made. The
   * kernel answers a reset out of sequence with a challenge, and only so many of
   * them (RFC 5961 §3.2, §10): where it leaves one out, only who writes learns of it.
   */
  async expectReset(): Promise<void> {
    const prod = setInterval(() => {
      if (!this.#from.closed && this.#from.unwrittenBytes === 0) this.#from.write(Uint8Array.of(0));
    }, PROD_MS);
    try {
      await this.#from.until((peer) => peer.closed, "a reset", PATIENCE_MS);
    } finally {
      clearInterval(prod);
    }
    if (this.#from.end !== "reset") throw new Error(`A reset became a ${this.#from.end}`);
  }

  /** What arrived is what was written first. */
  expectBeginning(): void {
    const written = new Bun.CryptoHasher("sha256").update(
      payload().subarray(this.#offset, this.#offset + Math.min(this.got, this.sent)),
    );
    if (written.digest("hex") !== this.#hash.copy().digest("hex"))
      throw new Error(`The ${this.got} bytes that arrived are not those that were written`);
  }

  #rest(): void {
    this.#to.pause();
    setTimeout(
      () => {
        if (!this.#to.closed) this.#to.resume();
      },
      1 + this.#random.below(4),
    );
  }
}

function payload(): Uint8Array {
  block ??= Buffer.concat(Array.from(makeKeystream(BLOCK_BYTES)));
  return block;
}
