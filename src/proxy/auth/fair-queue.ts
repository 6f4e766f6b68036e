import { Deadlines, type Expiring } from "../../net/conn/deadlines.ts";

/** For whom a job is done. */
export interface JobOwner {
  /** The client that the job counts for. */
  readonly client: string;
  /** The wider network of the client: who has many addresses usually has them in few networks. */
  readonly network: string;
  /** Whether the client has shown a right password lately: such jobs and all others take turns. */
  readonly trusted: boolean;
  /** Whether nobody waits for the result any more. */
  isGone(): boolean;
  /** Takes what is called when that may have changed; called once, for a job that waits. */
  watchGone(look: () => void): void;
}

/** Why a job was not done: there are too many, or nobody waits for it any more. */
export type NotDone = "busy" | "gone";

export interface FairQueueLimits {
  /** Jobs at once. */
  readonly running: number;
  /** Jobs that wait, of all clients together, and of one client. */
  readonly waiting: number;
  readonly waitingPerClient: number;
  /** Milliseconds for which a job waits. */
  readonly waitMs: number;
}

/**
 * Runs jobs for clients, at most so many at once. It serves waiting jobs a
 * network at a time, and in it a client at a time: a client with many jobs delays
 * its own, and many clients of one network delay each other. A client gets
 * another place only while it has fewer than three times as many as are free:
 * alone it takes three quarters, and the next one always finds a place.
 *
 * When too many jobs wait, it refuses one of the network with the most of them,
 * and in it of the client with the most.
 */
export class FairQueue {
  readonly #limits: FairQueueLimits;
  /** In the order in which they came. */
  readonly #waiting = new Set<Job>();
  readonly #clients = new Map<string, Share>();
  readonly #networks = new Map<string, Share>();
  readonly #deadlines = new Deadlines();
  #running = 0;
  #turn = 0;
  #trustedNext = true;

  constructor(limits: FairQueueLimits) {
    this.#limits = limits;
  }

  /** Jobs that wait for their turn. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Gives what the job gives, or why it was not done. Rejects only when the job does. */
  run<T>(owner: JobOwner, work: () => Promise<T>): Promise<T | NotDone> {
    return new Promise((resolve, reject) => {
      const job: Job = {
        owner,
        client: findShare(this.#clients, owner.client, () => this.#turn),
        network: findShare(this.#networks, owner.network, () => this.#findLongestAgo()),
        deadline: 0,
        start: () =>
          void work()
            .then(resolve, reject)
            .finally(() => this.#finish(job)),
        refuse: (why) => this.#leave(job) && resolve(why),
        expire: () => job.refuse("busy"),
      };
      job.client.waiting += 1;
      job.network.waiting += 1;
      this.#waiting.add(job);
      this.#startNext();
      if (this.#waiting.has(job)) this.#keepWaiting(job);
    });
  }

  #keepWaiting(job: Job): void {
    const { owner } = job;
    job.deadline = this.#deadlines.start(job, this.#limits.waitMs);
    owner.watchGone(() => owner.isGone() && job.refuse("gone"));
    if (!this.#isOverfull(job)) return;
    this.#refuseGone();
    if (!this.#isOverfull(job)) return;
    if (job.client.waiting > this.#limits.waitingPerClient) job.refuse("busy");
    else this.#findBusiest(job).refuse("busy");
  }

  #isOverfull({ client }: Job): boolean {
    return this.#waiting.size > this.#limits.waiting || client.waiting > this.#limits.waitingPerClient;
  }

  #refuseGone(): void {
    for (const job of this.#waiting) if (job.owner.isGone()) job.refuse("gone");
  }

  #startNext(): void {
    while (this.#running < this.#limits.running) {
      const next = this.#choose(this.#trustedNext) ?? this.#choose(!this.#trustedNext);
      if (next === undefined) return;
      this.#trustedNext = !this.#trustedNext;
      this.#turn += 1;
      for (const share of [next.client, next.network]) {
        share.running += 1;
        share.servedAt = this.#turn;
      }
      this.#running += 1;
      this.#leave(next);
      next.start();
    }
  }

  /** The job whose turn it is: of the network that was not served for longest, and in it of the client with the fewest running jobs. */
  #choose(trusted: boolean): Job | undefined {
    const tooMany = 3 * (this.#limits.running - this.#running);
    let chosen: Job | undefined;
    for (const job of this.#waiting) {
      if (job.owner.trusted !== trusted || job.client.running >= tooMany) continue;
      if (job.owner.isGone()) job.refuse("gone");
      else if (chosen === undefined || compareTurns(job, chosen) < 0) chosen = job;
    }
    return chosen;
  }

  /** The job that makes room for `newest`. Of equals the last one; but none makes room for an equal that came after it. */
  #findBusiest(newest: Job): Job {
    let found = newest;
    for (const job of this.#waiting) {
      const order = compareLoads(job, found);
      if (order > 0 || (order === 0 && found !== newest)) found = job;
    }
    return found;
  }

  #finish(job: Job): void {
    this.#running -= 1;
    job.client.running -= 1;
    job.network.running -= 1;
    this.#forgetShares(job);
    this.#startNext();
  }

  /** Takes a job out of those that wait. False when it was none of them. */
  #leave(job: Job): boolean {
    if (!this.#waiting.delete(job)) return false;
    this.#deadlines.stop(job, job.deadline);
    job.client.waiting -= 1;
    job.network.waiting -= 1;
    this.#forgetShares(job);
    return true;
  }

  /** A new network has its turn with those that wait longest, and not before them. */
  #findLongestAgo(): number {
    let longestAgo = this.#turn;
    for (const { waiting, servedAt } of this.#networks.values())
      if (waiting > 0) longestAgo = Math.min(longestAgo, servedAt);
    return longestAgo;
  }

  #forgetShares({ owner, client, network }: Job): void {
    if (client.waiting + client.running === 0) this.#clients.delete(owner.client);
    if (network.waiting + network.running === 0) this.#networks.delete(owner.network);
  }
}

/** What a client or a network has of a queue. */
interface Share {
  waiting: number;
  running: number;
  /** The turn in which one of its jobs began last. */
  servedAt: number;
}

function findShare(shares: Map<string, Share>, key: string, findServedAt: () => number): Share {
  let share = shares.get(key);
  if (share === undefined) {
    share = { waiting: 0, running: 0, servedAt: findServedAt() };
    shares.set(key, share);
  }
  return share;
}

interface Job extends Expiring {
  readonly owner: JobOwner;
  readonly client: Share;
  readonly network: Share;
  deadline: number;
  readonly start: () => void;
  readonly refuse: (why: NotDone) => void;
}

/** Negative when the first one comes first. */
function compareTurns(one: Job, other: Job): number {
  return (
    one.network.servedAt - other.network.servedAt ||
    one.client.running - other.client.running ||
    one.client.servedAt - other.client.servedAt
  );
}

/** Positive when the first one makes room before the second: rather one that is not trusted. */
function compareLoads(one: Job, other: Job): number {
  return (
    one.network.waiting - other.network.waiting ||
    one.client.waiting - other.client.waiting ||
    Number(other.owner.trusted) - Number(one.owner.trusted)
  );
}
