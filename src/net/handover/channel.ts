import { describeFrameFault, encodeFrame, parseFrame } from "../../protocol/handover/frame.ts";
import { decodeMessage, encodeMessage, type HandoverMessage } from "../../protocol/handover/message.ts";
import { DescriptorMessages } from "../libc/descriptor-message.ts";
import { EAGAIN, EINTR, isTransient, nameErrno } from "../libc/errno.ts";
import type { Libc } from "../libc/libc.ts";
import type { Watch, Watched } from "./watch.ts";

/** Who uses a channel. */
export interface ChannelOwner {
  /** Takes a message and owns its descriptors, which are undefined when this process had no room for all of them. */
  onMessage(message: HandoverMessage, descriptors: readonly number[] | undefined): void;
  /** The channel is over: the other process has closed it or is gone (no `fault`), or does not keep to the protocol. It comes once. */
  onEnd(fault: string | undefined): void;
}

/** `struct pollfd`: the descriptor, then what is asked for in the low half. */
const POLLIN = 1;
const FIRST_BUFFER_BYTES = 64 * 1024;

interface Outgoing {
  bytes: Uint8Array;
  descriptors: readonly number[];
  readonly sent: () => void;
}

/** A proxy's connection to its successor, or a successor's to the process before it: a Unix stream socket. */
export class HandoverChannel {
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #messages: DescriptorMessages;
  readonly #outgoing: Outgoing[] = [];
  /** The beginning of a frame. */
  #buffer: Uint8Array = new Uint8Array(FIRST_BUFFER_BYTES);
  #buffered = 0;
  /** Descriptors of the frame that is being received. */
  #descriptors: number[] = [];
  #incomplete = false;
  #owner: ChannelOwner | undefined;
  #watched: Watched | undefined;
  #over = false;

  /** Owns `fd`, a connected non-blocking Unix stream socket. */
  constructor(libc: Libc, fd: number) {
    this.#libc = libc;
    this.#fd = fd;
    this.#messages = new DescriptorMessages(libc);
  }

  /** Waits for the first message, without a turn of the event loop. Says what is wrong when there is none. */
  receiveFirst(
    ms: number,
  ): { readonly message: HandoverMessage; readonly descriptors: readonly number[] | undefined } | string {
    let first: { message: HandoverMessage; descriptors: readonly number[] | undefined } | undefined;
    let fault: string | undefined;
    this.#owner = {
      onMessage: (message, descriptors) => void (first = { message, descriptors }),
      onEnd: (why) => void (fault = why ?? "the other process is gone"),
    };
    const deadline = performance.now() + ms;
    while (first === undefined && fault === undefined) {
      const left = Math.ceil(deadline - performance.now());
      if (left <= 0) return `nothing came within ${ms} ms`;
      this.#libc.poll(Int32Array.of(this.#fd, POLLIN), 1, left);
      this.#receive(() => first === undefined);
    }
    this.#owner = undefined;
    return first ?? fault ?? "";
  }

  /** Gives messages to `owner` as they come; those that are here already, at once. */
  open(owner: ChannelOwner, watch: Watch): void {
    this.#owner = owner;
    this.#watched = watch(this.#fd, { onReadable: () => this.#receive(() => true), onWritable: () => this.#flush() });
    this.#readFrames(() => true);
    this.#flush();
  }

  /** Sends a message. Resolves when the system has taken it, or when the channel is over. The descriptors must stay open until then. */
  send(message: HandoverMessage, descriptors: readonly number[] = []): Promise<void> {
    if (this.#over) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#outgoing.push({ bytes: encodeFrame(encodeMessage(message)), descriptors, sent: resolve });
    if (this.#outgoing.length === 1) this.#flush();
    return promise;
  }

  /** Closes it. `onEnd` does not follow. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#watched?.stop();
    this.#libc.close(this.#fd);
    this.#dropDescriptors();
    for (const { sent } of this.#outgoing.splice(0)) sent();
  }

  #end(fault?: string): void {
    if (this.#over) return;
    this.close();
    this.#owner?.onEnd(fault);
  }

  #flush(): void {
    for (let next = this.#outgoing[0]; next !== undefined && !this.#over; next = this.#outgoing[0]) {
      const count = this.#messages.send(this.#fd, next.bytes, next.descriptors);
      if (count === -EINTR) continue;
      if (count === -EAGAIN) {
        this.#watched?.setWriting(true);
        return;
      }
      // What the other process said before it went away is still to be read.
      if (count < 0) return this.#receive(() => true, `nothing can be sent to it (${nameErrno(-count)})`);
      next.descriptors = [];
      next.bytes = next.bytes.subarray(count);
      if (next.bytes.length > 0) continue;
      this.#outgoing.shift();
      next.sent();
    }
    if (!this.#over) this.#watched?.setWriting(false);
  }

  /** Reads all that is there. `broken`: why the channel ends after that. */
  #receive(wantsMore: () => boolean, broken?: string): void {
    while (!this.#over && wantsMore()) {
      const received = this.#messages.receive(this.#fd);
      if (typeof received === "number") {
        if (received === -EINTR) continue;
        if (isTransient(received)) return broken === undefined ? undefined : this.#end(broken);
        return this.#end();
      }
      this.#append(received.bytes);
      this.#descriptors.push(...received.descriptors);
      this.#incomplete ||= received.truncated;
      this.#readFrames(wantsMore);
    }
  }

  #append(bytes: Uint8Array): void {
    const needed = this.#buffered + bytes.length;
    if (needed > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.#buffer.length));
      larger.set(this.#buffer.subarray(0, this.#buffered));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#buffered);
    this.#buffered = needed;
  }

  #readFrames(wantsMore: () => boolean): void {
    while (!this.#over && wantsMore()) {
      const parsed = parseFrame(this.#buffer.subarray(0, this.#buffered));
      if (parsed.kind === "more") return;
      if (parsed.kind === "bad") return this.#end(describeFrameFault(parsed.code));
      const message = decodeMessage(parsed.value);
      this.#buffer.copyWithin(0, parsed.used, this.#buffered);
      this.#buffered -= parsed.used;
      if (message === undefined) return this.#end(`it sent a message that cannot be read (${parsed.value.kind})`);
      this.#deliver(message, parsed.value.descriptors);
    }
  }

  #deliver(message: HandoverMessage, count: number): void {
    // Only one message with descriptors is under way at a time, so that they cannot be mistaken for those of another.
    const complete = !this.#incomplete && this.#descriptors.length >= count;
    const descriptors = complete ? this.#descriptors.splice(0, count) : undefined;
    if (!complete) this.#dropDescriptors();
    this.#owner?.onMessage(message, descriptors);
  }

  #dropDescriptors(): void {
    for (const fd of this.#descriptors.splice(0)) this.#libc.close(fd);
    this.#incomplete = false;
  }
}
