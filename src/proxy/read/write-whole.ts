import type { Conn, ConnSink } from "../../net/conn/conn.ts";
import type { Expiring } from "../../net/conn/deadlines.ts";

/**
 * Writes a whole message to a detached client. It waits for room as long as the
 * socket takes some bytes every `idleMs` milliseconds (0: without limit). False
 * when the message is incomplete, or when the client sent FIN meanwhile: then no
 * other message may follow, and the caller closes the connection.
 *
 * Every message that belongs to no exchange is written here, so that nothing
 * follows half a message. `bytes` must not change afterwards.
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
  /** What the client sends meanwhile. It becomes unread again. */
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

  /** The client does not read. RST tells it that the message was cut; FIN would not. */
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
