import { escapeText } from "../escape-text.ts";

/** Columns of a terminal that tables keep within. */
const WIDTH = 80;

const printable = /^[\x20-\x7e]*$/;
const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
/** Code points of one character on the screen: marks without end would be drawn over other lines. */
const MAX_POINTS = 4;

/** Lines of a table, each with its line end, within the width, and with nothing that a terminal would obey. */
export function writeLine(text: string): string {
  return text
    .split("\n")
    .map((line) => `${cutCell(line, WIDTH).trimEnd()}\n`)
    .join("");
}

/** A value of an answer as a cell; nothing where it is neither text nor number. */
export function asText(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

/** Columns that a text takes on a terminal, once it is escaped. */
export function measureCell(text: string): number {
  return printable.test(text) ? text.length : Bun.stringWidth(boundMarks(escapeText(text)));
}

/** A text without what a terminal would obey, in at most `width` columns; one that is cut ends in `…`. */
export function cutCell(text: string, width: number): string {
  if (width <= 0) return "";
  if (printable.test(text)) return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
  const safe = boundMarks(escapeText(text));
  if (Bun.stringWidth(safe) <= width) return safe;
  let cut = "";
  let left = width - 1;
  for (const { segment } of graphemes.segment(safe)) {
    left -= Bun.stringWidth(segment);
    if (left < 0) break;
    cut += segment;
  }
  return `${cut}…`;
}

/** A text in exactly `width` columns. */
export function fitCell(text: string, width: number, side: "left" | "right" = "left"): string {
  const cut = cutCell(text, width);
  const rest = " ".repeat(Math.max(0, width - measureCell(cut)));
  return side === "left" ? `${cut}${rest}` : `${rest}${cut}`;
}

/** A text in at least `width` columns: one that is longer stays whole. */
export function padCell(text: string, width: number): string {
  return `${escapeText(text)}${" ".repeat(Math.max(0, width - measureCell(text)))}`;
}

function boundMarks(text: string): string {
  if (!/\p{M}{4}/u.test(text)) return text;
  return Array.from(graphemes.segment(text), ({ segment }) => Array.from(segment).slice(0, MAX_POINTS).join("")).join(
    "",
  );
}

/** A time in at most two units and six columns: `12s`, `2m05s`, `3h12m`, `12d03h`. */
export function formatAge(ms: number): string {
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${pad(seconds % 60)}s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h${pad(Math.floor((seconds % 3600) / 60))}m`;
  return `${Math.floor(seconds / 86_400)}d${pad(Math.floor((seconds % 86_400) / 3600))}h`;
}

/** A number with commas between thousands. */
export function formatCount(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}
