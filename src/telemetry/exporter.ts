import type { Tell } from "../operator-message.ts";
import type { Exchanged, postJson } from "../net/http/exchange.ts";
import { describeRefusal, readRejected, readRetryMs } from "./export-answer.ts";
import { type Teller, writeMetricsExport, writeTraceExport } from "./otlp.ts";
import { SpanQueue } from "./span-queue.ts";
import type { TelemetryPlan } from "./telemetry-plan.ts";

/** What was sent and lost since the start, over all collectors. */
export class ExportCounts {
  up = false;
  spansSent = 0;
  spansDropped = 0;
  queuedBytes = 0;
  exports = 0;
  failures = 0;
}

export interface ExporterOptions {
  readonly plan: TelemetryPlan;
  readonly teller: Teller;
  readonly counts: ExportCounts;
  readonly post: typeof postJson;
  /** The metrics of now, as OTLP has them. */
  readonly readMetrics: () => readonly object[];
  readonly tell: Tell;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/** Bytes of spans that wait, and that are sent at once. */
const MAX_QUEUE = 4 * 1024 * 1024;
const MAX_BATCH = 512 * 1024;
/** Milliseconds that spans wait for others, and that a request may take. */
const GATHER_MS = 5000;
const REQUEST_MS = 10_000;
/** For the last request, before the process ends. */
const LAST_MS = 2000;
const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 60_000;

/**
 * Sends spans and metrics to a collector over OTLP/HTTP. Nobody waits for it: spans
 * are gathered in a bounded queue, one request is under way at a time, and a
 * collector that fails is asked again after longer and longer pauses.
 */
export class Exporter {
  readonly #options: ExporterOptions;
  readonly #queue: SpanQueue;
  readonly #metricsTimer: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #isSendingMetrics = false;
  /** Failures in a row. */
  #failed = 0;
  /** What the operator was told last, by path; nothing while everything works. A collector may take one signal alone. */
  readonly #told = new Map<string, string>();
  #stopped = false;

  constructor(options: ExporterOptions) {
    const { counts, plan } = options;
    this.#options = options;
    this.#queue = new SpanQueue(MAX_QUEUE, (spans) => (counts.spansDropped += spans));
    if (plan.metricsMs === undefined) return;
    this.#metricsTimer = setInterval(() => void this.#sendMetrics(REQUEST_MS), plan.metricsMs);
    this.#metricsTimer.unref();
  }

  /** Takes the spans of one request, as JSON texts. */
  push(spans: readonly string[]): void {
    if (this.#stopped) {
      this.#options.counts.spansDropped += spans.length;
      return;
    }
    this.#queue.push(spans);
    this.#options.counts.queuedBytes = this.#queue.bytes;
    if (this.#sending !== undefined || this.#failed > 0) return;
    if (this.#queue.bytes >= MAX_BATCH) this.#flush();
    else if (this.#timer === undefined) this.#wait(GATHER_MS);
  }

  /** Sends what is left, once, and nothing after that. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearInterval(this.#metricsTimer);
    await this.#sending;
    const { plan, counts } = this.#options;
    await Promise.all([
      this.#queue.isEmpty ? undefined : this.#sendSpans(MAX_QUEUE, LAST_MS),
      plan.metricsMs === undefined ? undefined : this.#sendMetrics(LAST_MS),
    ]);
    for (const { spans } of this.#queue.take(Infinity)) counts.spansDropped += spans.length;
    counts.queuedBytes = 0;
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#flush(), ms);
    this.#timer.unref();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending = this.#sendSpans(MAX_BATCH, REQUEST_MS).then((pauseMs) => {
      this.#sending = undefined;
      if (this.#stopped || this.#queue.isEmpty) return;
      if (pauseMs > 0) this.#wait(pauseMs);
      else if (this.#queue.bytes >= MAX_BATCH) this.#flush();
      else this.#wait(GATHER_MS);
    });
  }

  /** Sends one batch. Gives the milliseconds until the next try; 0 after a success. */
  async #sendSpans(maxBytes: number, ms: number): Promise<number> {
    const { teller, counts } = this.#options;
    const entries = this.#queue.take(maxBytes);
    const spans = entries.flatMap((entry) => entry.spans);
    const posted = await this.#post("/v1/traces", writeTraceExport(teller, spans), ms);
    let pauseMs = 0;
    if (posted.kind === "answered" && posted.status < 300) {
      const rejected = Math.min(readRejected(posted.body.toString()), spans.length);
      counts.spansSent += spans.length - rejected;
      counts.spansDropped += rejected;
      this.#failed = 0;
    } else if (mayTryAgain(posted)) {
      this.#queue.giveBack(entries);
      pauseMs = this.#findPause(posted);
    } else {
      // Who refuses spans would refuse them again.
      counts.spansDropped += spans.length;
      this.#failed = 0;
    }
    counts.queuedBytes = this.#queue.bytes;
    return pauseMs;
  }

  /** Metrics are counts since the start: those that are lost are in the next. */
  async #sendMetrics(ms: number): Promise<void> {
    if (this.#isSendingMetrics) return;
    this.#isSendingMetrics = true;
    const { teller, readMetrics } = this.#options;
    try {
      await this.#post("/v1/metrics", writeMetricsExport(teller, readMetrics()), ms);
    } finally {
      this.#isSendingMetrics = false;
    }
  }

  async #post(path: string, body: string, ms: number): Promise<Exchanged> {
    const { plan, post, counts } = this.#options;
    const headers = Object.fromEntries(plan.headers.map(([name, value]) => [name, value.reveal()]));
    const url = `${plan.url}${path}`;
    const posted = await post({ url, body, headers, ca: plan.ca, ms });
    const refusal = describeRefusal(posted);
    if (refusal === undefined) counts.exports += 1;
    else counts.failures += 1;
    this.#report(url, refusal, mayTryAgain(posted));
    counts.up = this.#told.size === 0;
    return posted;
  }

  /** From half of the pause to all of it, so that several proxies do not come back at once; or longer, where the collector asks for that. */
  #findPause(posted: Exchanged): number {
    const asked = posted.kind === "answered" ? readRetryMs(posted.header("retry-after"), Date.now()) : undefined;
    const pause = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failed);
    this.#failed += 1;
    return Math.max(asked ?? 0, pause * (0.5 + this.#options.random() / 2));
  }

  #report(url: string, refusal: string | undefined, isKept: boolean): void {
    const { tell, counts } = this.#options;
    if (refusal === this.#told.get(url)) return;
    if (refusal === undefined) {
      this.#told.delete(url);
      tell(`telemetry: ${url} takes what it is sent again; spans lost so far: ${counts.spansDropped}.`, "info");
    } else {
      this.#told.set(url, refusal);
      const fate = isKept
        ? "spans wait for it, and the oldest are lost when there are too many"
        : "what it refuses is lost";
      tell(`telemetry: ${url} ${refusal}. Clients are served as before; ${fate}.`, "warn");
    }
  }
}

/** What another time may mend (OTLP/HTTP, "Failures"). */
function mayTryAgain(posted: Exchanged): boolean {
  return posted.kind === "failed" || [429, 502, 503, 504].includes(posted.status);
}
