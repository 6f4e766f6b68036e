import type { Reactor } from "../epoll/reactor.ts";
import { EPOLLIN, EPOLLOUT } from "../libc/constants.ts";

/** Who is told of a descriptor. */
export interface Watching {
  /** There is something to read, or an end. */
  onReadable(): void;
  /** There is room to write, while that was asked for. */
  onWritable(): void;
}

export interface Watched {
  /** Asks for room to write, or no longer. */
  setWriting(writing: boolean): void;
  /** The descriptor lives on. */
  stop(): void;
}

/** Watches a descriptor of this process. */
export type Watch = (fd: number, watching: Watching) => Watched;

/** Milliseconds between two looks where no event loop of ours tells. */
const LOOK_MS = 5;

/** Watches with the event loop over epoll. */
export function watchWithReactor(reactor: Reactor): Watch {
  return (fd, watching) => {
    let writing = false;
    reactor.add(fd, EPOLLIN, {
      onEvent(events) {
        if ((events & EPOLLOUT) !== 0) watching.onWritable();
        if ((events & ~EPOLLOUT) !== 0) watching.onReadable();
      },
      onBug: () => reactor.remove(fd),
    });
    return {
      setWriting(wanted) {
        if (wanted === writing) return;
        writing = wanted;
        reactor.modify(fd, wanted ? EPOLLIN | EPOLLOUT : EPOLLIN);
      },
      stop: () => reactor.remove(fd),
    };
  };
}

/** Looks again and again: for the sockets of the runtime, which tell nothing of foreign descriptors. */
export const watchWithTimer: Watch = (_, watching) => {
  const timer = setInterval(() => {
    watching.onWritable();
    watching.onReadable();
  }, LOOK_MS);
  return { setWriting: () => {}, stop: () => clearInterval(timer) };
};
