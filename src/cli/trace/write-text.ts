import { escapeText } from "../../escape-text.ts";
import type { Look, Paint } from "../style.ts";
import type { TlsSummary } from "./list-tls-steps.ts";
import { nameParty, type TraceDescription } from "./list-steps.ts";
import type { TraceRecord } from "./trace-record.ts";
import { formatTraceTarget } from "./trace-request.ts";
import type { Party, TraceLayer, TraceStep } from "./trace-step.ts";

/** Columns of the diagram: times on the left, the life lines, sizes on the right. */
const WIDTH = 100;
const FIRST_LINE = 11;
const LAST_LINE = 87;
/** Where the values of fields begin, after the first life line. */
const LABEL_WIDTH = 22;

const LOOKS: Readonly<Record<TraceLayer, Look>> = {
  dns: "blue",
  tcp: "blue",
  proxy: "yellow",
  tls: "cyan",
  http: "green",
};

/** Writes a trace as a sequence diagram of 100 columns. */
export function writeTraceText(record: TraceRecord, description: TraceDescription, paint: Paint): string {
  const canvas = new Canvas(record, paint);
  const { steps } = description;
  const lines = [...canvas.head(), ...steps.flatMap((step) => [...canvas.arrow(step), ...canvas.details(step)])];
  lines.push(canvas.lifeLines(), "", ...canvas.foot(description));
  return `${lines.map((line) => line.trimEnd()).join("\n")}\n`;
}

class Canvas {
  readonly #record: TraceRecord;
  readonly #paint: Paint;
  /** The columns of the life lines. */
  readonly #columns: ReadonlyMap<Party, number>;

  constructor(record: TraceRecord, paint: Paint) {
    this.#record = record;
    this.#paint = paint;
    this.#columns = new Map<Party, number>([
      ["client", FIRST_LINE],
      ...(record.request.proxy ? [["proxy", Math.floor((FIRST_LINE + LAST_LINE) / 2)] as const] : []),
      ["server", LAST_LINE],
    ]);
  }

  head(): string[] {
    const { request } = this.#record;
    const title = `trace of ${formatTraceTarget(request.target)}, ${new Date(this.#record.startedAt).toISOString()}`;
    let names = "       ms".padEnd(FIRST_LINE - 2);
    for (const [party, column] of this.#columns) {
      const name = escapeText(nameParty(party, this.#record));
      // Around its line, as far as there is room.
      const start = Math.min(
        Math.max(names.length + 2, column - Math.floor(name.length / 2)),
        Math.max(WIDTH - name.length, 0),
      );
      names = `${names.padEnd(start)}${name}`;
    }
    return [this.#paint(escapeText(title), "bold"), "", names, this.lifeLines()];
  }

  lifeLines(): string {
    return this.#overlay("", FIRST_LINE);
  }

  /** The row with the arrow of a step; a name that does not fit into the arrow has a row of its own. */
  arrow(step: TraceStep): string[] {
    const { from, to, layer, bytes } = step;
    const time = step.at.toFixed(3).padStart(9);
    const name = describeName(step);
    if (from === "dns" || to === "dns") return [this.#row(time, `DNS ${name}`, layer, "")];
    const columns = [this.#columns.get(from) ?? FIRST_LINE, this.#columns.get(to) ?? LAST_LINE];
    const [left, right] = [Math.min(...columns), Math.max(...columns)];
    const size = bytes === undefined ? "" : formatBytes(bytes).padStart(WIDTH - LAST_LINE - 2);
    const room = right - left - 1;
    const fits = name.length <= room - 6;
    const inside = fits ? ` ${name} ` : "";
    const forward = left === columns[0];
    const body = forward ? `──${inside}`.padEnd(room - 1, "─") : `──${inside}`.padEnd(room - 2, "─");
    const arrow = forward ? `├${body}▶│` : `│◀${body}─┤`;
    const before = this.#overlay("", FIRST_LINE).slice(FIRST_LINE, left);
    const after = this.#overlay("", FIRST_LINE).slice(right + 1);
    const painted = `${time}  ${before}${this.#paint(arrow, LOOKS[layer])}${after.padEnd(LAST_LINE - right)} ${size}`;
    return fits ? [painted] : [this.#row("".padStart(9), name, layer, ""), painted];
  }

  /** The fields of a step, under its arrow. */
  details({ fields }: TraceStep): string[] {
    return fields.flatMap(({ label, value }) => {
      const text = typeof value === "string" ? value : value.join(", ");
      return wrap(escapeText(text), WIDTH - FIRST_LINE - 3 - LABEL_WIDTH).map((part, index) => {
        const shown = index === 0 ? escapeText(label).slice(0, LABEL_WIDTH - 2) : "";
        return this.#overlay(`${shown.padEnd(LABEL_WIDTH - 1)} ${part}`, FIRST_LINE + 3, "dim");
      });
    });
  }

  foot({ tls, proxyTls, notes }: TraceDescription): string[] {
    const { failure, endedAt } = this.#record;
    const lines: string[] = [];
    if (proxyTls !== undefined) lines.push(...writeEntry("to proxy", describeTls(proxyTls)));
    if (tls !== undefined) lines.push(...writeEntry("agreed", describeTls(tls)));
    if (proxyTls !== undefined || tls !== undefined)
      lines.push(
        ...writeEntry("legend", "{…} was encrypted on the wire, and is read with the keys of this connection"),
      );
    for (const note of notes) lines.push(...writeEntry("note", note));
    if (failure === undefined) return [...lines, ...writeEntry("done", `in ${endedAt.toFixed(1)} ms`)];
    const failed = writeEntry("failed", `${failure.stage}, after ${failure.at.toFixed(1)} ms: ${failure.text}.`);
    return [...lines, ...failed.map((line) => this.#paint(line, "red"))];
  }

  #row(time: string, text: string, layer: TraceLayer, size: string): string {
    const painted = this.#overlay(text, FIRST_LINE + 3, LOOKS[layer]);
    return `${time}${painted.slice(9)}${size}`;
  }

  /** A row of life lines with `text` over them from `column` on. */
  #overlay(text: string, column: number, look?: Look): string {
    const end = text === "" ? column : column + text.length + 1;
    let row = "";
    for (let at = 0; at < column; at += 1) row += this.#isLine(at) ? "│" : " ";
    row += look === undefined ? text : this.#paint(text, look);
    if (text !== "") row += " ";
    for (let at = end; at <= LAST_LINE; at += 1) row += this.#isLine(at) ? "│" : " ";
    return row;
  }

  #isLine(column: number): boolean {
    return [...this.#columns.values()].includes(column);
  }
}

/** A line under the diagram: what it is, and the rest from where the first life line was. */
function writeEntry(label: string, text: string): string[] {
  return wrap(escapeText(text), WIDTH - FIRST_LINE).map(
    (part, index) => `${(index === 0 ? label : "").padEnd(FIRST_LINE)}${part}`,
  );
}

function describeName({ name, sealed }: TraceStep): string {
  const text = escapeText(name);
  return sealed === true ? `{${text}}` : text;
}

function describeTls({ version, cipherSuite, group, alpn, handshakeMs }: TlsSummary): string {
  return [
    version,
    cipherSuite,
    group,
    alpn && `ALPN ${alpn}`,
    handshakeMs !== undefined && `handshake ${handshakeMs.toFixed(1)} ms`,
  ]
    .filter((part) => typeof part === "string" && part !== "")
    .join(", ");
}

function formatBytes(bytes: number): string {
  return `${bytes.toLocaleString("en-US")} B`;
}

/** Breaks at spaces where it can, anywhere where it must. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > width) {
    const space = rest.lastIndexOf(" ", width);
    const end = space > width / 3 ? space : width;
    lines.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return [...lines, rest];
}
