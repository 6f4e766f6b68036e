import { AF_UNIX, MSG_NOSIGNAL, O_CLOEXEC, O_NONBLOCK, SOCK_DGRAM } from "./libc/constants.ts";
import { EAGAIN, nameErrno } from "./libc/errno.ts";
import { type Libc, openLibc } from "./libc/libc.ts";
import { encodeUnixAddress } from "./libc/socket-address.ts";
import { readMonotonicUsec } from "./libc/monotonic-clock.ts";

/** Milliseconds until the next try when the manager's queue is full. */
const RETRY_MS = 50;
/** Messages that wait for it. */
const MAX_WAITING = 64;

/** Reaches a service manager with the protocol of sd_notify(3). */
export class ServiceManager {
  readonly #libc: Libc;
  readonly #address: Uint8Array;
  readonly #whenLost: (code: string) => void;
  #waiting: Uint8Array[] = [];
  #told = false;

  private constructor(libc: Libc, address: Uint8Array, whenLost: (code: string) => void) {
    this.#libc = libc;
    this.#address = address;
    this.#whenLost = whenLost;
  }

  /**
   * `socket` is the value of `NOTIFY_SOCKET`: a path, or `@` and an abstract name.
   * `whenLost` is told once why messages do not arrive. Undefined when it is no
   * such address, and where there is no C library to call.
   */
  static open(socket: string, whenLost: (code: string) => void): ServiceManager | undefined {
    const libc = openLibc();
    const address = encodeUnixAddress(socket);
    return libc && address && new ServiceManager(libc, address, whenLost);
  }

  /** Sends one message, in order. Fields are lines, as in `READY=1`. */
  send(fields: Readonly<Record<string, string>>): void {
    // A line break would begin another field.
    const lines = Object.entries(fields).map(([name, value]) => `${name}=${value.replaceAll("\n", " ")}`);
    if (this.#waiting.length >= MAX_WAITING) return;
    this.#waiting.push(Buffer.from(lines.join("\n")));
    if (this.#waiting.length === 1) this.#flush();
  }

  /** The service reads its configuration again; `READY=1` follows, also after a failure. */
  reloading(): void {
    this.send({
      RELOADING: "1",
      MONOTONIC_USEC: String(readMonotonicUsec(this.#libc)),
      STATUS: "Reloading the configuration.",
    });
  }

  #flush(): void {
    for (let message = this.#waiting[0]; message !== undefined; message = this.#waiting[0]) {
      const result = this.#sendNow(message);
      if (result === -EAGAIN) {
        setTimeout(() => this.#flush(), RETRY_MS);
        return;
      }
      if (result < 0 && !this.#told) {
        this.#told = true;
        this.#whenLost(nameErrno(-result));
      }
      this.#waiting.shift();
    }
  }

  /** A socket for each message: a manager that was started again has another one behind the same name. */
  #sendNow(message: Uint8Array): number {
    const fd = this.#libc.socket(AF_UNIX, SOCK_DGRAM | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd < 0) return fd;
    const connected = this.#libc.connect(fd, this.#address);
    const result = connected < 0 ? connected : this.#libc.send(fd, message, message.length, MSG_NOSIGNAL);
    this.#libc.close(fd);
    return result;
  }
}
