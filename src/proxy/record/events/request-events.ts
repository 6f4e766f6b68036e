import { formatJsonLine } from "../access-line.ts";
import { type AccessRecord, buildAccessRecord } from "../access-record.ts";
import type { RequestRecord } from "../request-record.ts";
import type { EventType } from "./event.ts";
import type { EventStream } from "./event-stream.ts";
import { FewPerSecond } from "./few-per-second.ts";

/** Refusals in a second that are told while nobody watches: a flood of them costs nothing, and leaves other events in the ring. */
const UNWATCHED_REFUSALS = 10;

/** Makes events of requests, in the words of their access lines. */
export class RequestEvents {
  readonly #stream: EventStream;
  readonly #refusals = new FewPerSecond(UNWATCHED_REFUSALS);

  constructor(stream: EventStream) {
    this.#stream = stream;
  }

  /** A tunnel opened. `now` is monotonic, in milliseconds. */
  opened(record: RequestRecord, now: number): void {
    if (this.#stream.wanted) this.#publish("tunnel_opened", buildAccessRecord(record, now));
  }

  /** Whether the end of a request is to be told. */
  wants(record: RequestRecord, now: number): boolean {
    return this.#stream.wanted || (isRefusal(record) && this.#refusals.allows(now));
  }

  /** A request is over, whose end is to be told. */
  finished(record: RequestRecord, access: AccessRecord): void {
    const type = isRefusal(record) ? "refused" : record.tunnel === undefined ? "request_done" : "tunnel_ended";
    this.#publish(type, access);
  }

  #publish(type: EventType, access: AccessRecord): void {
    const { user, target, detail, error } = access;
    this.#stream.publishText(type, formatJsonLine(access), { user, target, words: [detail, error] });
  }
}

/** Nothing was carried for the client: neither a tunnel nor a response of an origin. */
function isRefusal({ failure, tunnel, forwarded }: RequestRecord): boolean {
  return failure !== undefined && tunnel === undefined && (forwarded === undefined || forwarded.down === 0);
}
