import { escapeText } from "../../escape-text.ts";
import { nameParty, type TraceDescription } from "./list-steps.ts";
import type { TraceRecord } from "./trace-record.ts";
import type { Party, TraceStep } from "./trace-step.ts";

const IDS: Readonly<Record<Party, string>> = { client: "C", dns: "D", proxy: "P", server: "S" };

/** Characters of a value that are shown: a diagram is no place for all 16 cipher suites. */
const MAX_VALUE = 80;

/** Writes a trace as a sequence diagram of Mermaid (https://mermaid.js.org/syntax/sequenceDiagram.html). */
export function writeTraceMermaid(record: TraceRecord, { steps, notes }: TraceDescription): string {
  const parties = (["client", "dns", "proxy", "server"] as const).filter(
    (party) => party === "client" || party === "server" || steps.some(({ from, to }) => from === party || to === party),
  );
  const lines = ["sequenceDiagram"];
  for (const party of parties)
    lines.push(`    participant ${IDS[party]} as ${escapeMermaid(nameParty(party, record))}`);
  lines.push(...steps.map(writeArrow));
  const across = `${IDS.client},${IDS.server}`;
  if (record.failure !== undefined)
    lines.push(
      `    Note over ${across}: failed: ${escapeMermaid(record.failure.stage)}. ${escapeMermaid(record.failure.text)}`,
    );
  for (const note of notes) lines.push(`    Note over ${across}: ${escapeMermaid(note)}`);
  return `${lines.join("\n")}\n`;
}

function writeArrow(step: TraceStep): string {
  const { from, to, name, at, bytes, fields, telling, sealed } = step;
  const shown = fields.filter(({ label }) => telling.includes(label));
  const parts = [
    sealed === true ? `{${escapeMermaid(name)}}` : escapeMermaid(name),
    ...shown.map(
      ({ label, value }) =>
        `${escapeMermaid(label)}: ${escapeMermaid(cut(typeof value === "string" ? value : value.join(", ")))}`,
    ),
    `${at.toFixed(1)} ms${bytes === undefined ? "" : `, ${bytes} byte${bytes === 1 ? "" : "s"}`}`,
  ];
  const line = from === "client" ? "->>" : "-->>";
  return `    ${IDS[from]}${line}${IDS[to]}: ${parts.join("<br/>")}`;
}

function cut(text: string): string {
  return text.length <= MAX_VALUE ? text : `${text.slice(0, MAX_VALUE - 1)}…`;
}

/** What has a meaning in Mermaid or in HTML, as the entity codes that Mermaid wants. */
function escapeMermaid(text: string): string {
  return escapeText(text).replace(/[#;<>&"%]/g, (character) => `#${character.charCodeAt(0)};`);
}
