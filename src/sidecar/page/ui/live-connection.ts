import type { LiveModel } from "./live-model.ts";
import { ServerSentEvents } from "../../../protocol/server-sent-events.ts";
import type { Session } from "./session.ts";
import type { LiveState, LiveTick, SeriesAnswer } from "./wire.ts";

/** How the page and the sidecar are connected now. */
export type LinkState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  | { readonly kind: "waiting"; readonly why: string; readonly until: number };

/** Milliseconds without a byte after which a stream is given up: a tick comes each second. */
const SILENCE_MS = 15_000;
/** Characters of one event. A stream that sends more than that without an end is not ours. */
const MAX_EVENT = 64 * 1024 * 1024;
/** Milliseconds until what could not be had is asked for again. */
const LOAD_AGAIN_MS = 5000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

export interface LiveOptions {
  readonly session: Session;
  readonly model: LiveModel;
  /** The model or the state of the connection changed. */
  readonly changed: () => void;
}

/** Follows `/live`, and comes back when the connection breaks. The model keeps what it has meanwhile. */
export class LiveConnection {
  state: LinkState = { kind: "connecting" };
  readonly #options: LiveOptions;
  #stop = new AbortController();
  #rows = 0;
  #wakeUp: () => void = () => {};
  #waitMs = FIRST_WAIT_MS;
  #isLoading = false;
  #loadAgainAt = -Infinity;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /** Follows from now on, with so many rows of the table. */
  start(rows: number): void {
    if (rows === this.#rows && !this.#stop.signal.aborted && this.state.kind !== "connecting") return;
    this.#rows = rows;
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#waitMs = FIRST_WAIT_MS;
    void this.#run(this.#stop.signal);
  }

  stop(): void {
    this.#stop.abort();
    this.#wakeUp();
  }

  /** Comes back now instead of later. */
  retry(): void {
    this.#wakeUp();
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#options.session.isOpen) {
      this.#tell({ kind: "connecting" }, signal);
      const { why, afterMs } = await this.#follow(signal);
      if (signal.aborted || !this.#options.session.isOpen) return;
      const ms = Math.max(afterMs, this.#waitMs);
      this.#waitMs = Math.min(this.#waitMs * 2, LONGEST_WAIT_MS);
      this.#tell({ kind: "waiting", why, until: performance.now() + ms }, signal);
      await this.#sleep(ms);
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Follows until the stream ends, and says why it did. */
  async #follow(signal: AbortSignal): Promise<{ readonly why: string; readonly afterMs: number }> {
    const silence = new AbortController();
    const either = AbortSignal.any([signal, silence.signal]);
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      const opened = await this.#options.session.open(`/live?tunnels=${this.#rows}`, either);
      if (!opened.ok) return { why: opened.message, afterMs: (opened.retryAfter ?? 0) * 1000 };
      const reader = opened.value.getReader();
      const events = new ServerSentEvents(MAX_EVENT);
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return { why: "The sidecar closed the connection.", afterMs: 0 };
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        for (const { type, data } of events.read(value)) this.#take(type, data, signal);
      }
    } catch {
      return { why: silence.signal.aborted ? "The sidecar went silent." : "The connection broke.", afterMs: 0 };
    } finally {
      clearTimeout(timer);
      // The stream is given up whole, if it was not yet over.
      silence.abort();
    }
  }

  #take(type: string, data: string, signal: AbortSignal): void {
    if (signal.aborted) return;
    const { model } = this.#options;
    const now = performance.now();
    let isMissing: boolean;
    if (type === "state") isMissing = model.begin(JSON.parse(data) as LiveState, now);
    else if (type === "tick") isMissing = model.advance(JSON.parse(data) as LiveTick, now);
    else return;
    if (isMissing) void this.#loadSeries(signal);
    this.#waitMs = FIRST_WAIT_MS;
    this.#tell({ kind: "live" }, signal);
  }

  /** Asks for the seconds before the stream, one time at once. */
  async #loadSeries(signal: AbortSignal): Promise<void> {
    if (this.#isLoading || performance.now() < this.#loadAgainAt) return;
    this.#isLoading = true;
    const answer = await this.#options.session.ask<SeriesAnswer>("/series?span=15m", { signal });
    this.#isLoading = false;
    // The next tick asks again, but not at once.
    if (!answer.ok) this.#loadAgainAt = performance.now() + LOAD_AGAIN_MS;
    if (!answer.ok || signal.aborted) return;
    this.#options.model.takeSeries(answer.value);
    this.#options.changed();
  }

  #tell(state: LinkState, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.state = state;
    this.#options.changed();
  }
}
