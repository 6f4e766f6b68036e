/** Hears of the records of one direction. */
export interface RecordListener {
  /** `first` and `second` are the first bytes of the payload; -1 where there is none. False to hear no more. */
  record(type: number, length: number, first: number, second: number): boolean;
}

const HEADER_BYTES = 5;
/** A header, and of the payload what alerts consist of. */
const SEEN_BYTES = HEADER_BYTES + 2;

/** Walks over TLS records that come in any pieces, from the beginning of one, and keeps only headers. */
export class RecordWalk {
  /** Bytes of the record under way that are still to come, and do not matter. */
  #skip = 0;
  /** The beginning of a record of which too little has come. */
  #partial: Uint8Array | undefined;

  /** Tells `listener` of the records that begin in what has come. False once it wants to hear no more. */
  push(chunk: Uint8Array, listener: RecordListener): boolean {
    const bytes = this.#partial === undefined ? chunk : Buffer.concat([this.#partial, chunk]);
    let at = this.#skip;
    while (at < bytes.length) {
      const length = ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0);
      const seen = at + HEADER_BYTES > bytes.length ? SEEN_BYTES : Math.min(SEEN_BYTES, HEADER_BYTES + length);
      if (at + seen > bytes.length) break;
      const payload = at + HEADER_BYTES;
      const first = length > 0 ? (bytes[payload] ?? -1) : -1;
      const second = length > 1 ? (bytes[payload + 1] ?? -1) : -1;
      if (!listener.record(bytes[at] ?? 0, length, first, second)) return false;
      at = payload + length;
    }
    this.#skip = Math.max(0, at - bytes.length);
    // A copy: the few bytes may lie in a buffer of many.
    this.#partial = at < bytes.length ? new Uint8Array(bytes.subarray(at)) : undefined;
    return true;
  }
}
