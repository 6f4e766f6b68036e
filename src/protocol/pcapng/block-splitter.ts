/** What went by in a stream of blocks. */
export interface BlockCounts {
  readonly packets: number;
  /** As the last statistics of all interfaces say. */
  readonly dropped: number;
}

const TYPE_STATISTICS = 5;
const TYPE_PACKET = 6;
const OPTION_DROPPED = 5;
/** Type and length in front, length behind. */
const FRAME_BYTES = 12;
/** A packet of 64 KiB with its comments is far below. */
const MAX_BLOCK_BYTES = 16 * 1024 * 1024;

/** Cuts a stream in the pcapng format, little endian, where blocks end: who keeps whole blocks only keeps a whole file. */
export class BlockSplitter {
  #begun: Uint8Array = new Uint8Array(0);
  #packets = 0;
  readonly #dropped = new Map<number, number>();

  get counts(): BlockCounts {
    return { packets: this.#packets, dropped: this.#dropped.values().reduce((sum, each) => sum + each, 0) };
  }

  /** Takes the next bytes and gives all whole blocks that are there now; undefined when this is no pcapng. */
  push(bytes: Uint8Array): Uint8Array | undefined {
    const all = this.#begun.length === 0 ? bytes : Buffer.concat([this.#begun, bytes]);
    const view = new DataView(all.buffer, all.byteOffset, all.length);
    let at = 0;
    while (all.length - at >= 8) {
      const length = view.getUint32(at + 4, true);
      if (length < FRAME_BYTES || length % 4 !== 0 || length > MAX_BLOCK_BYTES) return undefined;
      if (all.length - at < length) break;
      this.#count(new DataView(all.buffer, all.byteOffset + at, length));
      at += length;
    }
    this.#begun = new Uint8Array(all.subarray(at));
    return all.subarray(0, at);
  }

  #count(block: DataView): void {
    const type = block.getUint32(0, true);
    if (type === TYPE_PACKET) this.#packets += 1;
    else if (type === TYPE_STATISTICS) this.#dropped.set(block.getUint32(8, true), readDropped(block));
  }
}

/** The count of dropped packets in an interface statistics block; 0 when it has none. */
function readDropped(block: DataView): number {
  let at = 20;
  while (at + 4 <= block.byteLength - 4) {
    const code = block.getUint16(at, true);
    const length = block.getUint16(at + 2, true);
    if (code === OPTION_DROPPED && length === 8 && at + 12 <= block.byteLength)
      return Number(block.getBigUint64(at + 4, true));
    at += 4 + ((length + 3) & ~3);
  }
  return 0;
}
