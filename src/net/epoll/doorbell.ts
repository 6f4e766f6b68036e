import { adoptDescriptor } from "../runtime/move-to-runtime.ts";
import { duplicateDescriptor } from "../libc/socket.ts";
import type { Libc } from "../libc/libc.ts";

/**
 * Lets the runtime's own loop wait for an epoll descriptor. The runtime knows only
 * sockets, and takes a duplicate of the descriptor for one: as soon as there are
 * events, reading from it fails with ENOTSOCK, and the runtime closes the
 * duplicate and says so. So it rings once each time that it is hung up.
 */
export class Doorbell {
  readonly #libc: Libc;
  readonly #ring: () => void;
  #socket: Bun.Socket | undefined;

  constructor(libc: Libc, ring: () => void) {
    this.#libc = libc;
    this.#ring = ring;
  }

  get isHung(): boolean {
    return this.#socket !== undefined;
  }

  /** Waits for events of `epollFd`. False when the runtime does not take it, or no descriptor is left. */
  hang(epollFd: number): boolean {
    const fd = duplicateDescriptor(this.#libc, epollFd);
    if (fd < 0) return false;
    let socket: Bun.Socket | undefined;
    const adopted = adoptDescriptor({
      fd,
      socket: {
        open: (opened) => void (socket = opened),
        data() {},
        close: (closed) => {
          if (closed !== this.#socket) return;
          this.#socket = undefined;
          this.#ring();
        },
      },
    });
    // When it fails, it is not open.
    adopted.catch(() => {});
    if (socket === undefined) this.#libc.close(fd);
    this.#socket = socket;
    return socket !== undefined;
  }

  /** Waits no longer. */
  takeDown(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }
}
