import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { adoptDescriptor } from "../runtime/move-to-runtime.ts";
import { EPOLLIN } from "../libc/constants.ts";
import type { Epoll } from "./epoll.ts";
import type { Libc } from "../libc/libc.ts";
import { openSocketPair } from "../libc/socket.ts";

/** How long the runtime's loop may take to notice a byte that is there already: milliseconds. */
const patienceMs = 1_000;

/**
 * Has `epoll` tell under `token` whenever the runtime's own event loop has
 * something to do on this thread. An epoll descriptor can be watched like any
 * other (epoll(7)); which one is the runtime's is seen in `/proc`: it watches a
 * socket that was given to the runtime just now. Tried before it is relied on:
 * a byte is sent to that socket. False when any of this is not as it should be.
 */
export function watchRuntimeLoop(libc: Libc, epoll: Epoll, token: number): boolean {
  const pair = openSocketPair(libc);
  if (pair === undefined) return false;
  const [ours, theirs] = pair;
  let socket: Bun.Socket | undefined;
  const adopted = adoptDescriptor({ fd: theirs, socket: { open: (opened) => void (socket = opened), data() {} } });
  // Only an error that nobody can do anything about: the test below fails then.
  adopted.catch(() => {});
  try {
    const loopFd = findEpollOf(theirs);
    if (loopFd === undefined || epoll.add(loopFd, EPOLLIN, token, 0) < 0) return false;
    libc.write(ours, Uint8Array.of(1), 1);
    if (epoll.wait(patienceMs) === 1 && epoll.tokenAt(0) === token) return true;
    epoll.remove(loopFd);
    return false;
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

/** The list of descriptors includes the one that it is read with, which is gone by now. */
function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
