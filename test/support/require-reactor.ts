import { Reactor } from "../../src/net/epoll/reactor.ts";

/** Gives the reactor of this thread; tests run where there is one. */
export function requireReactor(): Reactor {
  const reactor = Reactor.open();
  if (reactor === undefined) throw new Error("This system has no epoll that can be used, and these tests need it.");
  return reactor;
}
