import type { RequestRecord } from "./request-record.ts";
import type { Observer, Tunnel } from "../flow/tunnel.ts";
import { Capture, type CaptureOptions } from "./capture.ts";
import { matchesCapture } from "./capture-filter.ts";

/** Captures at once: each may hold its limit of bytes. */
const MAX_CAPTURES = 4;
/** Bytes that may wait for the reader of a capture. */
const LIMIT_BYTES = 16 * 1024 * 1024;

export interface CapturesOptions {
  /** Name and version of this program, for the head of a file. */
  readonly application: string;
  /** Bytes that may wait for the reader of a capture; 16 MiB when absent. */
  readonly limitBytes?: number;
}

/** Calls its argument with every tunnel under way. */
export type VisitTunnels = (visit: (record: RequestRecord, tunnel: Tunnel) => void) => void;

/** The captures under way. Without one a tunnel pays nothing for them. */
export class Captures {
  readonly #options: CapturesOptions;
  readonly #captures = new Map<string, Capture>();
  #count = 0;

  constructor(options: CapturesOptions) {
    this.#options = options;
  }

  /**
   * Starts a capture of the tunnels that match, those under way included. Those
   * in a lane are brought back to the relay. Undefined when there are four already.
   */
  start(options: CaptureOptions, visitTunnels: VisitTunnels): Capture | undefined {
    if (this.#captures.size >= MAX_CAPTURES) return undefined;
    this.#count += 1;
    const id = String(this.#count);
    const { application, limitBytes = LIMIT_BYTES } = this.#options;
    const whenOver = () => void this.#captures.delete(id);
    const capture = new Capture(options, { id, application, limitBytes, now: readClock, whenOver });
    this.#captures.set(id, capture);
    visitTunnels((record, tunnel) => {
      if (matchesCapture(options.filter, record)) tunnel.watch?.(capture.observer(record));
    });
    return capture;
  }

  /** The observers of a tunnel that is about to open; undefined for none. */
  observers(record: RequestRecord): Observer[] | undefined {
    if (this.#captures.size === 0) return undefined;
    const wanted = [...this.#captures.values()].filter(({ options }) => matchesCapture(options.filter, record));
    return wanted.length === 0 ? undefined : wanted.map((capture) => capture.observer(record));
  }

  /** Ends a capture; false when there is none of that id. */
  stop(id: string): boolean {
    const capture = this.#captures.get(id);
    capture?.stop();
    return capture !== undefined;
  }

  stopAll(): void {
    for (const capture of this.#captures.values()) capture.stop();
  }
}

/** Nanoseconds since the epoch, as finely as the monotonic clock tells. */
function readClock(): bigint {
  const ms = performance.timeOrigin + performance.now();
  const whole = Math.floor(ms);
  return BigInt(whole) * 1_000_000n + BigInt(Math.floor((ms - whole) * 1_000_000));
}
