/**
 * Writes the lists at the end of docs/operations.md anew, from the code:
 * `bun test/support/write-operations-reference.ts`.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describeFailure, listFailureDetails } from "../../src/proxy/failure.ts";
import type { TunnelEnd } from "../../src/proxy/flow/tunnel.ts";
import { ACCESS_FIELDS, TLS_FIELDS } from "../../src/proxy/record/access-fields.ts";
import { EVENTS } from "../../src/proxy/record/events/event.ts";
import type { Stage } from "../../src/proxy/record/request-record.ts";
import { writeReasonPhrase } from "../../src/proxy/read/reason-phrase.ts";

export const OPERATIONS_FILE: string = join(import.meta.dir, "../../docs/operations.md");
const SOURCES = join(import.meta.dir, "../../src");
/** Everything after it is generated. */
const MARK = "<!-- `bun run docs` writes everything below this line. -->\n";

/** Functions that make a family and are named after its type. */
const TYPES: ReadonlySet<string> = new Set(["counter", "gauge", "histogram", "info"]);

/** The words of `end`. */
const TUNNEL_ENDS: Readonly<Record<TunnelEnd, string>> = {
  closed: "Both sides closed it.",
  client_reset: "The client reset it, or vanished.",
  target_reset: "The target reset it, or vanished.",
  idle_timeout: "No byte passed for `timeouts.idle`.",
  killed: "An operator ended it.",
  drained: "The proxy ended, and its time to drain was over.",
  denied: "A rule denied what the client said inside, or the rules of a reload did (`reload.endDenied`).",
  quota_exceeded: "Its user used up a quota (`limits.onQuota`).",
  lane_lost: "The thread that carried it died.",
};

/** The words of `stage`, and the keys of `stage_ms`. */
const STAGE_FIELDS: Readonly<Record<Stage, string>> = {
  accept: "Slots, PROXY header and TLS of the listener.",
  handshake: "The first message: a request head, or the greeting of SOCKS.",
  authenticate: "Who the client is.",
  request: "What it asks for.",
  decide: "The rules, with the names that they need resolved.",
  route: "Which upstreams.",
  dial: "Connecting, through every hop.",
  respond: "The reply that opens a tunnel, or refuses.",
  tunnel: "Bytes both ways.",
  forward: "A forwarded request and its response.",
};

/** A metric as the source describes it. */
export interface MetricDescription {
  readonly name: string;
  readonly type: string;
  readonly help: string;
}

/** Every metric that the source makes: those that are absent without their feature as well. */
export async function listMetrics(): Promise<MetricDescription[]> {
  const found = new Map<string, MetricDescription>();
  const files = await readdir(SOURCES, { recursive: true });
  for (const file of files.filter((name) => name.endsWith(".ts"))) {
    const text = await Bun.file(join(SOURCES, file)).text();
    for (const [, maker = "", name = "", help = ""] of text.matchAll(
      /\b(\w+)\(\s*"((?:penstock|process)_[a-z0-9_]+)",\s*"((?:[^"\\]|\\.)+)"/g,
    )) {
      const type = TYPES.has(maker) ? maker : "gauge";
      found.set(name, { name, type, help: JSON.parse(`"${help}"`) as string });
    }
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The text of docs/operations.md with its lists as the code has them. */
export async function writeOperations(text: string): Promise<string> {
  const [before = ""] = text.split(MARK);
  const parts = [
    "## Fields of access lines",
    'The fields of `log.access: "json"`, and of events about requests. What is not known is absent.',
    table(["field", "content"], entries(ACCESS_FIELDS)),
    "The fields of `tls`:",
    table(["field", "content"], entries(TLS_FIELDS)),
    "The stages of a request, in `stage` and `stage_ms`:",
    table(["stage", "what happens"], entries(STAGE_FIELDS)),
    "The words of `end`:",
    table(["word", "how the tunnel ended"], entries(TUNNEL_ENDS)),
    "## Types of events",
    "Every event has `v`, `event`, `event_id` and `time`.",
    table(
      ["type", "when", "fields"],
      [
        ...Object.entries(EVENTS).map(([type, { when, fields }]) => [`\`${type}\``, when, fields]),
        [
          "`lost`",
          "Events are missing from this stream.",
          "`count`, and `why`: `slow` (this client did not read), `rate` (too many in a second) or `gone` (not kept any more).",
        ],
      ],
    ),
    "## Failure words",
    "The word (`detail`) is in the access line, in `Proxy-Status` (`details`), in the body of the refusal, in events and metrics. `error` is its error type of RFC 9209. “Look at” is the party that can mend it. `{peer}` stands for the target or the upstream.",
    table(
      ["word", "status", "error", "look at", "meaning", "status line"],
      listFailureDetails().map((detail) => {
        const { word, status, blame, text: meaning } = describeFailure(detail);
        return [
          `\`${detail}\``,
          String(status),
          `\`${word}\``,
          blame,
          meaning,
          writeReasonPhrase({ detail }, undefined),
        ];
      }),
    ),
    "## Metrics",
    "What `/metrics` has. Metrics of a feature that is off are absent.",
    table(
      ["metric", "type", "meaning"],
      (await listMetrics()).map(({ name, type, help }) => [`\`${name}\``, type, help]),
    ),
  ];
  return `${before}${MARK}\n${parts.join("\n\n")}\n`;
}

function entries(fields: Readonly<Record<string, string>>): string[][] {
  return Object.entries(fields).map(([name, content]) => [`\`${name}\``, content]);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

if (import.meta.main) await Bun.write(OPERATIONS_FILE, await writeOperations(await Bun.file(OPERATIONS_FILE).text()));
