import { formatEndpoint } from "../../../address/endpoint.ts";
import { describeFailure } from "../../failure.ts";
import { formatJsonLine } from "../access-line.ts";
import { type AccessRecord, buildAccessRecord } from "../access-record.ts";
import { findReported } from "../find-reported.ts";
import type { RequestRecord } from "../request-record.ts";
import type { EventFacts, EventType } from "./event.ts";
import type { EventStream } from "./event-stream.ts";
import { FewPerSecond } from "./few-per-second.ts";
import { LimitEvents } from "./limit-events.ts";

/** Refusals in a second that are told while nobody watches them: a flood of them costs nothing, and leaves other events in the ring. */
const UNWATCHED_REFUSALS = 10;

/** Makes events of requests, in the words of their access lines. */
export class RequestEvents {
  readonly #stream: EventStream;
  readonly #refusals = new FewPerSecond(UNWATCHED_REFUSALS);
  readonly #limits: LimitEvents;

  constructor(stream: EventStream) {
    this.#stream = stream;
    this.#limits = new LimitEvents(stream);
  }

  /** A tunnel opened. `now` is monotonic, in milliseconds. */
  opened(record: RequestRecord, now: number): void {
    if (this.#stream.choose("tunnel_opened", record, readFacts, now) === "made")
      this.#stream.publishText("tunnel_opened", formatJsonLine(buildAccessRecord(record, now)), readFacts(record));
  }

  /** Whether the end of a request is to be told. */
  wants(record: RequestRecord, now: number): boolean {
    if (record.failure?.limit !== undefined) this.#limits.reached(record);
    const choice = this.#stream.choose(typeOf(record), record, readFacts, now);
    return choice === "made" || (choice === "unwanted" && isRefusal(record) && this.#refusals.allows(now));
  }

  /** A request is over, whose end is to be told; `line` is its access line in JSON. */
  finished(record: RequestRecord, access: AccessRecord, line: string): void {
    const { user, target } = access;
    this.#stream.publishText(typeOf(record), line, { user, target, words: listWords(record) });
  }
}

function typeOf(record: RequestRecord): EventType {
  if (isRefusal(record)) return "refused";
  return record.tunnel === undefined ? "request_done" : "tunnel_ended";
}

function readFacts(record: RequestRecord): EventFacts {
  const { user, target } = record;
  return { user, target: target && formatEndpoint(target), words: listWords(record) };
}

/** Why it failed, or would have been refused. */
function listWords(record: RequestRecord): EventFacts["words"] {
  const details = [record.failure?.detail, findReported(record)?.detail];
  const words = details.flatMap((detail) => (detail === undefined ? [] : [detail, describeFailure(detail).word]));
  return words.length === 0 ? undefined : words;
}

/** Nothing was carried for the client: neither a tunnel nor a response of an origin. */
function isRefusal({ failure, tunnel, forwarded }: RequestRecord): boolean {
  return failure !== undefined && tunnel === undefined && (forwarded === undefined || forwarded.down === 0);
}
