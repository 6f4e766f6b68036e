import type { Ip } from "../../address/ip.ts";
import type { Descriptors } from "../../net/conn/descriptors.ts";
import type { Failure } from "../failure.ts";
import type { Runtime } from "../runtime.ts";
import { type Holder, Lingering } from "../read/lingering.ts";
import { clientKey } from "../../address/client-key.ts";

/** Seconds after which a client that met a limit may sensibly try again. */
const RETRY_AFTER_SECONDS = 5;

const OUT_OF_DESCRIPTORS: Failure = { detail: "out_of_resources", note: "EMFILE" };

/** What a failure notes when the limit on all connections was met, and not one of a client or a user. */
const IN_ALL = "in all";

/**
 * The connection slots: in all, per client, per user. Every slot that is taken is
 * given back exactly once. Where none is free, a connection that only lingers
 * gives up its own.
 */
export class Admission {
  /** Connections of clients that have got their last response. */
  readonly lingering: Lingering;
  readonly #descriptors: Descriptors;
  #connections = 0;
  readonly #perClient = new Map<string, number>();
  readonly #perUser = new Map<string, number>();

  #whenEmpty: (() => void)[] = [];

  constructor(descriptors: Descriptors) {
    this.#descriptors = descriptors;
    this.lingering = new Lingering(this, descriptors);
  }

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

  /** Takes a slot for a new connection, whose descriptor is `fd`; or says why not. */
  admitClient(client: Ip, runtime: Runtime, fd: number): Failure | undefined {
    // The process is too near its limit of open files for a connection that lasts.
    if (this.#descriptors.judge(fd) !== "enough") return OUT_OF_DESCRIPTORS;
    if (this.lingering.size > 0) this.lingering.yieldDescriptors(this.#connections + 1);
    for (;;) {
      const failure = this.#takeClient(client, runtime);
      if (failure === undefined || !this.#makeRoom(failure, sharesClient(client, runtime))) return failure;
    }
  }

  /** Gives back what `admitClient` took with the same arguments. */
  leaveClient(client: Ip, { limits }: Runtime): void {
    this.#connections -= 1;
    if (limits.connectionsPerClient > 0)
      giveSlot(this.#perClient, clientKey(client, limits.clientPrefix), limits.connectionsPerClient);
    if (this.#connections === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  /** Takes a slot for an authenticated user, or says why there is none. */
  admitUser(user: string | undefined, { limits }: Runtime): Failure | undefined {
    if (user === undefined) return undefined;
    while (!takeSlot(this.#perUser, user, limits.connectionsPerUser)) {
      const failure = refuseFor("for this user");
      if (!this.#makeRoom(failure, (holder) => holder.user === user)) return failure;
    }
    return undefined;
  }

  /** Gives back what `admitUser` took with the same arguments. */
  leaveUser(user: string | undefined, { limits }: Runtime): void {
    if (user !== undefined) giveSlot(this.#perUser, user, limits.connectionsPerUser);
  }

  /** Takes a slot if one is free: the client may not connect, or a limit is met, when not. */
  #takeClient(client: Ip, { limits, clients }: Runtime): Failure | undefined {
    if (clients !== undefined && !clients.has(client)) return { detail: "client_not_admitted" };
    if (this.#connections >= limits.connections) return refuseFor(IN_ALL);
    // A client that is let in shall not find that those after it took the descriptors for its target.
    if (!this.#descriptors.allowsConnections(this.#connections + 1)) return OUT_OF_DESCRIPTORS;
    if (limits.connectionsPerClient > 0) {
      const key = clientKey(client, limits.clientPrefix);
      if (!takeSlot(this.#perClient, key, limits.connectionsPerClient)) return refuseFor(describeClient(client, key));
    }
    this.#connections += 1;
    return undefined;
  }

  /** Closes the oldest connection that only lingers and holds what is wanted. False when there is none. */
  #makeRoom({ detail, note }: Failure, sharesSlot: (holder: Holder) => boolean): boolean {
    if (detail !== "too_many_connections" && detail !== "out_of_resources") return false;
    const isGeneral = detail === "out_of_resources" || note === IN_ALL;
    return this.lingering.giveUpOldest(isGeneral ? () => true : sharesSlot);
  }
}

/** Whether a connection that lingers counts for the same client. */
function sharesClient(client: Ip, { limits: { clientPrefix } }: Runtime): (holder: Holder) => boolean {
  return (holder) => clientKey(holder.client, clientPrefix) === clientKey(client, clientPrefix);
}

/** Says for whom a limit holds: an address, or the network that counts as one client. */
function describeClient({ text }: Ip, key: string): string {
  return key === text ? "from this address" : `from ${key}, which counts as one client`;
}

function refuseFor(note: string): Failure {
  return { detail: "too_many_connections", note, retryAfterSeconds: RETRY_AFTER_SECONDS };
}

/** Counts one more under `key`; false when `limit` (0 for none) is reached. */
function takeSlot(counts: Map<string, number>, key: string, limit: number): boolean {
  if (limit === 0) return true;
  const count = counts.get(key) ?? 0;
  if (count >= limit) return false;
  counts.set(key, count + 1);
  return true;
}

/** Counts one less. Keys with no one left are forgotten, and without a limit nobody was counted. */
function giveSlot(counts: Map<string, number>, key: string, limit: number): void {
  if (limit === 0) return;
  const left = (counts.get(key) ?? 1) - 1;
  if (left > 0) counts.set(key, left);
  else counts.delete(key);
}
