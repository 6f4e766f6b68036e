import type { Conn, ConnSink } from "../../net/conn/conn.ts";
import type { Expiring } from "../../net/conn/deadlines.ts";

/**
 * Writes a whole message to a detached client, and waits for room as long as
 * something of it is taken every `idleMs` milliseconds (0: for ever). False when
 * it could not be completed, or when the client ended its side meanwhile: then the
 * connection carries no other message, and is still to be closed.
 *
 * What is written to a client and belongs to no exchange goes through here, so
 * that nothing ever follows half a message. `bytes` must not change afterwards.
 */
export function writeWhole(client: Conn, bytes: Uint8Array, idleMs: number): boolean | Promise<boolean> {
  if (bytes.length === 0) return true;
  const taken = client.write(bytes);
  if (taken === bytes.length) return true;
  if (taken < 0) return false;
  return new Writer(client, bytes.subarray(taken), idleMs).done;
}

class Writer implements ConnSink, Expiring {
  readonly done: Promise<boolean>;
  readonly #client: Conn;
  readonly #idleMs: number;
  #rest: Uint8Array;
  /** What the client says meanwhile: it is read no further, and all of it stays unread. */
  readonly #heard: Uint8Array[] = [];
  #turn: number | undefined;
  #resolve!: (whole: boolean) => void;
  #ended = false;
  #over = false;

  constructor(client: Conn, rest: Uint8Array, idleMs: number) {
    this.#client = client;
    this.#rest = rest;
    this.#idleMs = idleMs;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#restart();
    client.attach(this);
    if (!this.#over) client.pause();
  }

  data(chunk: Uint8Array): void {
    this.#heard.push(new Uint8Array(chunk));
    this.#client.pause();
  }

  end(): void {
    this.#ended = true;
  }

  drain(): void {
    const taken = this.#client.write(this.#rest);
    if (taken < 0) {
      this.#finish(false);
    } else if (taken === this.#rest.length) {
      this.#finish(!this.#ended);
    } else {
      this.#rest = this.#rest.subarray(taken);
      this.#restart();
    }
  }

  close(): void {
    this.#finish(false);
  }

  /** Nobody reads: with RST, since half a message may look like a whole one to whom it was for. */
  expire(): void {
    this.#finish(false);
    this.#client.reset();
  }

  #restart(): void {
    this.#stop();
    if (this.#idleMs > 0) this.#turn = this.#client.timers.deadlines.start(this, this.#idleMs);
  }

  #stop(): void {
    if (this.#turn !== undefined) this.#client.timers.deadlines.stop(this, this.#turn);
    this.#turn = undefined;
  }

  #finish(whole: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#stop();
    this.#client.detach();
    for (const chunk of this.#heard.toReversed()) this.#client.unread(chunk);
    this.#resolve(whole);
  }
}
