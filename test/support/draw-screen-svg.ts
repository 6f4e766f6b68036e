import type { Cell, TerminalEmulator } from "./terminal-emulator.ts";

/** Pixels of a cell, and around the screen. */
const WIDTH = 8.4;
const HEIGHT = 18;
const MARGIN = 12;

const BACKGROUND = "#14161a";
const TEXT = "#d6d9de";
const colours: Readonly<Record<string, string>> = {
  "31": "#ff7b72",
  "32": "#7ee787",
  "33": "#e3b341",
  "36": "#76e3ea",
};

/** Draws what a terminal shows as an SVG picture. */
export function drawScreenSvg({ columns, rows, cells }: TerminalEmulator, title: string): string {
  const width = Math.ceil(columns * WIDTH + 2 * MARGIN);
  const height = rows * HEIGHT + 2 * MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeXml(title)}">`,
    `<rect width="${width}" height="${height}" rx="8" fill="${BACKGROUND}"/>`,
    `<g font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="14">`,
    ...cells.flatMap((line, row) => drawLine(line, row)),
    "</g>",
    "</svg>",
    "",
  ].join("\n");
}

/** A text for each run of cells that look alike, at its own column. */
function drawLine(line: readonly Cell[], row: number): string[] {
  const parts: string[] = [];
  for (let at = 0; at < line.length;) {
    const looks = line[at]?.looks ?? "";
    const start = at;
    // A wide character ends its run: fonts have other widths for it.
    while (at < line.length && line[at]?.looks === looks && (at === start || line[at - 1]?.text !== "")) at += 1;
    const text = line
      .slice(start, at)
      .map((cell) => cell.text)
      .join("");
    const codes = looks.split(";");
    const isReversed = codes.includes("7");
    if (text.trim() === "" && !isReversed) continue;
    const x = MARGIN + start * WIDTH;
    const y = MARGIN + row * HEIGHT;
    const colour = codes.map((code) => colours[code]).find((each) => each !== undefined) ?? TEXT;
    const length = (at - start) * WIDTH;
    const shown = isReversed ? text : text.trimEnd();
    if (isReversed)
      parts.push(
        `<rect x="${x.toFixed(1)}" y="${y}" width="${length.toFixed(1)}" height="${HEIGHT}" fill="${colour}"/>`,
      );
    const weight = codes.includes("1") ? ' font-weight="bold"' : "";
    const faint = codes.includes("2") ? ' opacity="0.6"' : "";
    parts.push(
      `<text x="${x.toFixed(1)}" y="${y + 13}" textLength="${(Bun.stringWidth(shown) * WIDTH).toFixed(1)}" lengthAdjust="spacingAndGlyphs" fill="${isReversed ? BACKGROUND : colour}"${weight}${faint}>${escapeXml(shown).replaceAll(" ", "\u00a0")}</text>`,
    );
  }
  return parts;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
