import { EPOLLERR, EPOLLHUP, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_TRUNC } from "../../../src/net/libc/constants.ts";
import { isTransient } from "../../../src/net/libc/errno.ts";
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
const scratchView = new DataView(scratch.buffer);
/** Whole HTTP responses by the size of their body. */
const responses = new Map<number, Uint8Array>();

/** The response to `GET /BYTES`, in origin-form or absolute-form; of 1 KB when the path does not say. */
function answer(head: string): Uint8Array {
  const bytes = Math.min(10_000_000, Number(/^GET \S*\/(\d+) /.exec(head)?.[1] ?? 1024));
  const known = responses.get(bytes);
  if (known !== undefined) return known;
  const fields = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${bytes}\r\n\r\n`;
  const made = Buffer.from(fields + "x".repeat(bytes));
  responses.set(bytes, made);
  return made;
}

class OriginConnection implements Handler {
  readonly #fd: number;
  #wish = 0;
  #unsent: Uint8Array | undefined;
  /** Bytes that are still to be made up and sent. */
  #owed = 0;
  #interest = readable;

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
    // What is left over has to be a copy: the next event writes over the scratch.
    if (this.#wish === wish.echo) this.#unsent = this.#send(scratch.subarray(0, count))?.slice();
    return true;
  }

  #begin(count: number): boolean {
    const first = scratch[0] ?? 0;
    if (first === 0x47) {
      // "G" of GET: an HTTP request, small enough to come in one piece.
      this.#unsent = this.#send(answer(Buffer.from(scratch.buffer, 0, count).toString("latin1")));
      return true;
    }
    this.#wish = first;
    if (first === wish.echo && count > 1) this.#unsent = this.#send(scratch.subarray(1, count))?.slice();
    if (first === wish.amount) {
      // Five bytes of one call: they come in one piece, too.
      if (count < 5) return false;
      this.#owed = scratchView.getUint32(1);
      this.#pay();
    }
    if (first === wish.flood || first === wish.both) this.#await(readable | writable);
    return true;
  }

  #write(): void {
    if (this.#unsent !== undefined) this.#unsent = this.#send(this.#unsent);
    else if (this.#wish === wish.amount) this.#pay();
    else if (this.#wish === wish.flood || this.#wish === wish.both)
      libc.send(this.#fd, block, block.length, MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  /** Sends all of it, or gives the rest and waits until there is room for that. */
  #send(bytes: Uint8Array): Uint8Array | undefined {
    const sent = Math.max(0, libc.send(this.#fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL));
    const rest = sent === bytes.length ? undefined : bytes.subarray(sent);
    this.#await(rest === undefined ? readable : writable);
    return rest;
  }

  #pay(): void {
    const bytes = Math.min(this.#owed, block.length);
    this.#owed -= Math.max(0, libc.send(this.#fd, block, bytes, MSG_DONTWAIT | MSG_NOSIGNAL));
    this.#await(this.#owed === 0 ? readable : writable);
  }

  /** Changes what is waited for, when it is something else. */
  #await(interest: number): void {
    if (interest === this.#interest) return;
    this.#interest = interest;
    reactor.change(this.#fd, interest);
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
