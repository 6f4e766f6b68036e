import { containsIp } from "../../address/cidr.ts";
import type { Ip } from "../../address/ip.ts";
import { fail, type Outcome, succeed } from "../failure.ts";
import type { Runtime } from "../runtime.ts";

/** Seconds after which a client that met a limit may sensibly try again. */
const RETRY_AFTER_SECONDS = 5;

/**
 * Counts the connections under way: in all, per client address, per user. Every
 * slot that is taken is given back exactly once, by the function that came with it.
 */
export class Admission {
  #connections = 0;
  readonly #perClient = new Map<string, number>();
  readonly #perUser = new Map<string, number>();

  #whenEmpty: (() => void)[] = [];

  /** Resolves once no connection holds a slot. */
  untilEmpty(): Promise<void> {
    if (this.#connections === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenEmpty.push(resolve);
    });
  }

  /** Client connections that hold a slot. */
  get connections(): number {
    return this.#connections;
  }

  /** Takes a slot for a new connection, unless the client may not connect or a limit is met. */
  admitClient(client: Ip, runtime: Runtime): Outcome<() => void> {
    const { limits, clients } = runtime;
    if (clients !== undefined && !clients.some((cidr) => containsIp(cidr, client))) {
      return fail("client_not_admitted");
    }
    if (this.#connections >= limits.connections) {
      return fail("too_many_connections", { note: "in all", retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
    const leaveClient = takeSlot(this.#perClient, client.text, limits.connectionsPerClient);
    if (leaveClient === undefined) {
      return fail("too_many_connections", { note: "from this address", retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
    this.#connections += 1;
    return succeed(() => {
      this.#connections -= 1;
      leaveClient();
      if (this.#connections === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
    });
  }

  /** Takes a slot for an authenticated user. */
  admitUser(user: string | undefined, runtime: Runtime): Outcome<() => void> {
    if (user === undefined) return succeed(doNothing);
    const leave = takeSlot(this.#perUser, user, runtime.limits.connectionsPerUser);
    if (leave === undefined) {
      return fail("too_many_connections", { note: "for this user", retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
    return succeed(leave);
  }
}

/** Counts one more under `key`; undefined when `limit` (0 for none) is reached. Keys with no one left are forgotten. */
function takeSlot(counts: Map<string, number>, key: string, limit: number): (() => void) | undefined {
  if (limit === 0) return doNothing;
  const count = counts.get(key) ?? 0;
  if (count >= limit) return undefined;
  counts.set(key, count + 1);
  return () => {
    const left = (counts.get(key) ?? 1) - 1;
    if (left > 0) counts.set(key, left);
    else counts.delete(key);
  };
}

function doNothing(): void {}
