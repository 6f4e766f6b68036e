/** Who sent something: `client` is the one that traces. */
export type Sender = "client" | "server";

/** Bytes that passed at one moment, in milliseconds since the beginning of the trace. */
export interface RecordedChunk {
  readonly at: number;
  readonly from: Sender;
  readonly bytes: Uint8Array;
}

/** Everything that passed through one byte stream, in order. */
export class Recording {
  readonly chunks: RecordedChunk[] = [];
  /** When the server sent its FIN. */
  endedAt: number | undefined;

  /** Keeps a copy. */
  add(at: number, from: Sender, bytes: Uint8Array): void {
    if (bytes.length > 0) this.chunks.push({ at, from, bytes: new Uint8Array(bytes) });
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
    const rest = new Recording();
    const left = { ...offsets };
    for (const { at, from, bytes } of this.chunks) {
      const skipped = Math.min(left[from], bytes.length);
      left[from] -= skipped;
      rest.add(at, from, bytes.subarray(skipped));
    }
    rest.endedAt = this.endedAt;
    return rest;
  }

  /** What passed before these offsets. */
  before(offsets: Readonly<Record<Sender, number>>): Recording {
    const start = new Recording();
    const left = { ...offsets };
    for (const { at, from, bytes } of this.chunks) {
      const kept = Math.min(left[from], bytes.length);
      left[from] -= kept;
      start.add(at, from, bytes.subarray(0, kept));
    }
    return start;
  }
}
