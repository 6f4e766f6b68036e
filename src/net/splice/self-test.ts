import { EPOLLIN, SPLICE_F_MOVE, SPLICE_F_NONBLOCK } from "../libc/constants.ts";
import { createEpoll, Epoll } from "../epoll/epoll.ts";
import { openLibc, type Libc } from "../libc/libc.ts";
import { PipePool, type Pipe } from "./pipe-pool.ts";
import { finishSocket, openSocketPair } from "../libc/socket.ts";

/** Whether this system can splice, and if not, why. */
export type SelfTestResult =
  | { readonly ok: true; /** The capacity of one pipe. */ readonly pipeBytes: number }
  | { readonly ok: false; readonly reason: string };

/** Milliseconds that the test waits for an event, which is due at once. */
const patienceMs = 1_000;
const token = 7;

/**
 * Does with socket pairs what a lane does with a tunnel: epoll, bytes through a
 * pipe, and the end of the stream. Takes less than a millisecond, leaves nothing
 * open, and never throws.
 */
export function runSelfTest(pipeBytes = 1_048_576): SelfTestResult {
  if (process.platform !== "linux") return { ok: false, reason: `The platform is ${process.platform}, not linux.` };
  const libc = openLibc();
  if (libc === undefined) return { ok: false, reason: "The C library cannot be opened." };
  const table = new Int32Array(2).fill(-1);
  const pool = new PipePool(libc, table, { maxPipes: 1, pipeBytes });
  const pipe = pool.acquire();
  if (pipe === undefined) return { ok: false, reason: "The kernel gives no pipe of a useful size." };
  const from = openSocketPair(libc);
  const to = openSocketPair(libc);
  const epollFd = createEpoll(libc);
  let reason: string | undefined = "The kernel gives no socket pair or no epoll descriptor.";
  if (from !== undefined && to !== undefined && epollFd >= 0) reason = carryBytes(libc, { epollFd, from, to, pipe });
  for (const fd of [...(from ?? []), ...(to ?? []), epollFd]) if (fd >= 0) libc.close(fd);
  pool.discard(pipe);
  return reason === undefined ? { ok: true, pipeBytes: pipe.bytes } : { ok: false, reason };
}

interface Bench {
  readonly epollFd: number;
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
  readonly pipe: Pipe;
}

/** Returns what failed; undefined for nothing. */
function carryBytes(libc: Libc, { epollFd, from, to, pipe }: Bench): string | undefined {
  const sent = Uint8Array.from({ length: 10_000 }, (_, index) => (index * 7) % 251);
  const received = new Uint8Array(sent.length + 1);
  const flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
  const epoll = new Epoll(libc, epollFd, 4);
  if (epoll.add(from[1], EPOLLIN, token, 0) < 0) return "epoll does not watch a socket.";
  if (libc.write(from[0], sent, sent.length) !== sent.length) return "A socket pair does not take 10 kB.";
  finishSocket(libc, from[0]);
  if (epoll.wait(patienceMs) !== 1 || epoll.tokenAt(0) !== token || (epoll.eventsAt(0) & EPOLLIN) === 0)
    return "epoll does not tell of readable bytes.";
  let moved = 0;
  while (moved < sent.length) {
    const taken = libc.splice(from[1], pipe.writeFd, pipe.bytes, flags);
    if (taken <= 0) return `splice from a socket to a pipe fails with ${taken}.`;
    const given = libc.splice(pipe.readFd, to[0], taken, flags);
    if (given !== taken) return `splice from a pipe to a socket gives ${given} of ${taken} bytes.`;
    moved += given;
  }
  if (libc.splice(from[1], pipe.writeFd, pipe.bytes, flags) !== 0) return "splice does not see the end of the stream.";
  finishSocket(libc, to[0]);
  const count = libc.read(to[1], received, received.length);
  if (count !== sent.length || !received.subarray(0, count).every((byte, index) => byte === sent[index]))
    return "The bytes that came out are not those that went in.";
  if (libc.read(to[1], received, received.length) !== 0) return "The end of the stream does not come out.";
  return undefined;
}
