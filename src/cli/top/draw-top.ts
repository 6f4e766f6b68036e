import { formatBytes, formatClock } from "../../proxy/record/access-line.ts";
import { formatMs, formatRate } from "../status-screen.ts";
import { drawSparkline, type Look, type Paint } from "../style.ts";
import { cutCell, fitCell, formatAge, formatCount, measureCell } from "../table-text.ts";
import { describeTarget } from "../tunnels-table.ts";
import type { Sort } from "./arrange-rows.ts";
import { drawDetails, drawHelp } from "./draw-over.ts";
import type { LiveModel, LiveRow } from "./live-model.ts";
import type { TopView } from "./top-view.ts";

/** What a picture is made of. */
export interface Scene {
  readonly model: LiveModel;
  readonly view: TopView;
  readonly columns: number;
  readonly rows: number;
  /** The clock of the rows, and the time of day. */
  readonly now: number;
  readonly time: Date;
  readonly paint: Paint;
}

/** Lines above the rows, titles included; and below. */
const HEAD_LINES = 6;
const FOOT_LINES = 2;

/** Rows of the table that a screen has room for. */
export function countRoom(rows: number): number {
  return Math.max(1, rows - HEAD_LINES - FOOT_LINES);
}

/** Draws the screen, a text for each of its lines, none wider than it is. */
export function drawTop(scene: Scene): string[] {
  const { view, rows, columns, paint } = scene;
  const room = countRoom(rows);
  const body =
    view.over === undefined
      ? drawTable(scene, room)
      : view.over.kind === "help"
        ? drawHelp(columns, paint)
        : drawDetails(view.over.found, columns, paint);
  const shown = body.slice(0, room + 1);
  const lines = [
    ...drawHead(scene),
    ...shown,
    ...Array.from({ length: room + 1 - shown.length }, () => ""),
    drawNote(scene),
    drawKeys(scene),
  ];
  return lines.slice(0, rows);
}

/** Parts of a line side by side, as many as there is room for; the others are left out whole. */
function joinParts(
  parts: readonly (readonly [text: string, ...looks: Look[]])[],
  columns: number,
  paint: Paint,
): string {
  let line = "";
  let used = 0;
  for (const [text, ...looks] of parts) {
    const cut = cutCell(text, columns);
    const width = measureCell(cut) + (used === 0 ? 0 : 2);
    if (used + width > columns) continue;
    line += `${used === 0 ? "" : "  "}${paint(cut, ...looks)}`;
    used += width;
  }
  return line;
}

function drawHead({ model, view, columns, time, paint }: Scene): string[] {
  const { status } = view;
  const { point } = model;
  const clock = formatClock(time.toISOString());
  const state =
    status === undefined ? "" : `${status.phase.replaceAll("_", " ")}, ${status.ready ? "ready" : "not ready"}`;
  const first = joinParts(
    [
      [`penstock ${status?.version ?? ""}`.trim(), "bold"],
      [state, status?.ready === false ? "red" : "green"],
      [status === undefined ? "" : `for ${formatAge(status.uptime_ms)}`],
    ],
    columns - clock.length - 2,
    paint,
  );
  const counts = joinParts(
    [
      [`tunnels ${formatCount(point?.tunnels ?? 0)}`, "bold"],
      [`connections ${formatCount(point?.connections ?? 0)}`],
      [`opened ${formatCount(point?.connects ?? 0)}/s`],
      [`requests ${formatCount(point?.requests ?? 0)}/s`],
      [`refused ${formatCount(point?.refused ?? 0)}/s`, ...((point?.refused ?? 0) > 0 ? (["yellow"] as const) : [])],
    ],
    columns,
    paint,
  );
  const { p50, p99 } = status?.dial_ms ?? { p50: null, p99: null };
  return [
    alignRight(first, clock, columns),
    counts,
    drawCurve("up  ", model.up, `dial p50 ${formatMs(p50)}`, columns, paint),
    drawCurve("down", model.down, `     p99 ${formatMs(p99)}`, columns, paint),
    drawState(view, columns, paint),
  ];
}

function alignRight(left: string, right: string, columns: number): string {
  const gap = columns - Bun.stringWidth(left) - right.length;
  return gap < 1 ? left : `${left}${" ".repeat(gap)}${right}`;
}

/** The speed now, its curve, and a figure beside it. */
function drawCurve(title: string, values: readonly number[], figure: string, columns: number, paint: Paint): string {
  const speed = formatRate(values.at(-1) ?? 0).padStart(10);
  const width = columns - title.length - speed.length - FIGURE_WIDTH - 5;
  if (width < 5) return `${title} ${paint(cutCell(speed, columns - title.length - 1), "bold")}`;
  const curve = drawSparkline(values, width);
  return `${title} ${paint(speed, "bold")}  ${paint(curve, "cyan")}  ${fitCell(figure, FIGURE_WIDTH)}`.trimEnd();
}

const FIGURE_WIDTH = 17;

/** What an operator should look at: refusals, members that are out, certificates, warnings. */
function drawState({ status }: TopView, columns: number, paint: Paint): string {
  if (status === undefined) return "";
  const { refusals, upstreams, certificates, warnings } = status;
  const words = Object.entries(refusals).slice(0, 3);
  const [certificate] = certificates;
  return joinParts(
    [
      ...(upstreams.unhealthy > 0
        ? ([[`${upstreams.unhealthy} of ${upstreams.healthy + upstreams.unhealthy} upstreams out`, "yellow"]] as const)
        : []),
      ...(certificate !== undefined && certificate.days < 14
        ? ([[`certificate ends in ${certificate.days} days`, "yellow"]] as const)
        : []),
      ...warnings.map((warning) => [warning, "yellow"] as const),
      [
        words.length === 0
          ? "nothing refused in 15 min"
          : `refused in 15 min: ${words.map(([word, number]) => `${word} ${formatCount(number)}`).join(", ")}`,
      ],
    ],
    columns,
    paint,
  );
}

interface Column {
  readonly title: string;
  readonly width: number;
  readonly right?: boolean;
  readonly sort?: Sort;
  /** The screen has at least so many columns. */
  readonly from?: number;
  readonly read: (row: LiveRow, now: number) => string;
}

const COLUMNS: readonly Column[] = [
  { title: "USER", width: 10, sort: "user", read: ({ user = "-" }) => user },
  { title: "TARGET", width: 0, sort: "target", read: describeTarget },
  { title: "ROUTE", width: 8, sort: "route", read: ({ route = "-" }) => route },
  { title: "CLIENT", width: 21, from: 110, read: ({ client }) => client },
  { title: "SNI", width: 24, from: 140, read: ({ tls }) => tls?.sni ?? "" },
  { title: "ID", width: 12, from: 170, read: ({ id }) => id },
  { title: "AGE", width: 6, right: true, sort: "age", read: ({ since }, now) => formatAge(now - since) },
  { title: "UP/S", width: 8, right: true, sort: "rate", read: ({ up }) => formatBytes(Math.round(up)) },
  { title: "DOWN/S", width: 8, right: true, sort: "rate", read: ({ down }) => formatBytes(Math.round(down)) },
  {
    title: "TOTAL",
    width: 8,
    right: true,
    sort: "total",
    read: ({ bytes_up: up, bytes_down: down }) => formatBytes(up + down),
  },
];

/** Columns that the target needs at least. */
const LEAST_TARGET = 12;

function chooseColumns(columns: number): Column[] {
  const chosen = COLUMNS.filter(({ from = 0 }) => columns >= from);
  const used = (): number => chosen.reduce((sum, { width }) => sum + width + 1, -1);
  // Narrower than 80: the target first, and what it costs last.
  for (const title of ["ROUTE", "AGE", "USER", "TOTAL", "UP/S"])
    if (columns - used() < LEAST_TARGET)
      chosen.splice(
        chosen.findIndex((each) => each.title === title),
        1,
      );
  const rest = Math.max(1, columns - used());
  return chosen.map((column) => (column.width === 0 ? { ...column, width: rest } : column));
}

function drawTable({ view, columns, now, paint }: Scene, room: number): string[] {
  const chosenColumns = chooseColumns(columns);
  const arrow = view.reversed ? "▲" : "▼";
  const titles = chosenColumns.map((column) => {
    const text = column.sort === view.sort ? `${column.title}${arrow}` : column.title;
    return fitCell(text, column.width, column.right === true ? "right" : "left");
  });
  const rows = view.rows.slice(view.first, view.first + room).map((row, at) => {
    const isIdle = row.up + row.down === 0;
    const line = placeCells(
      chosenColumns,
      chosenColumns.map((column) =>
        fitCell(column.read(row, now), column.width, column.right === true ? "right" : "left"),
      ),
    );
    if (view.first + at === view.chosenAt) return paint(line, "reversed");
    return isIdle ? paint(line, "dim") : line;
  });
  const empty = view.filter === "" ? "No tunnels." : "No tunnels match the filter.";
  return [
    paint(fitCell(titles.join(" "), columns), "bold", "cyan"),
    ...(rows.length === 0 ? [paint(cutCell(empty, columns), "dim")] : rows),
  ];
}

/** Cells side by side. After one that a terminal may take for wider or narrower than we do, the next is placed by its column. */
function placeCells(columns: readonly Column[], cells: readonly string[]): string {
  let line = "";
  let at = 1;
  let isSure = true;
  for (const [index, { width }] of columns.entries()) {
    const cell = cells[index] ?? "";
    if (index > 0) line += isSure ? " " : ` \u001b[${at}G`;
    line += cell;
    isSure = /^[\x20-\x7e…]*$/.test(cell);
    at += width + 1;
  }
  return line;
}

/** The question, the filter being written, what came of the last key, or what is shown. */
function drawNote({ view, model, columns, paint }: Scene): string {
  if (view.question !== undefined)
    return paint(fitCell(`${cutCell(view.question.text, columns - 14)} Press y or n.`, columns), "bold", "yellow");
  if (view.isFiltering) return paint(cutCell(`Filter: ${view.filter}_`, columns), "bold");
  if (view.message !== undefined)
    return paint(cutCell(view.message.text, columns), ...(view.message.isTrouble ? (["yellow"] as const) : []));
  const order = `by ${view.sort}${view.reversed ? ", reversed" : ""}`;
  const known = model.size < model.total ? ` (of ${formatCount(model.total)}: only the oldest are here)` : "";
  const parts = [
    `${formatCount(view.rows.length)} of ${formatCount(model.size)}${known}`,
    order,
    ...(view.filter === "" ? [] : [`filter: ${view.filter}`]),
    ...(view.isPaused ? ["PAUSED"] : []),
  ];
  return paint(cutCell(parts.join(" · "), columns), ...(view.isPaused ? (["yellow"] as const) : []));
}

function drawKeys({ view, columns, paint }: Scene): string {
  const keys =
    view.over !== undefined
      ? "any key back  k end  Ctrl-C quit"
      : view.isFiltering
        ? "Enter keep  Esc undo  Ctrl-U clear  words, or user: target: client: route: rule: sni:"
        : "q quit  ↑↓ choose  s sort  / filter  k end  Enter open  p pause  ? help";
  return paint(fitCell(keys, columns), "reversed");
}
