import { formatTraceParent, type TraceParent } from "../../protocol/trace-parent.ts";

/** The kinds of step inside a stage. */
export type StepName = "resolve" | "connect" | "hop" | "attempt";

/** Steps of one trace: enough for all attempts of one dial, and bounded however often a request is tried again. */
const MAX_STEPS = 64;

/** Where steps begin: in the stage that is open, or inside another step. */
export interface TraceScope {
  /** `subject`: the name, address or upstream that it is about. Undefined when there are too many already. */
  begin(name: StepName, subject: string): TraceStep | undefined;
}

/** A part of a stage that takes time of its own. Monotonic milliseconds. */
export class TraceStep implements TraceScope {
  readonly name: StepName;
  readonly subject: string;
  readonly parent: TraceStep | undefined;
  /** The stage in which it began. */
  readonly stage: number;
  readonly since = performance.now();
  until: number | undefined = undefined;
  /** Why it failed: a word; undefined when it did not. */
  failure: string | undefined = undefined;
  /** What it found. */
  result: string | undefined = undefined;
  readonly #trace: RequestTrace;

  constructor(trace: RequestTrace, name: StepName, subject: string, parent: TraceStep | undefined) {
    this.#trace = trace;
    this.name = name;
    this.subject = subject;
    this.parent = parent;
    this.stage = trace.stages.length;
  }

  begin(name: StepName, subject: string): TraceStep | undefined {
    return this.#trace.beginStep(name, subject, this);
  }

  /** Ends it, once. */
  end(failure?: string, result?: string): void {
    if (this.until !== undefined) return;
    this.until = performance.now();
    this.failure = failure;
    this.result = result;
  }
}

/** A stage that is over. */
export interface TracedStage {
  readonly name: string;
  readonly since: number;
  readonly until: number;
}

/** Stages of one trace: a request that is tried again goes through some of them several times. */
const MAX_STAGES = 64;

/** The trace of one request: what its record does not keep of its stages, and its place in a trace that began elsewhere. */
export class RequestTrace implements TraceScope {
  /** The stages that are over, in order. */
  readonly stages: TracedStage[] = [];
  readonly steps: TraceStep[] = [];
  /** Steps that were left out. */
  omitted = 0;
  readonly parent: TraceParent | undefined;
  readonly traceId: string;
  /** The span that what is behind the proxy belongs to. */
  readonly forwardId = makeId(8);

  /** Without a parent the trace begins here. */
  constructor(parent?: TraceParent) {
    this.parent = parent;
    this.traceId = parent?.traceId ?? makeId(16);
  }

  /** What the next hop is told; undefined where the trace began here, because then it is nobody else's. */
  get sentOn(): string | undefined {
    return this.parent && formatTraceParent(this.traceId, this.forwardId);
  }

  begin(name: StepName, subject: string): TraceStep | undefined {
    return this.beginStep(name, subject, undefined);
  }

  beginStep(name: StepName, subject: string, parent: TraceStep | undefined): TraceStep | undefined {
    if (this.steps.length >= MAX_STEPS) {
      this.omitted += 1;
      return undefined;
    }
    const step = new TraceStep(this, name, subject, parent);
    this.steps.push(step);
    return step;
  }

  /** Notes a stage that is over. */
  note(name: string, since: number, until: number): void {
    if (this.stages.length < MAX_STAGES) this.stages.push({ name, since, until });
  }
}

/** Random bytes as hexadecimal digits, not all of them zero. */
export function makeId(bytes: number): string {
  for (;;) {
    const id = crypto.getRandomValues(Buffer.alloc(bytes)).toString("hex");
    if (!/^0+$/.test(id)) return id;
  }
}
