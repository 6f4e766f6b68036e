import { ptr } from "bun:ffi";
import { MSG_CMSG_CLOEXEC, MSG_CTRUNC, MSG_DONTWAIT, MSG_NOSIGNAL, SCM_RIGHTS, SOL_SOCKET } from "./constants.ts";
import type { Libc } from "./libc.ts";

/** `struct cmsghdr`: its length in 64 bits, then level and type. */
const CONTROL_HEADER_BYTES = 16;
/** Descriptors of one message: SCM_MAX_FD. */
const MOST = 253;
const CONTROL_BYTES = CONTROL_HEADER_BYTES + 4 * MOST + 4;
/** Bytes of one read. */
const READ_BYTES = 256 * 1024;

/** What one read of a Unix socket gave. The bytes are lent until the next read. */
export interface ReceivedBytes {
  readonly bytes: Uint8Array;
  /** Descriptors that came beside the first byte. The caller owns them. */
  readonly descriptors: readonly number[];
  /** Descriptors are missing: this process has no room for more. */
  readonly truncated: boolean;
}

/**
 * Sends and receives bytes with descriptors beside them, over a Unix stream
 * socket (unix(7), SCM_RIGHTS). One read never goes beyond the bytes of the
 * message that its descriptors came with.
 *
 * `struct msghdr` holds addresses, so the buffers belong to this object and live
 * as long as it does. glibc and musl lay it out alike on little-endian 64-bit
 * machines.
 */
export class DescriptorMessages {
  readonly #libc: Libc;
  readonly #control = new Uint8Array(CONTROL_BYTES);
  readonly #controlWords = new Int32Array(this.#control.buffer);
  readonly #controlLengths = new BigUint64Array(this.#control.buffer, 0, 2);
  readonly #memory = new Uint8Array(READ_BYTES);
  readonly #vector = new BigUint64Array(2);
  /** Name, its length, vector, its length, control, its length, flags. */
  readonly #header = new BigUint64Array(7);

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  /** Sends some of `bytes`, which are not empty. The descriptors go with the first of them. Returns how many bytes were sent, or a negated error number. */
  send(fd: number, bytes: Uint8Array, descriptors: readonly number[]): number {
    const some = bytes.subarray(0, READ_BYTES);
    this.#memory.set(some);
    const length = CONTROL_HEADER_BYTES + 4 * descriptors.length;
    if (descriptors.length > 0) {
      this.#controlLengths[0] = BigInt(length);
      this.#controlWords.set([SOL_SOCKET, SCM_RIGHTS, ...descriptors], 2);
    }
    this.#prepare(some.length, descriptors.length === 0 ? 0 : Math.ceil(length / 8) * 8);
    return this.#libc.sendMessage(fd, this.#header, MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  /** Reads what is there; without bytes, 0 at the end, or a negated error number. */
  receive(fd: number): ReceivedBytes | number {
    this.#prepare(READ_BYTES, CONTROL_BYTES);
    const count = this.#libc.receiveMessage(fd, this.#header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (count <= 0) return count;
    const flags = Number(BigInt.asIntN(32, this.#header[6] ?? 0n));
    return {
      bytes: this.#memory.subarray(0, count),
      descriptors: this.#readDescriptors(),
      truncated: (flags & MSG_CTRUNC) !== 0,
    };
  }

  #prepare(bytes: number, controlBytes: number): void {
    this.#vector[0] = BigInt(ptr(this.#memory));
    this.#vector[1] = BigInt(bytes);
    this.#header.fill(0n);
    this.#header[2] = BigInt(ptr(this.#vector));
    this.#header[3] = 1n;
    if (controlBytes === 0) return;
    this.#header[4] = BigInt(ptr(this.#control));
    this.#header[5] = BigInt(controlBytes);
  }

  /** The kernel writes all descriptors of a message into one control message. */
  #readDescriptors(): number[] {
    if (Number(this.#header[5]) < CONTROL_HEADER_BYTES) return [];
    if (this.#controlWords[2] !== SOL_SOCKET || this.#controlWords[3] !== SCM_RIGHTS) return [];
    const count = Math.floor((Number(this.#controlLengths[0]) - CONTROL_HEADER_BYTES) / 4);
    return [...this.#controlWords.subarray(4, 4 + count)];
  }
}
