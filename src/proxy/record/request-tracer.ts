import type { AddressSet } from "../../address/address-set.ts";
import { formatEndpoint } from "../../address/endpoint.ts";
import { cutText } from "../../escape-text.ts";
import type { Tell } from "../../operator-message.ts";
import { formatBytes, formatDuration } from "./access-line.ts";
import { formatAddress } from "./access-record.ts";
import { describeFailure } from "../failure.ts";
import { FewPerSecond } from "./events/few-per-second.ts";
import { type RequestRecord, type Stage, STAGES } from "./request-record.ts";

/** Whose requests are traced: those of clients and users that are both wanted. What is undefined does not matter. */
export interface TraceFilter {
  readonly clients?: AddressSet | undefined;
  readonly user?: string | undefined;
}

/** Lines in a second at most: a trace of everything fills no disk. */
const PER_SECOND = 1000;
/** UTF-16 code units of one value: names come from clients. */
const VALUE_LENGTH = 256;

/**
 * Tells the stages of requests as they pass, one line each, with what was found and
 * how long it took. There is no secret in a record.
 */
export class RequestTracer {
  readonly #filter: TraceFilter;
  readonly #tell: Tell;
  readonly #few: FewPerSecond;
  readonly #clock: () => number;
  /** The next stage to tell of requests whose first ones were told. */
  readonly #told = new WeakMap<RequestRecord, number>();

  /** `clock` is monotonic, in milliseconds. */
  constructor(filter: TraceFilter, tell: Tell, { perSecond = PER_SECOND, clock = () => performance.now() } = {}) {
    this.#filter = filter;
    this.#tell = tell;
    this.#few = new FewPerSecond(perSecond);
    this.#clock = clock;
  }

  /** A request enters its next stage. */
  entered(record: RequestRecord, left: Stage): void {
    if (!this.#wants(record)) return;
    // The user is known only after the first stages: they are told then.
    const from = this.#told.get(record) ?? 0;
    const at = STAGES.indexOf(left);
    for (const stage of STAGES.slice(Math.min(from, at), at + 1)) this.#tellStage(record, stage);
    this.#told.set(record, at + 1);
  }

  /** A request is over. */
  finished(record: RequestRecord, now: number): void {
    if (!this.#wants(record)) return;
    const { failure, status, forwarded, tunnel } = record;
    const moved = tunnel === undefined ? forwarded : { up: tunnel.bytesUp, down: tunnel.bytesDown };
    const parts = [
      `over in stage ${record.stage} after ${formatDuration(now - record.acceptedAt)}:`,
      ...(status === undefined ? [] : [String(status)]),
      ...(failure === undefined ? [] : [describeRefusal(record)]),
      ...(moved === undefined ? [] : [`${formatBytes(moved.up)}↑ ${formatBytes(moved.down)}↓`]),
      ...(tunnel === undefined ? [] : [tunnel.end]),
    ];
    this.#write(record, parts.join(" "));
  }

  #wants({ client, user }: RequestRecord): boolean {
    const { clients, user: wanted } = this.#filter;
    return (wanted === undefined || user === wanted) && (clients === undefined || clients.has(client));
  }

  #tellStage(record: RequestRecord, stage: Stage): void {
    const spent = record.stageMs[stage];
    if (spent === undefined) return;
    const found = describe(record, stage);
    this.#write(record, `${stage} took ${spent.toFixed(3)} ms${found === undefined ? "" : `: ${found}`}`);
  }

  #write(record: RequestRecord, text: string): void {
    if (!this.#few.allows(this.#clock())) return;
    const leftOut = this.#few.takeLeftOut();
    if (leftOut !== undefined) this.#tell(`${leftOut} lines of the trace were left out: there were too many.`, "debug");
    const { client, clientPort, id } = record;
    this.#tell(`[${id}] ${formatAddress({ ip: client, port: clientPort })} ${text}`, "debug");
  }
}

/** What a stage found. */
function describe(record: RequestRecord, stage: Stage): string | undefined {
  switch (stage) {
    case "accept":
      return `on ${record.listener}`;
    case "handshake":
      return join(record.protocol, record.method);
    case "authenticate":
      return record.user === undefined ? "no user" : `user ${quote(record.user)}`;
    case "request":
      return record.target && join(record.scheme, quote(formatEndpoint(record.target)));
    case "decide":
      return record.decision && `${record.decision.verdict} by ${quote(record.decision.rule)}`;
    case "route":
      return record.route && quote(record.route.name);
    case "dial": {
      const { carriage, dialled } = record;
      const along = carriage && `${quote(carriage.name)} (attempt ${carriage.attempt})`;
      return join(along, dialled && formatAddress(dialled));
    }
    case "respond":
      return join(record.status?.toString());
    case "tunnel":
    case "forward":
      return undefined;
  }
}

function describeRefusal({ failure }: RequestRecord): string {
  if (failure === undefined) return "";
  const { detail, limit, nextHop, note } = failure;
  const about = [
    ...(limit === undefined ? [] : [`by ${limit}`]),
    ...(nextHop === undefined ? [] : [`at ${quote(nextHop)}`]),
  ];
  const reason = [detail, `(${describeFailure(detail).word})`, ...about].join(" ");
  return note === undefined ? reason : `${reason}: ${quote(note)}`;
}

function join(...parts: readonly (string | undefined)[]): string | undefined {
  const known = parts.filter((part) => part !== undefined);
  return known.length === 0 ? undefined : known.join(" ");
}

function quote(value: string): string {
  return JSON.stringify(cutText(value, VALUE_LENGTH));
}
