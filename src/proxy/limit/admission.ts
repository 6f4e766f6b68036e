import type { Ip } from "../../address/ip.ts";
import type { Descriptors } from "../../net/conn/descriptors.ts";
import type { Failure } from "../failure.ts";
import type { Runtime } from "../runtime.ts";
import { CountTable } from "./count-table.ts";
import { describeClient, IN_ALL, refuseFor } from "./describe-limit.ts";
import { findUserShare } from "./limits.ts";
import { type Holder, Lingering } from "../read/lingering.ts";
import { UnreadReplies } from "../read/unread-replies.ts";
import { clientKey } from "../../address/client-key.ts";

const OUT_OF_DESCRIPTORS: Failure = { detail: "out_of_resources", note: "EMFILE" };

/**
 * The connection slots: in all, per client, per user. Every slot that is taken is
 * given back exactly once. When none is free, the oldest lingering connection that
 * holds such a slot is closed.
 */
export class Admission {
  /** Connections that have got their last response and are not closed yet. */
  readonly lingering: Lingering;
  /** For those that are not admitted. */
  readonly unreadReplies: UnreadReplies;
  readonly #descriptors: Descriptors;
  #connections = 0;
  /** Connections of each client and of each user. */
  readonly clientCounts = new CountTable();
  readonly userCounts = new CountTable();

  #whenEmpty: (() => void)[] = [];

  constructor(descriptors: Descriptors) {
    this.#descriptors = descriptors;
    this.lingering = new Lingering(this, descriptors);
    this.unreadReplies = new UnreadReplies(this, descriptors);
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
    if (limits.perClient.connections > 0) this.clientCounts.add(clientKey(client, limits.clientPrefix));
    if (user !== undefined && findUserShare(limits, user).connections > 0) this.userCounts.add(user);
  }

  /** Gives back what `admitClient` took with the same arguments. */
  leaveClient(client: Ip, { limits }: Runtime): void {
    this.#connections -= 1;
    if (limits.perClient.connections > 0) this.clientCounts.giveBack(clientKey(client, limits.clientPrefix));
    if (this.#connections === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  /** Takes a slot for an authenticated user, or says why there is none. */
  admitUser(user: string | undefined, { limits }: Runtime): Failure | undefined {
    if (user === undefined) return undefined;
    const { connections } = findUserShare(limits, user);
    if (connections === 0) return undefined;
    while (!this.userCounts.hasRoom(user, connections)) {
      const failure = refuseFor("perUser.connections", "for this user");
      if (!this.#makeRoom(failure, (holder) => holder.user === user)) return failure;
    }
    this.userCounts.add(user);
    return undefined;
  }

  /** Gives back what `admitUser` took with the same arguments. */
  leaveUser(user: string | undefined, { limits }: Runtime): void {
    if (user !== undefined && findUserShare(limits, user).connections > 0) this.userCounts.giveBack(user);
  }

  /** Takes a slot when the client may connect and one is free. */
  #takeClient(client: Ip, { limits, clients }: Runtime): Failure | undefined {
    if (clients !== undefined && !clients.has(client)) return { detail: "client_not_admitted" };
    if (this.#connections >= limits.inAll.connections) return refuseFor("connections", IN_ALL);
    // Each connection needs a second descriptor later, for its target.
    if (!this.#descriptors.allowsConnections(this.#connections + 1)) return OUT_OF_DESCRIPTORS;
    if (limits.perClient.connections > 0) {
      const key = clientKey(client, limits.clientPrefix);
      if (!this.clientCounts.hasRoom(key, limits.perClient.connections))
        return refuseFor("perClient.connections", describeClient(client, key));
      this.clientCounts.add(key);
    }
    this.#connections += 1;
    return undefined;
  }

  /** Closes the oldest lingering connection that holds such a slot. False when there is none. */
  #makeRoom({ detail, limit }: Failure, sharesSlot: (holder: Holder) => boolean): boolean {
    if (detail !== "too_many_connections" && detail !== "out_of_resources") return false;
    const isGeneral = detail === "out_of_resources" || limit === "connections";
    return this.lingering.giveUpOldest(isGeneral ? () => true : sharesSlot);
  }
}

/** Whether a lingering connection counts for the same client. */
function sharesClient(client: Ip, { limits: { clientPrefix } }: Runtime): (holder: Holder) => boolean {
  return (holder) => clientKey(holder.client, clientPrefix) === clientKey(client, clientPrefix);
}
