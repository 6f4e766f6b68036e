import { formatEndpoint } from "../../../address/endpoint.ts";
import { describeFailure } from "../../failure.ts";
import type { RequestRecord } from "../request-record.ts";
import type { EventStream } from "./event-stream.ts";

/** Time between two events about the same limit of the same user, client or target. */
const PERIOD_MS = 1000;
/** Events about limits in that time: a flood from many clients leaves other events in the ring. */
const MAX_IN_PERIOD = 20;
/** Users, clients and targets that are told apart; others are counted together, for each limit. */
const MAX_SUBJECTS = 256;

/** A limit of somebody that was reached lately. */
interface Reached {
  readonly limit: string;
  readonly detail: string;
  readonly subject: Subject;
  readonly words: readonly string[];
  /** Requests that it has refused since it was told. */
  count: number;
}

interface Subject {
  readonly user?: string | undefined;
  readonly client?: string | undefined;
  readonly target?: string | undefined;
}

/**
 * Makes events of limits that were reached: the first at once, then one a second
 * with the number of requests that the limit has refused.
 */
export class LimitEvents {
  readonly #stream: EventStream;
  readonly #later: (callback: () => void, ms: number) => void;
  readonly #reached = new Map<string, Reached>();
  #isWaiting = false;
  #inPeriod = 0;

  constructor(stream: EventStream, later: (callback: () => void, ms: number) => void = wait) {
    this.#stream = stream;
    this.#later = later;
  }

  /** A limit refused a request. */
  reached(record: RequestRecord): void {
    const { failure } = record;
    if (failure?.limit === undefined) return;
    const { limit, detail } = failure;
    let subject = findSubject(limit, record);
    let key = JSON.stringify([limit, subject]);
    if (!this.#reached.has(key) && this.#reached.size >= MAX_SUBJECTS) {
      subject = {};
      key = JSON.stringify([limit, subject]);
    }
    let reached = this.#reached.get(key);
    if (reached === undefined) {
      reached = { limit, detail, subject, words: [detail, describeFailure(detail).word], count: 1 };
      this.#reached.set(key, reached);
      this.#tell(reached);
    } else reached.count += 1;
    this.#wait();
  }

  #tell(reached: Reached): void {
    if (this.#inPeriod >= MAX_IN_PERIOD) return;
    this.#inPeriod += 1;
    const { limit, detail, subject, words, count } = reached;
    const { user, target } = subject;
    reached.count = 0;
    this.#stream.publish("limit", { limit, detail, ...subject, count }, { user, target, words });
  }

  #wait(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#later(() => {
      this.#isWaiting = false;
      this.#look();
    }, PERIOD_MS);
  }

  /** Tells what was refused in the last second, and forgets limits that refused nothing. */
  #look(): void {
    this.#inPeriod = 0;
    for (const [key, reached] of this.#reached) {
      if (reached.count === 0) {
        this.#reached.delete(key);
        continue;
      }
      // Those that are told go to the end, so that all have their turn.
      this.#tell(reached);
      if (reached.count > 0) continue;
      this.#reached.delete(key);
      this.#reached.set(key, reached);
      if (this.#inPeriod >= MAX_IN_PERIOD) break;
    }
    if (this.#reached.size > 0) this.#wait();
  }
}

/** Whose limit it is: what its setting counts apart. */
function findSubject(limit: string, { user, client, target }: RequestRecord): Subject {
  if (limit.startsWith("perUser.")) return { user };
  if (limit.startsWith("perClient.")) return { client: client.text };
  if (limit.startsWith("perTarget.")) return { target: target && formatEndpoint(target) };
  return {};
}

function wait(callback: () => void, ms: number): void {
  setTimeout(callback, ms).unref();
}
