import { cutText } from "../../../escape-text.ts";
import type { HookReport } from "../../hook/call-hook.ts";
import type { PoolEvent } from "../../upstream/pool.ts";
import type { EventStream } from "./event-stream.ts";
import { FewPerSecond } from "./few-per-second.ts";

/** Events of one kind in a second at most: a large pool that loses its network does not push all else out of the ring. */
const PER_SECOND = 20;

/** Makes events of what changes in the proxy itself. What was left out in between is counted in `not_told`. */
export class StateEvents {
  readonly #stream: EventStream;
  readonly #clock: () => number;
  readonly #pools = new FewPerSecond(PER_SECOND);
  readonly #hooks = new FewPerSecond(PER_SECOND);

  /** `clock` is monotonic, in milliseconds. */
  constructor(stream: EventStream, clock = () => performance.now()) {
    this.#stream = stream;
    this.#clock = clock;
  }

  /** The health of a member of a pool changed, or a session moved. */
  upstream(event: PoolEvent): void {
    if (!this.#pools.allows(this.#clock())) return;
    this.#stream.publish("upstream", { ...describeChange(event), not_told: this.#pools.takeLeftOut() });
  }

  /** A function of the configuration failed. */
  hook({ hook, fault }: HookReport): void {
    if (!this.#hooks.allows(this.#clock())) return;
    this.#stream.publish("hook_failed", {
      hook: cutText(hook, 100),
      why: fault.why,
      not_told: this.#hooks.takeLeftOut(),
    });
  }
}

function describeChange(event: PoolEvent): Readonly<Record<string, unknown>> {
  if (event.kind === "moved") {
    const { pool, from, to } = event;
    return { change: "session_moved", upstream: pool, from, to };
  }
  const { pool, member, state, reason, failures, forMs } = event;
  return { change: "health", upstream: pool, member, state, reason, failures, for_ms: forMs };
}
