import { formatBytes } from "../proxy/record/access-line.ts";
import type { SeriesAnswer } from "../sidecar/series.ts";
import type { StatusAnswer } from "../sidecar/status.ts";
import { type Colours, createPaint, drawSparkline, type Look, type Paint } from "./style.ts";
import { cutCell, formatAge, formatCount } from "./table-text.ts";

/** Columns of the titles, and of what stands beside them. */
const TITLE_WIDTH = 14;
const VALUE_WIDTH = 80 - TITLE_WIDTH;
const SPARKLINE_WIDTH = 45;
/** Listeners, reasons and certificates that are named. */
const MAX_NAMED = 4;
/** Days of a certificate that deserve attention. */
const FEW_DAYS = 14;

/** Writes how a proxy is for a person: one screen of 80 columns. */
export function formatStatus(status: StatusAnswer, series: SeriesAnswer | undefined, colours: Colours): string {
  const paint = createPaint(colours);
  const line = (title: string, value: string, ...looks: Look[]): string =>
    value === "" ? "" : `${title.padEnd(TITLE_WIDTH)}${paint(cutCell(value, VALUE_WIDTH), ...looks)}\n`;
  const { totals, rate, dial_ms: dial, upstreams } = status;
  return [
    writeHead(status, paint),
    ...status.warnings.map((warning) => wrapWarning(warning, paint)),
    "\n",
    line("Listeners", nameSome(status.listeners.map(describeListener))),
    line("Under way", describeUnderWay(status)),
    line("Over", describeTotals(totals)),
    line("Throughput", `${formatRate(rate.up)} up, ${formatRate(rate.down)} down`),
    line("Moved", `${formatBytes(status.bytes_up)} up, ${formatBytes(status.bytes_down)} down`),
    line(
      "Set-up",
      `${status.connects_per_s.toFixed(1)} tunnels/s, ${status.requests_per_s.toFixed(1)} requests/s${
        dial.p50 === null ? "" : `, dials p50 ${formatMs(dial.p50)}, p99 ${formatMs(dial.p99)}`
      }`,
    ),
    line("Refused", describeRefusals(status.refusals)),
    line("Upstreams", describeUpstreams(upstreams), upstreams.unhealthy > 0 ? "yellow" : "green"),
    ...describeCertificates(status.certificates).map(({ text, few }, at) =>
      line(at === 0 ? "Certificates" : "", text, ...(few ? (["yellow"] as const) : [])),
    ),
    ...describeLists(status.lists).map(({ text, isBad }, at) =>
      line(at === 0 ? "Lists" : "", text, ...(isBad ? (["yellow"] as const) : [])),
    ),
    line("Memory", formatBytes(status.memory_bytes)),
    ...(series === undefined ? [] : drawSeries(series, paint)),
  ].join("");
}

function writeHead({ version, pid, uptime_ms: uptime, phase, ready, reason }: StatusAnswer, paint: Paint): string {
  const look = ready ? "green" : "red";
  const state = ready ? "ready" : `not ready${reason === undefined ? "" : `: ${reason.replaceAll("_", " ")}`}`;
  const shown = `${phase.replaceAll("_", " ")}, ${state}`;
  return `${paint(`Penstock ${cutCell(version, 20)}`, "bold")}  ${paint(shown, look)}, for ${formatAge(uptime)} (process ${pid})\n`;
}

/** A warning is a sentence: it is broken into lines rather than cut. */
function wrapWarning(warning: string, paint: Paint): string {
  const lines: string[] = [];
  for (const word of `Warning: ${warning}`.split(" ")) {
    const last = lines.at(-1);
    const longer = last === undefined ? word : `${last} ${word}`;
    if (last === undefined || cutCell(longer, 80) !== longer) lines.push(cutCell(word, 80));
    else lines[lines.length - 1] = longer;
  }
  return lines.map((each) => `${paint(each, "yellow")}\n`).join("");
}

function describeListener({ address, tls, accepted }: StatusAnswer["listeners"][number]): string {
  return `${address}${tls ? " (TLS)" : ""}: ${formatCount(accepted)} accepted`;
}

function describeUnderWay({ connections, connection_limit: limit, tunnels, requests }: StatusAnswer): string {
  const all = `${count(connections, "connection")} of at most ${formatCount(limit)}`;
  return [count(tunnels, "tunnel"), count(requests, "request"), all].join(", ");
}

function describeTotals({ connections, tunnels, requests, failures }: StatusAnswer["totals"]): string {
  return [
    count(tunnels, "tunnel"),
    count(requests, "request"),
    count(connections, "connection"),
    count(failures, "failure"),
  ].join(", ");
}

function describeRefusals(refusals: StatusAnswer["refusals"]): string {
  const words = Object.entries(refusals).map(([word, number]) => `${word} ${formatCount(number)}`);
  return words.length === 0 ? "nothing in the last 15 minutes" : `${nameSome(words)}, in the last 15 minutes`;
}

function describeUpstreams({ healthy, unhealthy }: StatusAnswer["upstreams"]): string {
  if (healthy + unhealthy === 0) return "";
  return unhealthy === 0 ? `all ${healthy} healthy` : `${unhealthy} of ${healthy + unhealthy} not healthy`;
}

function describeCertificates(certificates: StatusAnswer["certificates"]): { text: string; few: boolean }[] {
  const shown = certificates.slice(0, MAX_NAMED).map(({ name, days }) => ({
    text: `${cutCell(name, 40)} ${days < 0 ? `ended ${count(-days, "day")} ago` : `for ${count(days, "day")}`}`,
    few: days < FEW_DAYS,
  }));
  const left = certificates.length - shown.length;
  return left > 0 ? [...shown, { text: `and ${left} more`, few: false }] : shown;
}

/** Those that need attention come first. */
function describeLists(lists: StatusAnswer["lists"]): { text: string; isBad: boolean }[] {
  const all = lists.map(({ name, state, entries, failures }) => ({
    text: `${cutCell(name, 30)} ${LIST_STATES[state]}${count(entries, "entry", "entries")}${
      failures === 0 ? "" : `, ${count(failures, "failure")}`
    }`,
    isBad: state === "empty" || state === "failing",
  }));
  const shown = [...all.filter(({ isBad }) => isBad), ...all.filter(({ isBad }) => !isBad)].slice(0, MAX_NAMED);
  const left = all.length - shown.length;
  return left > 0 ? [...shown, { text: `and ${left} more`, isBad: false }] : shown;
}

const LIST_STATES: Readonly<Record<StatusAnswer["lists"][number]["state"], string>> = {
  good: "",
  kept: "(kept, not read yet) ",
  failing: "(newest content not usable) ",
  empty: "(no content yet) ",
};

function drawSeries({ up, down, step_ms: step }: SeriesAnswer, paint: Paint): string[] {
  const per = Math.max(1, Math.round(900_000 / step / SPARKLINE_WIDTH));
  const most = (values: readonly number[]): number => Math.max(0, ...values) / (step / 1000);
  const draw = (title: string, values: readonly number[], look: Look): string =>
    `${title.padEnd(TITLE_WIDTH)}${paint(drawSparkline(values, SPARKLINE_WIDTH, per), look)}  most ${formatRate(most(values))}\n`;
  return ["\n", draw("15 min, up", up, "cyan"), draw("      down", down, "cyan")];
}

/** The first of a list, and how many more there are. */
function nameSome(all: readonly string[]): string {
  const left = all.length - MAX_NAMED;
  return [...all.slice(0, MAX_NAMED), ...(left > 0 ? [`${left} more`] : [])].join(", ");
}

export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(Math.round(bytesPerSecond))}/s`;
}

/** `-` where nothing was measured. */
export function formatMs(ms: number | null): string {
  if (ms === null) return "-";
  return ms < 9.95 ? `${ms.toFixed(1)} ms` : `${formatCount(ms)} ms`;
}

function count(number: number, what: string, several = `${what}s`): string {
  return `${formatCount(number)} ${number === 1 ? what : several}`;
}
