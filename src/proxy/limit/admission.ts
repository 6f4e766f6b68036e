import type { Ip } from "../../address/ip.ts";
import type { Descriptors } from "../../net/conn/descriptors.ts";
import type { Failure } from "../failure.ts";
import type { Runtime } from "../runtime.ts";
import { findUserShare } from "./limits.ts";
import { type Holder, Lingering } from "../read/lingering.ts";
import { clientKey } from "../../address/client-key.ts";

/** `Retry-After` for a client that met a limit. */
const RETRY_AFTER_SECONDS = 5;

const OUT_OF_DESCRIPTORS: Failure = { detail: "out_of_resources", note: "EMFILE" };

/** The note of a failure when the limit on all connections was met. */
const IN_ALL = "in all";

/**
 * The connection slots: in all, per client, per user. Every slot that is taken is
 * given back exactly once. When none is free, the oldest lingering connection that
 * holds such a slot is closed.
 */
export class Admission {
  /** Connections that have got their last response and are not closed yet. */
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
    // So few descriptors are left that no connection may begin that lasts.
    if (this.#descriptors.judge(fd) !== "enough") return OUT_OF_DESCRIPTORS;
    if (this.lingering.size > 0) this.lingering.yieldDescriptors(this.#connections + 1);
    for (;;) {
      const failure = this.#takeClient(client, runtime);
      if (failure === undefined || !this.#makeRoom(failure, sharesClient(client, runtime))) return failure;
    }
  }

  /** Takes the slots of a connection that was served elsewhere, whatever the limits are. */
  readmit(client: Ip, user: string | undefined, { limits }: Runtime): void {
    this.#connections += 1;
    if (limits.perClient.connections > 0) addSlot(this.#perClient, clientKey(client, limits.clientPrefix));
    if (user !== undefined && findUserShare(limits, user).connections > 0) addSlot(this.#perUser, user);
  }

  /** Gives back what `admitClient` took with the same arguments. */
  leaveClient(client: Ip, { limits }: Runtime): void {
    this.#connections -= 1;
    if (limits.perClient.connections > 0)
      giveSlot(this.#perClient, clientKey(client, limits.clientPrefix), limits.perClient.connections);
    if (this.#connections === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  /** Takes a slot for an authenticated user, or says why there is none. */
  admitUser(user: string | undefined, { limits }: Runtime): Failure | undefined {
    if (user === undefined) return undefined;
    while (!takeSlot(this.#perUser, user, findUserShare(limits, user).connections)) {
      const failure = refuseFor("for this user");
      if (!this.#makeRoom(failure, (holder) => holder.user === user)) return failure;
    }
    return undefined;
  }

  /** Gives back what `admitUser` took with the same arguments. */
  leaveUser(user: string | undefined, { limits }: Runtime): void {
    if (user !== undefined) giveSlot(this.#perUser, user, findUserShare(limits, user).connections);
  }

  /** Takes a slot when the client may connect and one is free. */
  #takeClient(client: Ip, { limits, clients }: Runtime): Failure | undefined {
    if (clients !== undefined && !clients.has(client)) return { detail: "client_not_admitted" };
    if (this.#connections >= limits.inAll.connections) return refuseFor(IN_ALL);
    // Each connection needs a second descriptor later, for its target.
    if (!this.#descriptors.allowsConnections(this.#connections + 1)) return OUT_OF_DESCRIPTORS;
    if (limits.perClient.connections > 0) {
      const key = clientKey(client, limits.clientPrefix);
      if (!takeSlot(this.#perClient, key, limits.perClient.connections)) return refuseFor(describeClient(client, key));
    }
    this.#connections += 1;
    return undefined;
  }

  /** Closes the oldest lingering connection that holds such a slot. False when there is none. */
  #makeRoom({ detail, note }: Failure, sharesSlot: (holder: Holder) => boolean): boolean {
    if (detail !== "too_many_connections" && detail !== "out_of_resources") return false;
    const isGeneral = detail === "out_of_resources" || note === IN_ALL;
    return this.lingering.giveUpOldest(isGeneral ? () => true : sharesSlot);
  }
}

/** Whether a lingering connection counts for the same client. */
function sharesClient(client: Ip, { limits: { clientPrefix } }: Runtime): (holder: Holder) => boolean {
  return (holder) => clientKey(holder.client, clientPrefix) === clientKey(client, clientPrefix);
}

/** Names the client that met its limit: an address, or a network that counts as one client. */
function describeClient({ text }: Ip, key: string): string {
  return key === text ? "from this address" : `from ${key}, which counts as one client`;
}

function refuseFor(note: string): Failure {
  return { detail: "too_many_connections", note, retryAfterSeconds: RETRY_AFTER_SECONDS };
}

/** Counts one more under `key`; false when `limit` (0 for none) is reached. */
function takeSlot(counts: Map<string, number>, key: string, limit: number): boolean {
  if (limit === 0) return true;
  if ((counts.get(key) ?? 0) >= limit) return false;
  addSlot(counts, key);
  return true;
}

function addSlot(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** Counts one less, and deletes a key at zero. Without a limit nothing was counted. */
function giveSlot(counts: Map<string, number>, key: string, limit: number): void {
  if (limit === 0) return;
  const left = (counts.get(key) ?? 1) - 1;
  if (left > 0) counts.set(key, left);
  else counts.delete(key);
}
