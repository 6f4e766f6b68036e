import type { Socket } from "bun";

/** How the other side of a raw socket ended it. */
export type PeerEnd = "open" | "fin" | "reset";

/**
 * One end of a TCP connection that a test holds in its hands: it writes, reads,
 * half-closes, resets and reads no more, each exactly when the test says so.
 */
export class RawPeer {
  readonly socket: Socket<RawPeer>;
  end: PeerEnd = "open";
  closed = false;
  receivedBytes = 0;
  #chunks: Uint8Array[] = [];
  #waiters: (() => void)[] = [];
  #toWrite: Uint8Array[] = [];
  #finAfterWrites = false;
  #finSent = false;
  /** A write was told of the other side's reset, which the system tells only once: the end that follows is none. */
  #broken = false;
  /** Called with each chunk instead of keeping it, for volumes that should not stay in memory. */
  consume: ((chunk: Uint8Array) => void) | undefined;

  constructor(socket: Socket<RawPeer>) {
    this.socket = socket;
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.received.toString("latin1");
  }

  get broken(): boolean {
    return this.#broken;
  }

  /** Bytes that `write` took and the socket did not yet. */
  get unwrittenBytes(): number {
    return this.#toWrite.reduce((sum, bytes) => sum + bytes.length, 0);
  }

  /** Writes in order, however slow the reader is. */
  write(bytes: Uint8Array | string): void {
    this.#toWrite.push(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
    this.flush();
  }

  /** Sends FIN once everything before it is written. */
  finish(): void {
    this.#finAfterWrites = true;
    this.flush();
  }

  reset(): void {
    this.socket.terminate();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Waits until `condition` holds; it is looked at after every event on this socket. */
  async until(condition: (peer: RawPeer) => boolean, what = condition.toString(), ms = 60_000): Promise<void> {
    const deadline = performance.now() + ms;
    while (!condition(this)) {
      const left = deadline - performance.now();
      if (left <= 0)
        throw new Error(
          `Waited ${ms} ms in vain for: ${what}; so far: ${JSON.stringify(this.text.slice(0, 500))}, end ${this.end}`,
        );
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, 100));
        this.#waiters.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  untilReceived(count: number): Promise<void> {
    return this.until((peer) => peer.receivedBytes >= count, `${count} bytes`);
  }

  untilText(part: string): Promise<void> {
    return this.until((peer) => peer.text.includes(part), JSON.stringify(part));
  }

  untilEnd(): Promise<void> {
    return this.until((peer) => peer.end !== "open" || peer.closed, "FIN or RST");
  }

  /** Takes what was received so far away, so that the next look sees only what is new. */
  take(): Buffer {
    const all = this.received;
    this.#chunks = [];
    return all;
  }

  flush(): void {
    while (this.#toWrite.length > 0) {
      const head = this.#toWrite[0] as Uint8Array;
      const taken = this.socket.write(head);
      if (taken < 0) {
        this.#toWrite = [];
        this.#broken = !this.#finSent;
        return;
      }
      if (taken < head.length) {
        this.#toWrite[0] = head.subarray(taken);
        return;
      }
      this.#toWrite.shift();
    }
    if (this.#finAfterWrites) {
      this.#finAfterWrites = false;
      this.#finSent = true;
      this.socket.shutdown();
    }
    this.wake();
  }

  onData(chunk: Uint8Array): void {
    this.receivedBytes += chunk.length;
    if (this.consume === undefined) this.#chunks.push(chunk);
    else this.consume(chunk);
    this.wake();
  }

  onEnd(): void {
    if (this.end === "open") this.end = "fin";
    this.wake();
  }

  onClose(error: Error | undefined): void {
    this.closed = true;
    if (error || this.#broken) this.end = "reset";
    else if (this.end === "open") this.end = "fin";
    this.wake();
  }

  wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }
}

export const rawPeerHandlers = {
  data(socket: Socket<RawPeer>, chunk: Uint8Array): void {
    socket.data.onData(chunk);
  },
  end(socket: Socket<RawPeer>): void {
    if (socket.data.broken) socket.terminate();
    else socket.data.onEnd();
  },
  drain(socket: Socket<RawPeer>): void {
    socket.data.flush();
  },
  close(socket: Socket<RawPeer>, error?: Error): void {
    socket.data.onClose(error);
  },
};

/** Connects to a loopback port. */
export async function connectRaw(port: number, hostname = "127.0.0.1"): Promise<RawPeer> {
  const { promise, resolve } = Promise.withResolvers<RawPeer>();
  await Bun.connect<RawPeer>({
    hostname,
    port,
    allowHalfOpen: true,
    socket: {
      ...rawPeerHandlers,
      open(socket) {
        socket.data = new RawPeer(socket);
        resolve(socket.data);
      },
    },
  });
  return promise;
}

/** A server whose accepted connections the test takes one by one with `next()`. */
export interface RawServer extends Disposable {
  readonly port: number;
  readonly accepted: RawPeer[];
  next(): Promise<RawPeer>;
  /** Stops accepting and leaves the accepted connections alone; disposing ends them too. */
  stop(): void;
}

/** Listens on a free loopback port; `onAccept` may act at once on every connection. */
export function listenRaw(onAccept: (peer: RawPeer) => void = () => {}, hostname = "127.0.0.1"): RawServer {
  const accepted: RawPeer[] = [];
  const ready: RawPeer[] = [];
  const waiting: ((peer: RawPeer) => void)[] = [];
  const server = Bun.listen<RawPeer>({
    hostname,
    port: 0,
    allowHalfOpen: true,
    socket: {
      ...rawPeerHandlers,
      open(socket) {
        const peer = new RawPeer(socket);
        socket.data = peer;
        accepted.push(peer);
        onAccept(peer);
        const waiter = waiting.shift();
        if (waiter === undefined) ready.push(peer);
        else waiter(peer);
      },
    },
  });
  return {
    port: server.port,
    accepted,
    next() {
      const peer = ready.shift();
      if (peer !== undefined) return Promise.resolve(peer);
      const { promise, resolve, reject } = Promise.withResolvers<RawPeer>();
      const timer = setTimeout(() => reject(new Error("No connection arrived within a minute")), 60_000);
      waiting.push((arrived) => {
        clearTimeout(timer);
        resolve(arrived);
      });
      return promise;
    },
    stop: () => server.stop(false),
    [Symbol.dispose]() {
      server.stop(true);
    },
  };
}

/** A server that sends back what it receives, FIN included. */
export function listenEcho(hostname = "127.0.0.1"): RawServer {
  return listenRaw((peer) => {
    peer.consume = (chunk) => peer.write(chunk);
    peer.onEnd = () => {
      peer.end = "fin";
      peer.finish();
    };
  }, hostname);
}
