import type { Conn, ConnSink } from "../../net/conn.ts";
import { watchIdle } from "./idle-watch.ts";
import type { Tunnel, TunnelEnd, TunnelOptions, TunnelResult } from "./tunnel.ts";

/**
 * Carries bytes between two detached connections in user space: read, write
 * what fits, keep the rest and pause the reader until there is room again. At
 * most one chunk waits per direction, whatever the peers do.
 */
export function relay(client: Conn, target: Conn, options: TunnelOptions): Tunnel {
  return new Relay(client, target, options);
}

class Relay implements Tunnel {
  readonly done: Promise<TunnelResult>;
  readonly #client: Conn;
  readonly #target: Conn;
  readonly #up: Direction;
  readonly #down: Direction;
  readonly #stopWatching: () => void;
  #resolve!: (result: TunnelResult) => void;
  #over = false;
  /** Monotonic milliseconds of the last byte or FIN. */
  lastActivity: number;

  constructor(client: Conn, target: Conn, options: TunnelOptions) {
    this.#client = client;
    this.#target = target;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.lastActivity = performance.now();
    this.#up = new Direction(this, client, target, "client_reset");
    this.#down = new Direction(this, target, client, "target_reset");
    this.#stopWatching = watchIdle(this, options.idleMs, () => this.abort("idle_timeout"));
    // What waited on either side is delivered here, in order, before anything new.
    client.attach(new End(this, this.#up, this.#down));
    target.attach(new End(this, this.#down, this.#up));
  }

  bytes(): { up: number; down: number } {
    return { up: this.#up.bytes, down: this.#down.bytes };
  }

  kill(end: "killed" | "drained"): void {
    this.abort(end);
  }

  touch(): void {
    this.lastActivity = performance.now();
  }

  /** Both directions have ended in order: the tunnel is over once nothing is left to say. */
  settle(): void {
    if (this.#up.finished && this.#down.finished) this.#finish("closed");
  }

  /** Ends at once with RST wherever the connection still stands. */
  abort(end: TunnelEnd): void {
    this.#finish(end);
  }

  #finish(end: TunnelEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#stopWatching();
    this.#client.detach();
    this.#target.detach();
    if (end === "closed") {
      this.#client.close();
      this.#target.close();
    } else {
      this.#client.reset();
      this.#target.reset();
    }
    this.#resolve({ end, bytesUp: this.#up.bytes, bytesDown: this.#down.bytes });
  }
}

/** One way through the tunnel: from `source` to `sink`. */
class Direction {
  bytes = 0;
  /** FIN was passed on. */
  finished = false;
  readonly #relay: Relay;
  readonly #source: Conn;
  readonly #sink: Conn;
  /** What the sink's socket did not take yet. */
  #rest: Uint8Array | undefined;
  #ending = false;
  /** How the tunnel ended when the source is the one that broke. */
  readonly broken: TunnelEnd;

  constructor(relayed: Relay, source: Conn, sink: Conn, broken: TunnelEnd) {
    this.#relay = relayed;
    this.#source = source;
    this.#sink = sink;
    this.broken = broken;
  }

  push(chunk: Uint8Array): void {
    this.#relay.touch();
    const taken = this.#sink.write(chunk);
    // Closed for writing: the sink's own `close` is on its way and says how.
    if (taken < 0) return;
    this.bytes += taken;
    if (taken < chunk.length) {
      this.#rest = chunk.subarray(taken);
      this.#source.pause();
    }
  }

  /** The sink has room again. */
  flush(): void {
    const rest = this.#rest;
    if (rest === undefined) return;
    this.#relay.touch();
    const taken = this.#sink.write(rest);
    if (taken < 0) return;
    this.bytes += taken;
    if (taken < rest.length) {
      this.#rest = rest.subarray(taken);
      return;
    }
    this.#rest = undefined;
    if (this.#ending) this.#passEnd();
    else this.#source.resume();
  }

  /** The source sent FIN: pass it on, after everything before it. */
  end(): void {
    if (this.#ending) return;
    this.#relay.touch();
    this.#ending = true;
    if (this.#rest === undefined) this.#passEnd();
  }

  get ending(): boolean {
    return this.#ending;
  }

  #passEnd(): void {
    this.finished = true;
    this.#sink.shutdown();
    this.#relay.settle();
  }
}

/** What one end of the tunnel tells: `out` flows from it, `back` flows to it. */
class End implements ConnSink {
  readonly #relay: Relay;
  readonly #out: Direction;
  readonly #back: Direction;

  constructor(relayed: Relay, out: Direction, back: Direction) {
    this.#relay = relayed;
    this.#out = out;
    this.#back = back;
  }

  data(chunk: Uint8Array): void {
    this.#out.push(chunk);
  }

  end(): void {
    this.#out.end();
  }

  drain(): void {
    this.#back.flush();
  }

  close(reset: boolean): void {
    if (reset) {
      this.#relay.abort(this.#out.broken);
      return;
    }
    // Gone in order: it said all it had to say and heard our FIN, or nobody can hear it any more.
    this.#out.end();
    if (this.#back.finished) this.#relay.settle();
    else this.#relay.abort(this.#out.broken);
  }
}
