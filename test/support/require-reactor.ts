import { Reactor } from "../../src/net/epoll/reactor.ts";

const opened: { reactor?: Reactor } = {};

/** Gives the event loop that all tests of a file share; tests run where there is one. */
export function requireReactor(): Reactor {
  return (opened.reactor ??= openReactor());
}

/** Opens an event loop for one test, which is to close it. */
export function openReactor(): Reactor {
  const reactor = Reactor.open();
  if (reactor === undefined) throw new Error("This system has no epoll that can be used, and these tests need it.");
  return reactor;
}
