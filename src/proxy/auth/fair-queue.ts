import { deadlines, type Expiring } from "../../net/deadlines.ts";

/** For whom a job is done. */
export interface JobOwner {
  /** The client that it counts for: each client has a queue of its own. */
  readonly client: string;
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
 * client at a time, so that a client with many jobs delays its own. A client
 * gets another place only as long as it has fewer than three times as many as
 * are free: alone it takes three quarters, and the next one always finds a place.
 *
 * When too many jobs wait, the client with the most of them is told so.
 */
export class FairQueue {
  readonly #limits: FairQueueLimits;
  /** Waiting jobs by client, in the order in which clients have their turns. */
  readonly #trusted: Lane = new Map();
  readonly #others: Lane = new Map();
  /** Running jobs by client. */
  readonly #runningOf = new Map<string, number>();
  #running = 0;
  #waiting = 0;
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
        waiting.expireIn(this.#limits.waitMs);
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
  }

  #remove(job: WaitingJob): void {
    const lane = this.#laneOf(job);
    const jobs = lane.get(job.owner.client);
    const at = jobs?.indexOf(job) ?? -1;
    if (jobs === undefined || at < 0) return;
    jobs.splice(at, 1);
    if (jobs.length === 0) lane.delete(job.owner.client);
    this.#waiting -= 1;
  }

  #startNext(): void {
    while (this.#running < this.#limits.running) {
      const [first, second] = this.#trustedNext ? [this.#trusted, this.#others] : [this.#others, this.#trusted];
      const next = this.#choose(first) ?? this.#choose(second);
      if (next === undefined) return;
      this.#trustedNext = !this.#trustedNext;
      const { client } = next.owner;
      this.#remove(next);
      this.#running += 1;
      this.#runningOf.set(client, (this.#runningOf.get(client) ?? 0) + 1);
      next.start();
    }
  }

  /** The first job of the client whose turn it is: of those with the fewest that run, the one that waited longest. */
  #choose(lane: Lane): WaitingJob | undefined {
    let chosen: WaitingJob | undefined;
    // Three times as many as are free are too many.
    let fewest = 3 * (this.#limits.running - this.#running);
    for (const [client, jobs] of lane) {
      const running = this.#runningOf.get(client) ?? 0;
      if (running >= fewest) continue;
      while (jobs[0]?.owner.isGone() === true) jobs[0].refuse("gone");
      if (jobs[0] === undefined) continue;
      [chosen] = jobs;
      fewest = running;
      if (running === 0) break;
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

  /** The job that is given up for another one: the last one of the client with the most, rather one that is not trusted. */
  #findBusiest(newest: WaitingJob): WaitingJob {
    let most = this.#countWaiting(newest.owner.client);
    let found = newest;
    for (const [client, jobs] of this.#others) {
      const count = this.#countWaiting(client);
      const last = jobs.at(-1);
      // Of equals, one that is not trusted gives way to one that is.
      const gives = count > most || (count === most && found.owner.trusted);
      if (last === undefined || !gives) continue;
      most = count;
      found = last;
    }
    if (found !== newest) return found;
    for (const [client, jobs] of this.#trusted) {
      const count = this.#countWaiting(client);
      const last = jobs.at(-1);
      if (last === undefined || count <= most) continue;
      most = count;
      found = last;
    }
    return found;
  }
}

type Lane = Map<string, WaitingJob[]>;

class WaitingJob implements Expiring {
  readonly owner: JobOwner;
  state: "waiting" | "over" = "waiting";
  readonly #start: () => void;
  readonly #refuse: (why: NotDone) => void;
  #turn: number | undefined;

  constructor(owner: JobOwner, start: () => void, refuse: (why: NotDone) => void) {
    this.owner = owner;
    this.#start = start;
    this.#refuse = refuse;
  }

  expireIn(ms: number): void {
    this.#turn = deadlines.start(this, ms);
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
    if (this.#turn !== undefined) deadlines.stop(this, this.#turn);
    return true;
  }
}
