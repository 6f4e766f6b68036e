import { EPOLLERR, EPOLLHUP, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_TRUNC } from "../../../src/net/linux/constants.ts";
import { isTransient } from "../../../src/net/linux/errno.ts";
import { readable, Reactor, writable, type Handler } from "./reactor.ts";
import { wish } from "./wire.ts";

/**
 * The origin of the bench, a process of its own: `bun origin.ts PORT`, for as
 * long as its standard input is open. Every connection says with its first byte
 * what it wants (see `wire.ts`).
 */
const reactor = new Reactor();
const { libc } = reactor;
const block = new Uint8Array(262_144).fill(0x78);
const scratch = new Uint8Array(65_536);
const http = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n${"x".repeat(1024)}`,
);

class OriginConnection implements Handler {
  readonly #fd: number;
  #wish = 0;
  #unsent: Uint8Array | undefined;

  constructor(fd: number) {
    this.#fd = fd;
  }

  onEvent(events: number): void {
    if ((events & (EPOLLERR | EPOLLHUP)) !== 0) return this.#close();
    if ((events & readable) !== 0 && !this.#read()) return this.#close();
    if ((events & writable) !== 0) this.#write();
  }

  /** Returns false at the end of the stream. */
  #read(): boolean {
    if (this.#wish === wish.sink || this.#wish === wish.both) {
      const dropped = libc.receive(this.#fd, scratch, 4_194_304, MSG_DONTWAIT | MSG_TRUNC);
      return dropped > 0 || isTransient(dropped);
    }
    const count = libc.receive(this.#fd, scratch, scratch.length, MSG_DONTWAIT);
    if (count <= 0) return isTransient(count);
    if (this.#wish === 0) return this.#begin(count);
    if (this.#wish === wish.echo) this.#send(scratch, count);
    return true;
  }

  #begin(count: number): boolean {
    const first = scratch[0] ?? 0;
    if (first === 0x47) {
      // "G" of GET: an HTTP request, small enough to come in one piece.
      this.#send(http, http.length);
      return true;
    }
    this.#wish = first;
    if (first === wish.echo && count > 1) this.#send(scratch.subarray(1), count - 1);
    if (first === wish.flood || first === wish.both) reactor.change(this.#fd, readable | writable);
    return true;
  }

  #write(): void {
    if (this.#unsent !== undefined) {
      const rest = this.#unsent;
      this.#unsent = undefined;
      reactor.change(this.#fd, readable);
      this.#send(rest, rest.length);
      return;
    }
    if (this.#wish === wish.flood || this.#wish === wish.both)
      libc.send(this.#fd, block, block.length, MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  #send(bytes: Uint8Array, count: number): void {
    const sent = Math.max(0, libc.send(this.#fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL));
    if (sent === count) return;
    // The client of the bench reads all it asked for, so this is rare and small.
    this.#unsent = bytes.slice(sent, count);
    reactor.change(this.#fd, writable);
  }

  #close(): void {
    reactor.close(this.#fd);
  }
}

const listener = reactor.listen(Number(process.argv[2]));
reactor.watch(listener, {
  onEvent() {
    for (let fd = reactor.accept(listener); fd !== undefined; fd = reactor.accept(listener))
      reactor.watch(fd, new OriginConnection(fd));
  },
});
// Whoever started this holds the other end of standard input, and ends the origin by closing it.
reactor.watch(0, { onEvent: () => process.exit(0) });
process.stdout.write("ready\n");
for (;;) reactor.turn(-1);
