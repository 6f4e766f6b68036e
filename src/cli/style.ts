import type { CliIo } from "./io.ts";

/** How a text is shown. Bold, dim and reversed are no colours. */
export type Look = "bold" | "dim" | "reversed" | "red" | "green" | "yellow" | "blue" | "cyan";

const codes: Readonly<Record<Look, string>> = {
  bold: "1",
  dim: "2",
  reversed: "7",
  red: "31",
  green: "32",
  yellow: "33",
  blue: "34",
  cyan: "36",
};
const plainLooks: ReadonlySet<Look> = new Set(["bold", "dim", "reversed"]);

/** Writes a text in looks. It is escaped and measured already. */
export type Paint = (text: string, ...looks: readonly Look[]) => string;

/** What a terminal is told: everything, no colours (NO_COLOR), or nothing at all. */
export type Colours = "all" | "none" | "plain";

/**
 * What standard output is told: nothing where it is no terminal, or a dumb one.
 * FORCE_COLOR (https://force-color.org) is for pipes whose reader shows colours, and
 * goes before NO_COLOR (https://no-color.org); "0" and "false" are no colours.
 */
export function wantsColour({ terminal, variables }: Pick<CliIo, "terminal" | "variables">): Colours {
  const { FORCE_COLOR: forced = "", NO_COLOR: refused = "", TERM: kind } = variables;
  const isOff = forced === "0" || forced === "false";
  if (forced !== "" && !isOff) return "all";
  if (!terminal || kind === "dumb") return "plain";
  return refused === "" && !isOff ? "all" : "none";
}

/** Makes the writer for a kind of output. */
export function createPaint(colours: Colours): Paint {
  if (colours === "plain") return (text) => text;
  return (text, ...looks) => {
    const used = looks.filter((look) => colours === "all" || plainLooks.has(look));
    return used.length === 0 || text === ""
      ? text
      : `\u001b[${used.map((look) => codes[look]).join(";")}m${text}\u001b[0m`;
  };
}

const BARS = "▁▂▃▄▅▆▇█";

/** The newest values in `width` columns, each the mean of as many as it takes, from nothing to the largest. */
export function drawSparkline(values: readonly number[], width: number, per = 1): string {
  const newest = values.slice(-width * per);
  const means: number[] = [];
  // From the end, so that the newest column is whole.
  for (let end = newest.length; end > 0; end -= per) {
    const part = newest.slice(Math.max(0, end - per), end);
    means.unshift(part.reduce((sum, value) => sum + value, 0) / part.length);
  }
  const most = Math.max(...means, 0);
  const bars = means.map((mean) =>
    mean <= 0 ? " " : (BARS[Math.min(BARS.length - 1, Math.floor((mean / most) * BARS.length))] ?? " "),
  );
  return bars.join("").padStart(width);
}
