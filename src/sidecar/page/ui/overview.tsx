import { useState } from "preact/hooks";
import { formatBytes } from "../../../proxy/record/access-line.ts";
import { Chart } from "./chart.tsx";
import { formatAge, formatCount, formatMs, formatPerSecond, formatRate, NOTHING, show, splitRate } from "./format.ts";
import { useAnswer, usePage } from "./page-state.ts";
import type { Go } from "./use-route.ts";
import type { LiveSeries } from "./live-model.ts";
import type { SeriesAnswer, StatusReport } from "./wire.ts";

/** Columns of either span. */
type ChartSeries = SeriesAnswer | LiveSeries;

const SPANS = { "15m": { steps: 900, name: "15 min" }, "1d": { steps: 1440, name: "1 day" } } as const;
type Span = keyof typeof SPANS;

/** What is going on, now and today. */
export function Overview({ look, go }: { readonly look: string; readonly go: Go }) {
  const { model } = usePage();
  const [span, setSpan] = useState<Span>("15m");
  const { status, series } = model;
  if (status === undefined || series === undefined) return <Waiting />;
  return (
    <>
      <Throughput status={status} span={span} setSpan={setSpan} look={look} recent={series} />
      <Figures status={status} />
      <div class="columns">
        <section aria-labelledby="dials">
          <h2 id="dials">Connects and dial time</h2>
          {span === "15m" ? <Dials series={series} span={span} look={look} /> : <DayDials look={look} />}
        </section>
        <Refusals refusals={status.refusals} />
        <Attention status={status} go={go} />
      </div>
    </>
  );
}

function Waiting() {
  return <p class="waiting">Waiting for the first figures…</p>;
}

interface ThroughputProps {
  readonly status: StatusReport;
  readonly span: Span;
  readonly setSpan: (span: Span) => void;
  readonly look: string;
  readonly recent: ChartSeries;
}

function Throughput({ status, span, setSpan, look, recent }: ThroughputProps) {
  const [down, up] = [splitRate(status.rate.down), splitRate(status.rate.up)];
  return (
    <section class="throughput" aria-labelledby="throughput">
      <h2 id="throughput" class="hidden">
        Throughput
      </h2>
      <div class="headline">
        <dl class="rates">
          <div class="rate down">
            <dt>Down</dt>
            <dd>
              {down.value} <small>{down.unit}</small>
            </dd>
          </div>
          <div class="rate up">
            <dt>Up</dt>
            <dd>
              {up.value} <small>{up.unit}</small>
            </dd>
          </div>
        </dl>
        <div class="segments" role="group" aria-label="Span of the charts">
          {(Object.keys(SPANS) as Span[]).map((each) => (
            <button key={each} type="button" aria-pressed={each === span} onClick={() => setSpan(each)}>
              {SPANS[each].name}
            </button>
          ))}
        </div>
      </div>
      {span === "15m" ? <Bytes series={recent} span={span} look={look} /> : <DayBytes look={look} />}
    </section>
  );
}

interface SeriesProps {
  readonly series: ChartSeries;
  readonly span: Span;
  readonly look: string;
}

function Bytes({ series, span, look }: SeriesProps) {
  const seconds = series.step_ms / 1000;
  const rate = (value: number): string => formatRate(value / seconds).replace(".0 ", " ");
  const lines = [
    { name: "down", values: series.down, colour: "--down", format: rate, filled: true },
    { name: "up", values: series.up, colour: "--up", format: rate, filled: true, below: true },
  ];
  return (
    <Chart tall label={`Throughput of the last ${SPANS[span].name}`} lines={lines} {...frame(series, span, look)} />
  );
}

function Dials({ series, span, look }: SeriesProps) {
  const seconds = series.step_ms / 1000;
  const perSecond = (value: number): string => `${formatPerSecond(value / seconds)}/s`;
  const times = [
    { name: "p99", values: series.dial_p99_ms, colour: "--second", format: formatMs },
    { name: "p50", values: series.dial_p50_ms, colour: "--first", format: formatMs },
  ];
  const connects = [{ name: "connects", values: series.connects, colour: "--ink", format: perSecond, filled: true }];
  return (
    <>
      <p class="legend" aria-hidden="true">
        <span class="key ink">connects per second</span>
      </p>
      <Chart label="Connects per second" lines={connects} {...frame(series, span, look)} />
      <p class="legend" aria-hidden="true">
        <span class="key first">dial time p50</span> <span class="key second">p99</span>
      </p>
      <Chart label="Time to dial" lines={times} {...frame(series, span, look)} />
    </>
  );
}

function frame(series: ChartSeries, span: Span, look: string) {
  const until = "until" in series ? series.until : Date.parse(series.from) + series.up.length * series.step_ms;
  return { steps: SPANS[span].steps, stepMs: series.step_ms, until, look };
}

/** Milliseconds after which the series of the day is asked for again. */
const DAY_EVERY_MS = 30_000;

function DayBytes({ look }: { readonly look: string }) {
  const { value, problem } = useAnswer("series", "?span=1d", DAY_EVERY_MS);
  return value === undefined ? (
    <p class="waiting tall">{problem ?? "Loading…"}</p>
  ) : (
    <Bytes series={value} span="1d" look={look} />
  );
}

function DayDials({ look }: { readonly look: string }) {
  const { value, problem } = useAnswer("series", "?span=1d", DAY_EVERY_MS);
  return value === undefined ? (
    <p class="waiting">{problem ?? "Loading…"}</p>
  ) : (
    <Dials series={value} span="1d" look={look} />
  );
}

function Figures({ status }: { readonly status: StatusReport }) {
  const { tunnels, requests, connections, connects_per_s, dial_ms, bytes_up, bytes_down, memory_bytes, uptime_ms } =
    status;
  const refused = Object.values(status.refusals).reduce((sum, count) => sum + count, 0);
  const figures: readonly (readonly [name: string, value: string, more?: string])[] = [
    ["Open tunnels", formatCount(tunnels), `${formatCount(connections)} connections`],
    ["Requests", formatCount(requests), "under way"],
    ["Connects", `${formatPerSecond(connects_per_s)}/s`, "last 10 s"],
    ["Dial p50", formatMs(dial_ms.p50), "last minute"],
    ["Dial p99", formatMs(dial_ms.p99), "last minute"],
    ["Refused", formatCount(refused), "last 15 min"],
    ["Carried", formatBytes(bytes_up + bytes_down), `in ${formatAge(uptime_ms)}`],
    ["Memory", formatBytes(memory_bytes), "resident"],
  ];
  return (
    <section aria-labelledby="figures">
      <h2 id="figures" class="hidden">
        Figures
      </h2>
      <dl class="figures">
        {figures.map(([name, value, more]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
            <dd class="hint">{more}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** Words that are shown. */
const MAX_WORDS = 12;

function Refusals({ refusals }: Pick<StatusReport, "refusals">) {
  const words = Object.entries(refusals).sort(([, one], [, other]) => other - one);
  const most = words[0]?.[1] ?? 1;
  return (
    <section aria-labelledby="refusals">
      <h2 id="refusals">
        Refusals by word <small>last 15 min</small>
      </h2>
      {words.length === 0 ? (
        <p class="waiting">None.</p>
      ) : (
        <ol class="bars">
          {words.slice(0, MAX_WORDS).map(([word, count]) => (
            <li key={word}>
              <code>{show(word)}</code>
              <span class="bar" aria-hidden="true">
                <i style={{ width: `${(100 * count) / most}%` }} />
              </span>
              <b>{formatCount(count)}</b>
            </li>
          ))}
        </ol>
      )}
      {words.length > MAX_WORDS && <p class="hint">and {words.length - MAX_WORDS} more words</p>}
    </section>
  );
}

/** Days left at which a certificate is worth a look. */
const SOON_DAYS = 30;

function Attention({ status, go }: { readonly status: StatusReport; readonly go: Go }) {
  const { warnings, upstreams, certificates, ready, reason } = status;
  const soon = certificates.filter(({ days }) => days < SOON_DAYS);
  const isCalm = warnings.length === 0 && upstreams.unhealthy === 0 && soon.length === 0 && ready;
  return (
    <section aria-labelledby="attention">
      <h2 id="attention">Attention</h2>
      {isCalm && <p class="calm">Nothing needs you.</p>}
      <ul class="attention">
        {!ready && <li class="bad">Not ready for new connections: {reason ?? NOTHING}.</li>}
        {warnings.map((warning) => (
          <li key={warning} class="warn">
            {show(warning)}
          </li>
        ))}
        {upstreams.unhealthy > 0 && (
          <li class="bad">
            <button type="button" class="link" onClick={() => go({ view: "upstreams" })}>
              {upstreams.unhealthy} of {upstreams.healthy + upstreams.unhealthy} upstreams unhealthy
            </button>
          </li>
        )}
        {soon.map(({ name, days }) => (
          <li key={name} class={days < 7 ? "bad" : "warn"}>
            <button type="button" class="link" onClick={() => go({ view: "certificates" })}>
              {days < 0
                ? `Certificate of ${show(name)} has ended`
                : `Certificate of ${show(name)} ends in ${days} days`}
            </button>
          </li>
        ))}
      </ul>
      <dl class="facts">
        {status.listeners.map(({ address, tls, accepted }) => (
          <div key={address}>
            <dt>
              {show(address)} {tls && <span class="tag">TLS</span>}
            </dt>
            <dd>{formatCount(accepted)} accepted</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
