import { describeFailure } from "../proxy/failure.ts";
import type { AccessRecord } from "../proxy/record/access-record.ts";
import type { RequestRecord } from "../proxy/record/request-record.ts";
import { makeId, type RequestTrace, type TracedStage, type TraceStep } from "../proxy/trace/request-trace.ts";
import { type Attribute, formatNanos, listAttributes } from "./otlp.ts";

const INTERNAL = 1;
const SERVER = 2;
const CLIENT = 3;
const ERROR = 2;

/** Methods that may name a span: what a client makes up must not. */
const METHODS: ReadonlySet<string> = new Set("GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH".split(" "));

/** Kinds of the spans of stages, other than internal. */
const STAGE_KINDS: Readonly<Record<string, number>> = { dial: CLIENT, forward: CLIENT };

/** The facts of a record that its spans are made of. */
export type TracedRecord = Pick<
  RequestRecord,
  "startedAt" | "acceptedAt" | "stageSince" | "openStage" | "target" | "dialled" | "client" | "clientPort" | "inside"
>;

/** The spans of one request, as JSON texts: the request, its stages, and the steps inside of them. */
export function writeSpans(record: TracedRecord, trace: RequestTrace, access: AccessRecord, now: number): string[] {
  const writer = new SpanWriter(record, trace, access);
  const open = { name: record.openStage, since: record.stageSince, until: Math.max(now, record.stageSince) };
  return writer.write([...trace.stages, open], now);
}

class SpanWriter {
  readonly #record: TracedRecord;
  readonly #trace: RequestTrace;
  readonly #access: AccessRecord;
  readonly #rootId = makeId(8);

  constructor(record: TracedRecord, trace: RequestTrace, access: AccessRecord) {
    this.#record = record;
    this.#trace = trace;
    this.#access = access;
  }

  write(stages: readonly TracedStage[], now: number): string[] {
    const { forwardId, steps } = this.#trace;
    // The span that the next hop was told is the last one in which the request was sent.
    const told = stages.findLastIndex(({ name }) => name === "forward");
    const stageIds = stages.map((_, index) => (index === told ? forwardId : makeId(8)));
    const stepIds = new Map(steps.map((step) => [step, makeId(8)]));
    const idOf = (step: TraceStep): string =>
      (step.parent && stepIds.get(step.parent)) ?? stageIds[Math.min(step.stage, stages.length - 1)] ?? this.#rootId;
    return [
      this.#writeRoot(now),
      ...stages.map((stage, index) => this.#writeStage(stage, stageIds[index] ?? "")),
      ...steps.map((step) => this.#writeStep(step, stepIds.get(step) ?? "", idOf(step), now)),
    ];
  }

  #writeRoot(now: number): string {
    const { parent, omitted } = this.#trace;
    const access = this.#access;
    const { detail, status } = access;
    const { target, dialled, client, clientPort, inside, acceptedAt } = this.#record;
    return this.#writeSpan({
      id: this.#rootId,
      parentId: parent?.spanId,
      name: nameRequest(access),
      kind: SERVER,
      since: acceptedAt,
      until: now,
      // What a client did wrong is no error of a server (OpenTelemetry's conventions for HTTP).
      failure: detail !== undefined && describeFailure(detail).status >= 500 ? detail : undefined,
      attributes: listAttributes({
        "penstock.connection.id": access.id,
        "penstock.listener": access.listener,
        "client.address": client.text,
        "client.port": clientPort,
        "user.name": access.user,
        "network.protocol.name": access.protocol,
        "http.request.method": access.method && nameMethod(access.method),
        "url.scheme": access.scheme,
        "server.address": target?.host.text,
        "server.port": target?.port,
        "network.peer.address": dialled?.ip.text,
        "network.peer.port": dialled?.port,
        "http.response.status_code": status,
        "error.type": detail,
        "penstock.error": access.error,
        "penstock.limit": access.limit,
        "penstock.note": access.note,
        "penstock.rule": access.rule,
        "penstock.reported": access.reported,
        "penstock.reported_rule": access.reportedRule,
        "penstock.upstream": access.route,
        "penstock.member": access.member,
        "penstock.attempts": access.attempts,
        // A tunnel that has not ended goes on in another process.
        "penstock.end": access.stage === "tunnel" ? (access.end ?? "moved") : undefined,
        "penstock.bytes_up": access.bytesUp,
        "penstock.bytes_down": access.bytesDown,
        "penstock.inside": access.inside,
        "tls.client.server_name": inside?.tls?.sni,
        "penstock.omitted_steps": omitted === 0 ? undefined : omitted,
      }),
    });
  }

  #writeStage({ name, since, until }: TracedStage, id: string): string {
    const { detail, stage } = this.#access;
    const kind = STAGE_KINDS[name] ?? INTERNAL;
    return this.#writeSpan({
      id,
      parentId: this.#rootId,
      name,
      kind,
      since,
      until,
      failure: name === stage ? detail : undefined,
      attributes: [],
    });
  }

  #writeStep({ name, subject, since, until, failure, result }: TraceStep, id: string, parentId: string, now: number) {
    const key =
      { resolve: "dns.question.name", connect: "network.peer.address" }[name as string] ?? "penstock.upstream";
    return this.#writeSpan({
      id,
      parentId,
      name,
      kind: name === "resolve" ? INTERNAL : CLIENT,
      since,
      until: until ?? now,
      // What still runs at the end was not waited for.
      failure: until === undefined ? "cancelled" : failure,
      attributes: listAttributes({ [key]: subject, "dns.answers": result }),
    });
  }

  #writeSpan({ id, parentId, name, kind, since, until, failure, attributes }: Span): string {
    const { startedAt, acceptedAt } = this.#record;
    const errorType: Attribute[] = failure === undefined ? [] : listAttributes({ "error.type": failure });
    const all = attributes.some(({ key }) => key === "error.type") ? attributes : [...attributes, ...errorType];
    return JSON.stringify({
      traceId: this.#trace.traceId,
      spanId: id,
      ...(parentId !== undefined && { parentSpanId: parentId }),
      name,
      kind,
      startTimeUnixNano: formatNanos(startedAt + since - acceptedAt),
      endTimeUnixNano: formatNanos(startedAt + until - acceptedAt),
      ...(all.length > 0 && { attributes: all }),
      ...(failure !== undefined && { status: { code: ERROR, message: failure } }),
    });
  }
}

interface Span {
  readonly id: string;
  readonly parentId: string | undefined;
  readonly name: string;
  readonly kind: number;
  readonly since: number;
  readonly until: number;
  /** A word; undefined for a span without an error. */
  readonly failure: string | undefined;
  readonly attributes: Attribute[];
}

/** A name of which there are few. */
function nameRequest({ protocol, method }: AccessRecord): string {
  if (protocol === undefined) return "connection";
  const said = method === undefined ? "" : nameMethod(method);
  if (protocol === "http") return said === "" ? "HTTP" : said;
  return said === "" ? protocol.toUpperCase() : `${protocol.toUpperCase()} ${said}`;
}

function nameMethod(method: string): string {
  return METHODS.has(method) ? method : "_OTHER";
}
