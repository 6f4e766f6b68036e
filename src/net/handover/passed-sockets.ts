import { parseIp } from "../../address/ip.ts";
import type { OfferedSocket } from "../../protocol/handover/message.ts";
import { type Libc, openLibc } from "../libc/libc.ts";

interface Passed {
  readonly socket: OfferedSocket;
  readonly fd: number;
  taken: boolean;
}

/**
 * Listening sockets that wait for a listener to take them: in a successor those of
 * the process before it, in that process duplicates of its own, should it have to
 * go on. Clients that connect meanwhile wait in the kernel.
 */
export class PassedSockets {
  #sockets: Passed[] = [];

  /** Puts sockets there, and owns their descriptors. */
  fill(sockets: readonly OfferedSocket[], descriptors: readonly number[]): void {
    this.closeRest();
    this.#sockets = sockets.map((socket, at) => ({ socket, fd: descriptors[at] ?? -1, taken: false }));
  }

  /** The places of those that were taken. */
  get taken(): readonly number[] {
    return this.#sockets.flatMap(({ taken }, at) => (taken ? [at] : []));
  }

  /** Gives away the socket of that address; undefined when there is none. A configuration may name the port that the system chose before. */
  take(kind: "listener" | "sidecar", host: string, port: number): number | undefined {
    const waiting = this.#sockets.filter((each) => !each.taken && isAt(each.socket, host));
    const found =
      waiting.find(({ socket }) => "port" in socket && socket.port === port && (port !== 0 || socket.kind === kind)) ??
      waiting.find(({ socket }) => "bound" in socket && port !== 0 && socket.bound === port);
    return found && give(found);
  }

  /** The same for the Unix socket at that path. */
  takeUnix(path: string): number | undefined {
    const found = this.#sockets.find(({ taken, socket }) => !taken && socket.kind === "unix" && socket.path === path);
    return found && give(found);
  }

  /** The sockets of the service manager, which are given away, too. */
  takeActivated(): readonly { readonly name: string; readonly fd: number }[] {
    return this.#sockets.flatMap((each) =>
      each.socket.kind === "activated" ? [{ name: each.socket.name, fd: give(each) }] : [],
    );
  }

  /** Closes those that nobody took. */
  closeRest(libc: Libc | undefined = openLibc()): void {
    for (const each of this.#sockets) {
      if (!each.taken) libc?.close(each.fd);
    }
    this.#sockets = [];
  }
}

function give(passed: Passed): number {
  passed.taken = true;
  return passed.fd;
}

function isAt(socket: OfferedSocket, host: string): boolean {
  return "host" in socket && canonical(socket.host) === canonical(host);
}

function canonical(host: string): string {
  return parseIp(host)?.text ?? host;
}
