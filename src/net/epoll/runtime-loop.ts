import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { adoptDescriptor } from "../runtime/move-to-runtime.ts";
import { EPOLLIN } from "../libc/constants.ts";
import type { Epoll } from "./epoll.ts";
import type { Libc } from "../libc/libc.ts";
import { openSocketPair } from "../libc/socket.ts";

/** Milliseconds for the runtime's loop to report a byte that is there already. */
const patienceMs = 1_000;

/**
 * Makes `epoll` report, under `token`, that the runtime's own event loop has
 * something to do on this thread. An epoll descriptor can be watched like any
 * other (epoll(7)). `/proc` shows which one is the runtime's: it watches a
 * socket that was given to the runtime just now. A byte sent to that socket
 * proves that it works. Returns that descriptor; undefined when any of this fails.
 */
export function watchRuntimeLoop(libc: Libc, epoll: Epoll, token: number): number | undefined {
  const pair = openSocketPair(libc);
  if (pair === undefined) return undefined;
  const [ours, theirs] = pair;
  let socket: Bun.Socket | undefined;
  const adopted = adoptDescriptor({ fd: theirs, socket: { open: (opened) => void (socket = opened), data() {} } });
  // When it fails, the test below fails too.
  adopted.catch(() => {});
  try {
    const loopFd = findEpollOf(theirs);
    if (loopFd === undefined || epoll.add(loopFd, EPOLLIN, token, 0) < 0) return undefined;
    libc.write(ours, Uint8Array.of(1), 1);
    if (epoll.wait(patienceMs) === 1 && epoll.tokenAt(0) === token) return loopFd;
    epoll.remove(loopFd);
    return undefined;
  } finally {
    if (socket === undefined) libc.close(theirs);
    else socket.close();
    libc.close(ours);
  }
}

/** Finds the epoll descriptor of this process that watches `fd`. */
function findEpollOf(fd: number): number | undefined {
  try {
    const watches = new RegExp(`^tfd: +${fd} `, "m");
    const found = readdirSync("/proc/self/fd").find(
      (name) =>
        readLink(`/proc/self/fd/${name}`) === "anon_inode:[eventpoll]" &&
        watches.test(readFileSync(`/proc/self/fdinfo/${name}`, "latin1")),
    );
    return found === undefined ? undefined : Number(found);
  } catch {
    // There is no /proc here.
    return undefined;
  }
}

/** Undefined for the descriptor that the list itself was read with: it is closed by now. */
function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
