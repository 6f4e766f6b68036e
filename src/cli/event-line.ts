import { cutText, escapeText } from "../escape-text.ts";
import { formatBytes, formatClock, formatDuration } from "../proxy/record/access-line.ts";

type Event = Readonly<Record<string, unknown>>;

/** UTF-16 code units of a value in a line. */
const VALUE_LIMIT = 200;

/** One line about an event for people, without the line end, in local time. */
export function formatEventLine(event: Event): string {
  const type = show(event["event"]) ?? "unknown";
  const time = show(event["time"]);
  const clock = time === undefined ? "--:--:--" : formatClock(time);
  return `${clock} ${type.padEnd(13)} ${describe(type, event).join(" ")}`.trimEnd();
}

function describe(type: string, event: Event): string[] {
  switch (type) {
    case "refused":
    case "tunnel_opened":
    case "tunnel_ended":
    case "request_done":
      return describeRequest(type, event);
    case "upstream":
      return describeUpstream(event);
    case "lost":
      return [
        `${show(event["count"])} events, because ${LOSSES[show(event["why"]) ?? ""] ?? "this reader was too slow"}`,
      ];
    case "limit":
      return describeLimit(event);
    case "list":
      return describeList(event);
    case "certificate":
      return describeCertificate(event);
    default:
      return describeOther(event);
  }
}

function describeRequest(type: string, event: Event): string[] {
  const { user, client, method, target, route, member, detail, note, status, end, id } = event;
  const parts = [
    (show(user) ?? "-").padEnd(8),
    (show(client) ?? "-").replace(/:\d+$/, ""),
    "→",
    ...(method === undefined || method === "CONNECT" ? [] : [show(method)]),
    show(target) ?? "-",
  ];
  if (route !== undefined && route !== "direct") parts.push("via", show(member) ?? show(route));
  if (type === "refused" || type === "request_done") parts.push(show(status));
  if (detail !== undefined) parts.push(show(detail), note === undefined ? undefined : `(${show(note)})`);
  if (type === "tunnel_ended" || type === "request_done")
    parts.push(
      `${formatBytes(Number(event["bytes_up"]))}↑`,
      `${formatBytes(Number(event["bytes_down"]))}↓`,
      formatDuration(Number(event["ms"])),
      show(end),
    );
  if (type === "tunnel_opened") parts.push(`in ${formatDuration(Number(event["ms"]))}`);
  parts.push(`[${show(id)}]`);
  return parts.filter((part) => part !== undefined);
}

const LOSSES: Readonly<Record<string, string>> = {
  slow: "this reader was too slow",
  rate: "too many happened at once",
  gone: "they are not kept any more",
};

function describeLimit({ limit, detail, user, client, target, count }: Event): string[] {
  const whose = show(user) ?? show(client) ?? show(target);
  const times = Number(count) > 1 ? ` ${show(count)} times` : "";
  return [`limits.${show(limit)}${whose === undefined ? "" : ` of ${whose}`} was reached${times} (${show(detail)})`];
}

function describeCertificate({ use, name, file, expires, days, expired, change, names, why }: Event): string[] {
  if (change !== undefined) {
    const result =
      change === "issued" ? `was issued, until ${show(expires)?.slice(0, 10)}` : `was not issued: ${show(why)}`;
    return [
      `${show(use)}: the certificate for ${Array.isArray(names) ? names.map(show).join(", ") : show(names)} ${result}`,
    ];
  }
  const end = show(expires)?.slice(0, 10);
  const when = expired === true ? `expired on ${end}` : `expires on ${end} (days left: ${show(days)})`;
  return [`${show(use)} ${show(name)}: the certificate${file === undefined ? "" : ` ${show(file)}`} ${when}`];
}

function describeList({ change, list, entries, why, in_use: isInUse }: Event): string[] {
  if (change !== "failed") return [`${show(list)}: ${show(change)}, entries: ${show(entries)}`];
  return [
    `${show(list)}: failed, ${isInUse === true ? "the content before is in use" : "without content"} (${show(why)})`,
  ];
}

function describeUpstream({ change, upstream, member, state, reason, failures, from, to }: Event): string[] {
  if (change === "session_moved") return [`${show(upstream)}: a session moved from ${show(from)} to ${show(to)}`];
  const count = Number(failures) > 1 ? ` after ${show(failures)} failures` : "";
  return [`${show(upstream)}: ${show(member)} is ${show(state)}${count} (${show(reason)})`];
}

/** What an event of another type has, one after the other. */
function describeOther(event: Event): string[] {
  return Object.entries(event).flatMap(([name, value]) => {
    if (known.has(name)) return [];
    const shown = Array.isArray(value) ? value.map((each) => show(each)).join("; ") : show(value);
    return shown === undefined || shown === "" ? [] : `${escapeText(name)}: ${shown}.`;
  });
}

const known: ReadonlySet<string> = new Set(["v", "event", "event_id", "time"]);

/** A value that can be shown on a terminal, whatever is in it. */
function show(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return escapeText(cutText(typeof value === "string" ? value : JSON.stringify(value), VALUE_LIMIT));
}
