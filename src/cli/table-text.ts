import { cutText, escapeText } from "../escape-text.ts";

/** Columns of a terminal that tables keep within. */
const WIDTH = 80;

/** Lines of a table, each with its line end, within the width, and with nothing that a terminal would obey. */
export function writeLine(text: string): string {
  return text
    .split("\n")
    .map((line) => `${cutText(escapeText(line), WIDTH).trimEnd()}\n`)
    .join("");
}

/** A value of an answer as a cell; nothing where it is neither text nor number. */
export function asText(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}
