import type { Side } from "../../protocol/pcapng/tcp-synthesiser.ts";
import type { CaptureFlow } from "./capture-flow.ts";

/** Something that passed and is to be written, as it came: packets are made of it only when the reader asks for them. */
export interface CaptureEntry {
  readonly flow: CaptureFlow;
  /** Nanoseconds since the epoch. */
  readonly at: bigint;
  readonly what: "open" | "data" | "finish" | "reset";
  readonly side: Side;
  readonly bytes: Uint8Array;
  /** Bytes that passed on this flow since its entry before this one, and were dropped. */
  readonly skipped: Readonly<Record<Side, number>>;
}

/** What an entry costs beside its bytes, roughly. */
const ENTRY_BYTES = 256;

/** Entries that wait for the reader, up to a number of bytes. */
export class CaptureQueue {
  readonly #limit: number;
  #entries: CaptureEntry[] = [];
  /** Those before are taken. */
  #first = 0;
  #bytes = 0;

  /** `limit` in bytes. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get empty(): boolean {
    return this.#first === this.#entries.length;
  }

  /** Whether bytes still fit. Ends of flows always do: there are no more of them than beginnings. */
  fits(bytes: number): boolean {
    return this.#bytes + bytes + ENTRY_BYTES <= this.#limit;
  }

  /** Keeps a copy of the entry's bytes. */
  add(entry: CaptureEntry): void {
    this.#entries.push({ ...entry, bytes: new Uint8Array(entry.bytes) });
    this.#bytes += entry.bytes.length + ENTRY_BYTES;
  }

  take(): CaptureEntry | undefined {
    const entry = this.#entries[this.#first];
    if (entry === undefined) return undefined;
    this.#first += 1;
    this.#bytes -= entry.bytes.length + ENTRY_BYTES;
    // What was taken is let go now and then: shifting each would move all the others.
    if (this.#first >= 1024 || this.empty) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
    return entry;
  }
}
