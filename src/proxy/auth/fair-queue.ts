import { Deadlines, type Expiring } from "../../net/conn/deadlines.ts";

/** For whom a job is done. */
export interface JobOwner {
  /** The client that it counts for: each client has a queue of its own. */
  readonly client: string;
  /** The wider network of the client: whoever has many addresses has them in few networks, as a rule. */
  readonly network: string;
  /** Whether the client has shown a right password lately: such jobs and all others take turns. */
  readonly trusted: boolean;
  /** Whether nobody waits for the result any more. */
  isGone(): boolean;
  /** Takes what is to be called when that may have changed; called once, for a job that waits. */
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
 * Runs jobs for clients, at most so many at once. Those that wait are served a
 * network at a time, and in it a client at a time, so that a client with many
 * jobs delays its own, and many clients of one network each other. A client
 * gets another place only as long as it has fewer than three times as many as
 * are free: alone it takes three quarters, and the next one always finds a place.
 *
 * When too many jobs wait, the network with the most of them, and in it the
 * client, is told so.
 */
export class FairQueue {
  readonly #limits: FairQueueLimits;
  /** Waiting jobs by client, in the order in which clients have their turns. */
  readonly #trusted: Lane = new Map();
  readonly #others: Lane = new Map();
  /** Running jobs by client. */
  readonly #runningOf = new Map<string, number>();
  /** Networks of which jobs wait. */
  readonly #networks = new Map<string, Network>();
  readonly #deadlines = new Deadlines();
  #running = 0;
  #waiting = 0;
  #turn = 0;
  /** When the network was served before whose turn it was last. */
  #longestAgo = 0;
  #trustedNext = true;

  constructor(limits: FairQueueLimits) {
    this.#limits = limits;
  }

  /** Jobs that wait for their turn. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Gives what the job gives, or why it was not done. Rejects only when the job does. */
  run<T>(owner: JobOwner, job: () => Promise<T>): Promise<T | NotDone> {
    return new Promise((resolve, reject) => {
      const waiting = new WaitingJob(
        owner,
        () => {
          void job()
            .then(resolve, reject)
            .finally(() => this.#finished(owner.client));
        },
        (why) => {
          this.#remove(waiting);
          resolve(why);
        },
      );
      this.#add(waiting);
      this.#startNext();
      if (waiting.state === "waiting") {
        waiting.expireIn(this.#limits.waitMs, this.#deadlines);
        owner.watchGone(() => {
          if (owner.isGone()) waiting.refuse("gone");
        });
        this.#makeRoom(waiting);
      }
    });
  }

  /** Drops the jobs for which nobody waits any more. */
  #sweep(): void {
    for (const lane of [this.#trusted, this.#others])
      for (const jobs of lane.values())
        for (const job of jobs.filter(({ owner }) => owner.isGone())) job.refuse("gone");
  }

  #laneOf({ owner }: WaitingJob): Lane {
    return owner.trusted ? this.#trusted : this.#others;
  }

  #add(job: WaitingJob): void {
    const lane = this.#laneOf(job);
    const jobs = lane.get(job.owner.client);
    if (jobs === undefined) lane.set(job.owner.client, [job]);
    else jobs.push(job);
    this.#waiting += 1;
    const { network } = job.owner;
    const known = this.#networks.get(network);
    // One that is new has its turn with those that wait longest, and not before them.
    if (known === undefined) this.#networks.set(network, { waiting: 1, servedAt: this.#longestAgo });
    else known.waiting += 1;
  }

  #remove(job: WaitingJob): void {
    const lane = this.#laneOf(job);
    const jobs = lane.get(job.owner.client);
    const at = jobs?.indexOf(job) ?? -1;
    if (jobs === undefined || at < 0) return;
    jobs.splice(at, 1);
    if (jobs.length === 0) lane.delete(job.owner.client);
    this.#waiting -= 1;
    const network = this.#networks.get(job.owner.network);
    if (network !== undefined && --network.waiting === 0) this.#networks.delete(job.owner.network);
  }

  #startNext(): void {
    while (this.#running < this.#limits.running) {
      const [first, second] = this.#trustedNext ? [this.#trusted, this.#others] : [this.#others, this.#trusted];
      const next = this.#choose(first) ?? this.#choose(second);
      if (next === undefined) return;
      this.#trustedNext = !this.#trustedNext;
      const { client, network } = next.owner;
      this.#turn += 1;
      const served = this.#networks.get(network);
      if (served !== undefined) {
        this.#longestAgo = served.servedAt;
        served.servedAt = this.#turn;
      }
      this.#remove(next);
      this.#running += 1;
      this.#runningOf.set(client, (this.#runningOf.get(client) ?? 0) + 1);
      next.start();
    }
  }

  /**
   * The first job of the client whose turn it is: in the network that was not
   * served for longest, of the clients with the fewest jobs that run, the one
   * that waited longest.
   */
  #choose(lane: Lane): WaitingJob | undefined {
    let chosen: WaitingJob | undefined;
    let longestAgo = Number.POSITIVE_INFINITY;
    let fewest = 0;
    // Three times as many as are free are too many.
    const tooMany = 3 * (this.#limits.running - this.#running);
    for (const [client, jobs] of lane) {
      const running = this.#runningOf.get(client) ?? 0;
      if (running >= tooMany) continue;
      while (jobs[0]?.owner.isGone() === true) jobs[0].refuse("gone");
      const [job] = jobs;
      if (job === undefined) continue;
      const servedAt = this.#networks.get(job.owner.network)?.servedAt ?? 0;
      if (servedAt > longestAgo || (servedAt === longestAgo && running >= fewest)) continue;
      chosen = job;
      longestAgo = servedAt;
      fewest = running;
    }
    if (chosen === undefined) return undefined;
    // The next turn of this client comes after those of all others.
    const { client } = chosen.owner;
    const jobs = lane.get(client);
    lane.delete(client);
    if (jobs !== undefined) lane.set(client, jobs);
    return chosen;
  }

  #finished(client: string): void {
    this.#running -= 1;
    const left = (this.#runningOf.get(client) ?? 1) - 1;
    if (left > 0) this.#runningOf.set(client, left);
    else this.#runningOf.delete(client);
    this.#startNext();
  }

  #makeRoom(newest: WaitingJob): void {
    const { waiting, waitingPerClient } = this.#limits;
    const isFull = (): boolean => this.#waiting > waiting || this.#countWaiting(newest.owner.client) > waitingPerClient;
    if (!isFull()) return;
    this.#sweep();
    if (!isFull()) return;
    if (this.#countWaiting(newest.owner.client) > waitingPerClient) newest.refuse("busy");
    else this.#findBusiest(newest).refuse("busy");
  }

  #countWaiting(client: string): number {
    return (this.#trusted.get(client)?.length ?? 0) + (this.#others.get(client)?.length ?? 0);
  }

  /** The job that is given up when there is no room: the last one of the client with the most, in the network with the most. */
  #findBusiest(newest: WaitingJob): WaitingJob {
    let found = newest;
    for (const lane of [this.#others, this.#trusted])
      for (const jobs of lane.values()) {
        const last = jobs.at(-1);
        if (last === undefined) continue;
        // Of equals the one that came last; but nobody gives way to an equal that is the newest.
        const order = this.#compareLoad(last, found);
        if (order > 0 || (order === 0 && found !== newest)) found = last;
      }
    return found;
  }

  /** Positive when the first one is to give way before the second: rather one that is not trusted. */
  #compareLoad({ owner: one }: WaitingJob, { owner: other }: WaitingJob): number {
    const [mine, its] = [one, other].map(({ network }) => this.#networks.get(network)?.waiting ?? 0) as [
      number,
      number,
    ];
    if (mine !== its) return mine - its;
    const [own, their] = [this.#countWaiting(one.client), this.#countWaiting(other.client)];
    return own === their ? Number(other.trusted) - Number(one.trusted) : own - their;
  }
}

interface Network {
  waiting: number;
  /** The turn in which one of its jobs began last. */
  servedAt: number;
}

type Lane = Map<string, WaitingJob[]>;

class WaitingJob implements Expiring {
  readonly owner: JobOwner;
  state: "waiting" | "over" = "waiting";
  readonly #start: () => void;
  readonly #refuse: (why: NotDone) => void;
  #stopTimer: (() => void) | undefined;

  constructor(owner: JobOwner, start: () => void, refuse: (why: NotDone) => void) {
    this.owner = owner;
    this.#start = start;
    this.#refuse = refuse;
  }

  expireIn(ms: number, deadlines: Deadlines): void {
    const turn = deadlines.start(this, ms);
    this.#stopTimer = () => deadlines.stop(this, turn);
  }

  expire(): void {
    this.refuse("busy");
  }

  start(): void {
    if (this.#end()) this.#start();
  }

  refuse(why: NotDone): void {
    if (this.#end()) this.#refuse(why);
  }

  #end(): boolean {
    if (this.state === "over") return false;
    this.state = "over";
    this.#stopTimer?.();
    return true;
  }
}
