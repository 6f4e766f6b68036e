import type { TunnelDetails } from "../../sidecar/tunnel-details.ts";
import { formatBytes, formatDuration } from "../../proxy/record/access-line.ts";
import type { Paint } from "../style.ts";
import { cutCell, fitCell } from "../table-text.ts";

const KEYS: readonly (readonly [keys: string, meaning: string])[] = [
  ["↑ ↓ PgUp PgDn Home End", "choose a row"],
  ["s or →, S or ←", "sort by rate, total, age, user, target, route"],
  ["r", "reverse the order"],
  ["/", "filter: words, anywhere in a row or as user:NAME;"],
  ["", "also target: client: route: rule: sni: id: ja4:"],
  ["Esc", "remove the filter"],
  ["Enter", "open the chosen row: stages, TLS facts, handshake"],
  ["k", "end the chosen row, after asking"],
  ["K", "end all rows of its user, after asking"],
  ["A", "end all rows that the filter shows, after asking"],
  ["p or Space", "pause the table, or go on"],
  ["Ctrl-L, Ctrl-Z", 'draw the screen again; stop until "fg"'],
  ["q, Ctrl-C", "quit"],
];

/** Columns of the names of keys and facts. */
const KEY_WIDTH = 24;
const FACT_WIDTH = 12;

export function drawHelp(columns: number, paint: Paint): string[] {
  return [
    paint(cutCell("Keys", columns), "bold"),
    ...KEYS.map(
      ([keys, meaning]) =>
        `${paint(fitCell(keys, Math.min(KEY_WIDTH, columns)), "bold")}${cutCell(meaning, columns - KEY_WIDTH)}`,
    ),
    "",
    cutCell("Speeds are those of the last second. Dial times are those of the last minute.", columns),
  ];
}

/** One tunnel in full, or why it cannot be shown. */
export function drawDetails(found: TunnelDetails | string | undefined, columns: number, paint: Paint): string[] {
  if (found === undefined) return [cutCell("Asking the sidecar…", columns)];
  if (typeof found === "string") return [cutCell(found, columns)];
  const { tls } = found;
  const facts: readonly (readonly [name: string, value: string | undefined])[] = [
    ["client", `${found.client}${found.user === undefined ? "" : `, user ${found.user}`}, by ${found.listener}`],
    ["target", `${found.target ?? "-"}${found.dialled === undefined ? "" : `, dialled ${found.dialled}`}`],
    [
      "route",
      [found.member ?? found.route ?? "-", ...(found.rule === undefined ? [] : [`rule ${found.rule}`])].join(", "),
    ],
    [
      "moved",
      `${formatBytes(found.bytes_up)} up, ${formatBytes(found.bytes_down)} down, in ${formatDuration(found.age_ms)}`,
    ],
    ["waits for", found.limit],
    ["inside", [found.inside, tls?.version, tls?.cipher].filter((each) => each !== undefined).join(", ") || undefined],
    ["SNI, ALPN", tls && [tls.sni ?? "-", tls.alpn_chosen ?? tls.alpn ?? "-"].join(", ")],
    ["JA4", tls?.ja4],
    ["certificate", tls?.certificate_expires && `ends ${tls.certificate_expires}`],
  ];
  const { messages, hidden } = found.handshake;
  return [
    paint(cutCell(`${found.kind} ${found.id}`, columns), "bold"),
    ...facts.flatMap(([name, value]) =>
      value === undefined
        ? []
        : [`${fitCell(name, Math.min(FACT_WIDTH, columns))}${cutCell(value, columns - FACT_WIDTH)}`],
    ),
    `${fitCell("stages", Math.min(FACT_WIDTH, columns))}${cutCell(found.stages.map(({ name, ms }) => `${name} ${formatDuration(ms)}`).join(", "), columns - FACT_WIDTH)}`,
    ...messages.map(({ from, name, bytes, at_ms: at }) =>
      cutCell(
        `${from === "client" ? "  → " : "  ← "}${name}, ${formatBytes(bytes)}, after ${formatDuration(at)}`,
        columns,
      ),
    ),
    ...(hidden === undefined ? [] : [cutCell(`    ${hidden}`, columns)]),
  ];
}
