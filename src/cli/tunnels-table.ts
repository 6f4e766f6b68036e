import { formatBytes } from "../proxy/record/access-line.ts";
import type { TunnelRow } from "../sidecar/tunnel-row.ts";
import { fitCell, formatAge, writeLine } from "./table-text.ts";

/** Columns; with the spaces between them 80. */
const COLUMNS = [
  { title: "ID", width: 11 },
  { title: "USER", width: 10 },
  { title: "TARGET", width: 23 },
  { title: "ROUTE", width: 8 },
  { title: "AGE", width: 6, right: true },
  { title: "UP", width: 8, right: true },
  { title: "DOWN", width: 8, right: true },
] as const;

/** Writes tunnels and forwarded requests under way for a person, in 80 columns; what does not fit is cut. */
export function formatTunnels(rows: readonly TunnelRow[]): string {
  return [COLUMNS.map(({ title }) => title), ...rows.map(listCells)]
    .map((cells) => writeLine(fitCells(cells)))
    .join("");
}

function listCells(row: TunnelRow): string[] {
  return [
    row.id,
    row.user ?? "-",
    describeTarget(row),
    row.route ?? "-",
    formatAge(row.age_ms),
    formatBytes(row.bytes_up),
    formatBytes(row.bytes_down),
  ];
}

/** Where it leads; of a forwarded request with its method. */
export function describeTarget({ kind, method, target }: Pick<TunnelRow, "kind" | "method" | "target">): string {
  const where = target ?? "-";
  return kind === "request" && method !== undefined ? `${method} ${where}` : where;
}

/** An id is never cut, since it is typed: one that is too long moves the columns beside it. */
function fitCells(cells: readonly string[]): string {
  return COLUMNS.map((column, at) => {
    const cell = cells[at] ?? "";
    if (at === 0) return cell.padEnd(column.width);
    return fitCell(cell, column.width, "right" in column ? "right" : "left");
  }).join(" ");
}
