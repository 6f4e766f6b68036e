import type { Observer, TunnelEnd, TunnelSide, TunnelTap } from "./tunnel.ts";

/**
 * All that looks at the bytes of one tunnel: the tap on its first bytes, and the
 * observers. A tunnel that nobody looks at has none.
 */
export class Observation {
  /** Undefined once it has seen enough. */
  #tap: TunnelTap | undefined;
  readonly #observers = new Set<Observer>();

  constructor(tap: TunnelTap | undefined) {
    this.#tap = tap;
  }

  /** Whether nobody looks any more, and nothing is left to be told. */
  get over(): boolean {
    return this.#tap === undefined && this.#observers.size === 0;
  }

  /** Whether the tunnel may go on where nobody can look. */
  get allowsPromotion(): boolean {
    return (this.#tap === undefined || this.#tap.done) && this.#observers.size === 0;
  }

  /** Asks the tap to look no more; see `TunnelTap.letGo`. */
  letGo(hurried: boolean): boolean {
    return this.#tap === undefined || this.#tap.done || this.#tap.letGo(hurried);
  }

  add(observer: Observer): void {
    this.#observers.add(observer);
  }

  remove(observer: Observer): void {
    this.#observers.delete(observer);
  }

  /** Bytes came from a side. Returns what may go on of them, and of what the tap held before. */
  came(from: TunnelSide, chunk: Uint8Array): Uint8Array | undefined {
    for (const observer of this.#observers) observer.came(from, chunk);
    const tap = this.#tap;
    if (tap === undefined) return chunk;
    const passed = from === "client" ? tap.up(chunk) : tap.down(chunk);
    if (tap.done) this.#tap = undefined;
    return passed;
  }

  /** The socket of a side took bytes. */
  went(to: TunnelSide, bytes: Uint8Array): void {
    for (const observer of this.#observers) observer.went(to, bytes);
  }

  /** A side sent FIN. Returns what may go on of what the tap held. */
  ended(from: TunnelSide): Uint8Array | undefined {
    for (const observer of this.#observers) observer.ended(from);
    return from === "client" ? this.#tap?.upEnd() : undefined;
  }

  /** FIN was sent to a side. */
  finished(to: TunnelSide): void {
    for (const observer of this.#observers) observer.finished(to);
  }

  /** The connections are let go: the tap sees no more. */
  closeTap(): void {
    this.#tap?.close();
    this.#tap = undefined;
  }

  /** The tunnel is over. */
  end(end: TunnelEnd): void {
    for (const observer of this.#observers) observer.over(end);
    this.#observers.clear();
  }

  /** The tunnel goes on in another process. */
  moved(): void {
    for (const observer of this.#observers) observer.moved?.();
    this.#observers.clear();
  }
}

/** Of every tunnel that is to be looked into and in which nothing was said: until then it pays for no tap. */
export const NOTHING_SAID = new Observation(undefined);
