import { isRecord } from "../config/plain-data.ts";
import { cutText, escapeText } from "../escape-text.ts";

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

/** Columns of a terminal. */
const WIDTH = 80;

/** Writes upstreams and the members of pools for a person, in 80 columns. */
export function formatUpstreams(upstreams: readonly Row[]): string {
  return upstreams.map(formatUpstream).join("\n");
}

function formatUpstream(upstream: Row): string {
  const { members } = upstream;
  if (!Array.isArray(members)) return writeLine(describeSingle(upstream));
  const rows = members.filter(isRecord);
  return [
    writeLine(describePool(upstream, rows)),
    writeLine(writeCells(COLUMNS.map(({ title }) => title))),
    ...rows.flatMap(formatMember),
  ].join("");
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
  const head = name.length > first.width ? `${name}\n  ${"".padEnd(first.width)}` : name.padEnd(first.width);
  return `  ${head} ${tail.join(" ")}`;
}

function writeLine(text: string): string {
  return text
    .split("\n")
    .map((line) => `${cutText(escapeText(line), WIDTH).trimEnd()}\n`)
    .join("");
}

function asText(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

function count(value: unknown, what: string): string {
  return `${asText(value)} ${what}${value === 1 ? "" : "s"}`;
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
