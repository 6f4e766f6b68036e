import { AF_UNIX, CLOCK_MONOTONIC, MSG_NOSIGNAL, O_CLOEXEC, O_NONBLOCK, SOCK_DGRAM } from "./libc/constants.ts";
import { EAGAIN, nameErrno } from "./libc/errno.ts";
import { type Libc, openLibc } from "./libc/libc.ts";

/** Bytes of `sun_path` in `struct sockaddr_un` (unix(7)). */
const PATH_BYTES = 108;
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

  /** The service accepts connections. */
  ready(status: string): void {
    this.send({ READY: "1", STATUS: status });
  }

  /** The service reads its configuration again; `ready` follows, also after a failure. */
  reloading(): void {
    this.send({
      RELOADING: "1",
      MONOTONIC_USEC: readMonotonicUsec(this.#libc),
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

/** `struct sockaddr_un` of a path or an abstract name; undefined for anything else. */
function encodeUnixAddress(text: string): Uint8Array | undefined {
  const name = Buffer.from(text, "utf8");
  const isAbstract = text.startsWith("@");
  if ((!isAbstract && !text.startsWith("/")) || name.length < 2 || name.includes(0)) return undefined;
  // A path ends with a NUL; an abstract name begins with one and ends with the address.
  if (name.length > (isAbstract ? PATH_BYTES : PATH_BYTES - 1)) return undefined;
  const address = new Uint8Array(2 + name.length + (isAbstract ? 0 : 1));
  address[0] = AF_UNIX;
  address.set(name, 2);
  if (isAbstract) address[2] = 0;
  return address;
}

/** Microseconds of CLOCK_MONOTONIC; the clocks of the runtime begin with the process. */
function readMonotonicUsec(libc: Libc): string {
  const time = new BigInt64Array(2);
  libc.getTime(CLOCK_MONOTONIC, time);
  return String((time[0] ?? 0n) * 1_000_000n + (time[1] ?? 0n) / 1000n);
}
