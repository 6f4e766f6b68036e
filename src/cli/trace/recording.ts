/** Who sent something: `client` is the one that traces. */
export type Sender = "client" | "server";

/** Bytes that passed at one moment, in milliseconds since the beginning of the trace. */
export interface RecordedChunk {
  readonly at: number;
  readonly from: Sender;
  readonly bytes: Uint8Array;
}

/** Bytes of memory that a recording takes, about: many times what a trace reads of a response. */
const MAX_COST = 8 * 1024 * 1024;
/** What a chunk takes beside its bytes. */
const CHUNK_COST = 256;

/** Everything that passed through one byte stream, in order, until it is full. */
export class Recording {
  readonly chunks: RecordedChunk[] = [];
  #cost = 0;
  /** When the server sent its FIN. */
  endedAt: number | undefined;

  /** Keeps a copy. False when it was not kept, as there is too much already. */
  add(at: number, from: Sender, bytes: Uint8Array): boolean {
    if (bytes.length === 0) return true;
    this.#cost += bytes.length + CHUNK_COST;
    if (this.#cost > MAX_COST) return false;
    this.chunks.push({ at, from, bytes: new Uint8Array(bytes) });
    return true;
  }

  /** All bytes of one side. */
  bytesOf(from: Sender): Uint8Array {
    return Buffer.concat(this.chunks.filter((chunk) => chunk.from === from).map(({ bytes }) => bytes));
  }

  /** When the byte before `offset` passed; undefined when it never did. */
  timeOf(from: Sender, offset: number): number | undefined {
    let passed = 0;
    for (const chunk of this.chunks) {
      if (chunk.from !== from) continue;
      passed += chunk.bytes.length;
      if (passed >= offset) return chunk.at;
    }
    return undefined;
  }

  /** What passed after these offsets: the inside of a tunnel. */
  after(offsets: Readonly<Record<Sender, number>>): Recording {
    const rest = this.#cut(offsets, (bytes, at) => bytes.subarray(at));
    rest.endedAt = this.endedAt;
    return rest;
  }

  /** What passed before these offsets. */
  before(offsets: Readonly<Record<Sender, number>>): Recording {
    return this.#cut(offsets, (bytes, at) => bytes.subarray(0, at));
  }

  /** `choose` takes its part of a chunk, of which the first `at` bytes are before the offset. */
  #cut(offsets: Readonly<Record<Sender, number>>, choose: (bytes: Uint8Array, at: number) => Uint8Array): Recording {
    const part = new Recording();
    const left = { ...offsets };
    for (const { at, from, bytes } of this.chunks) {
      part.add(at, from, choose(bytes, Math.min(left[from], bytes.length)));
      left[from] = Math.max(0, left[from] - bytes.length);
    }
    return part;
  }
}
