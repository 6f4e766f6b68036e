import { Deadlines } from "./deadlines.ts";
import { IdleWatch } from "./idle-watch.ts";
import { KeepAlive } from "./keep-alive.ts";

/** The timers that connections share. Whoever opens an event loop, a listener or a connection of its own makes them. */
export class LoopTimers {
  readonly deadlines = new Deadlines();
  readonly idle = new IdleWatch();
  readonly keepAlive = new KeepAlive();
}
