import { isRecord } from "../config/plain-data.ts";
import { asText, measureCell, padCell, writeLine } from "./table-text.ts";

type Row = Readonly<Record<string, unknown>>;

/** Columns of a member; with the spaces between them 80 at most. */
const COLUMNS = [
  { title: "MEMBER", width: 24 },
  { title: "HEALTH", width: 8 },
  { title: "SINCE", width: 5, right: true },
  { title: "CONNS", width: 6, right: true },
  { title: "FAILED", width: 7, right: true },
  { title: "EJECTED", width: 7, right: true },
  { title: "P50/P99 MS", width: 10, right: true },
] as const;

/** Proxies of a PAC file in a table. */
const MAX_PROXIES = 20;

/** Writes upstreams and the members of pools for a person, in 80 columns. */
export function formatUpstreams(upstreams: readonly Row[]): string {
  return upstreams.map(formatUpstream).join("\n");
}

function formatUpstream(upstream: Row): string {
  const { members, kind } = upstream;
  if (!Array.isArray(members)) return writeLine(describeSingle(upstream));
  const rows = members.filter(isRecord);
  const isPac = kind === "pac";
  const shown = isPac ? rows.slice(0, MAX_PROXIES) : rows;
  const left = rows.length - shown.length;
  return [
    ...(isPac ? describePac(upstream, rows) : [describePool(upstream, rows)]).map(writeLine),
    ...(shown.length === 0 ? [] : [writeLine(writeCells(COLUMNS.map(({ title }) => title)))]),
    ...shown.flatMap(formatMember),
    ...(left === 0 ? [] : [writeLine(`  and ${left} more; --json has them all`)]),
  ].join("");
}

/** Where the file is, what is known of it, and what is wrong with it. */
function describePac(upstream: Row, proxies: readonly Row[]): string[] {
  const { name, from, fault, last_read: read, last_change: changed, last_failure: failure } = upstream;
  const healthy = proxies.filter(({ health }) => health === "healthy").length;
  const named = proxies.length === 0 ? "no proxies so far" : `${healthy} of ${count(proxies.length, "proxy")} healthy`;
  const asked = `${count(upstream["queries"], "request")}, ${asText(upstream["failed_queries"])} refused`;
  const before = isRecord(failure)
    ? `    last failure ${formatMoment(failure)}: ${asText(failure["reason"])}`
    : undefined;
  const now = typeof fault === "string" ? `    now: the file ${fault}` : undefined;
  const trouble = now ?? before;
  return [
    `${asText(name)}  pac: ${asText(from)}`,
    `    ${named}, ${asked}`,
    `    read ${formatMoment(read)}, changed ${formatMoment(changed)}`,
    ...(trouble === undefined ? [] : [trouble]),
  ];
}

function formatMoment(time: unknown): string {
  const age = isRecord(time) ? time["age_ms"] : undefined;
  return typeof age === "number" ? `${formatAge(age)} ago` : "never";
}

function describeSingle({ name, kind, address, dialling, dialled, failed }: Row): string {
  return `${asText(name)}  ${asText(kind)}://${asText(address)}: ${count(dialled, "dial")}, ${asText(failed)} failed, ${asText(dialling)} under way`;
}

function describePool({ name, balance, waiting, sessions }: Row, members: readonly Row[]): string {
  const healthy = members.filter(({ health }) => health === "healthy").length;
  const parts = [asText(balance), `${healthy} of ${count(members.length, "member")} healthy`];
  if (waiting !== 0) parts.push(`${asText(waiting)} waiting`);
  if (sessions !== 0) parts.push(count(sessions, "session"));
  return `${asText(name)}  pool: ${parts.join(", ")}`;
}

function formatMember(member: Row): string[] {
  const { name, health, since_ms: sinceMs, connections, max_connections: max } = member;
  const latency = member["latency_ms"];
  const limit = typeof max === "number" && max > 0 ? `/${max}` : "";
  const cells = [
    name,
    health,
    typeof sinceMs === "number" ? formatAge(sinceMs) : "",
    `${asText(connections)}${limit}`,
    member["failed"],
    member["ejections"],
    isRecord(latency) ? `${formatMs(latency["p50"])}/${formatMs(latency["p99"])}` : "-",
  ].map(asText);
  const notes = listNotes(member);
  return [writeLine(writeCells(cells)), ...(notes === "" ? [] : [writeLine(`    ${notes}`)])];
}

/** What is not as usual. */
function listNotes(member: Row): string {
  const { health, reason, weight, backup, disabled, ejected_for_ms: leftMs } = member;
  const notes: string[] = [];
  if (health !== "healthy" && typeof reason === "string") notes.push(reason);
  if (typeof leftMs === "number") notes.push(`for another ${formatAge(leftMs)}`);
  if (disabled === true && health !== "disabled") notes.push("disabled");
  if (backup === true) notes.push("backup");
  if (typeof weight === "number" && weight !== 1) notes.push(`weight ${weight}`);
  return notes.join(", ");
}

/** A name that is too long has a line of its own. */
function writeCells(cells: readonly string[]): string {
  const [name = "", ...rest] = cells;
  const [first, ...columns] = COLUMNS;
  const tail = rest.map((cell, at) => {
    const column = columns[at];
    if (column === undefined) return cell;
    return "right" in column ? cell.padStart(column.width) : cell.padEnd(column.width);
  });
  const head = measureCell(name) > first.width ? `${name}\n  ${"".padEnd(first.width)}` : padCell(name, first.width);
  return `  ${head} ${tail.join(" ")}`;
}

function count(value: unknown, what: string): string {
  const many = what.endsWith("y") ? `${what.slice(0, -1)}ies` : `${what}s`;
  return `${asText(value)} ${value === 1 ? what : many}`;
}

/** Three digits at most: `0.4`, `12`, `1234`. */
function formatMs(value: unknown): string {
  if (typeof value !== "number") return "-";
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}

const UNITS = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "m"],
  [1000, "s"],
] as const;

/** A time in its largest unit: `5m`. */
function formatAge(ms: number): string {
  for (const [size, unit] of UNITS) if (ms >= size) return `${Math.floor(ms / size)}${unit}`;
  return `${Math.floor(ms)}ms`;
}
