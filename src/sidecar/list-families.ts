import type { ListStatus } from "../lists/list-status.ts";
import { counter, type Family, gauge } from "./prometheus-text.ts";

/** Puts the lists of rules into families, each by its name. `now` is in milliseconds since the epoch. */
export function collectListFamilies(lists: readonly ListStatus[], now: number): Family[] {
  const each = (read: (list: ListStatus) => number) =>
    lists.map((list) => ({ labels: { list: list.name }, value: read(list) }));
  return [
    gauge(
      "penstock_list_entries",
      "Entries of each list of rules that is in use; 0 for one that has had no content yet.",
      each(({ entries }) => entries),
    ),
    gauge(
      "penstock_list_usable",
      "1 when the newest content of a list is in use, 0 when it could not be read or used, or there is none yet.",
      each(({ state }) => (state === "good" || state === "kept" ? 1 : 0)),
    ),
    gauge(
      "penstock_list_age_seconds",
      "Seconds since a list was last read, or found to be as before; absent when that was in an earlier process.",
      lists.flatMap(({ name, readAt }) =>
        readAt === undefined ? [] : { labels: { list: name }, value: Math.max(0, (now - readAt) / 1000) },
      ),
    ),
    counter(
      "penstock_list_failures_total",
      "Times that a list could not be read or used, since the process began.",
      each(({ failures }) => failures),
    ),
  ];
}
