import { formatAge, formatCount, NOTHING, show } from "./format.ts";
import { usePage } from "./page-state.ts";
import { Sheet } from "./sheet.tsx";
import type { StatusReport } from "./wire.ts";

type ListRow = StatusReport["lists"][number];

const states: Readonly<Record<ListRow["state"], { readonly tone: string; readonly words: string }>> = {
  good: { tone: "good", words: "in use" },
  kept: { tone: "warn", words: "kept, not read yet" },
  failing: { tone: "bad", words: "newest content not usable" },
  empty: { tone: "bad", words: "no content yet" },
};

/** The lists of rules, and how fresh they are. */
export function ListsView() {
  const { status } = usePage().model;
  if (status === undefined) return <h2>Lists</h2>;
  const { lists, started_at, uptime_ms } = status;
  // By the clock of the proxy.
  const now = Date.parse(started_at) + uptime_ms;
  return (
    <>
      <h2>Lists</h2>
      {lists.length === 0 ? (
        <p class="waiting">No rule uses a list from a file or a URL.</p>
      ) : (
        <Sheet
          label="Lists"
          rows={lists}
          keyOf={({ name }) => name}
          columns={[
            { title: "Name", read: ({ name }) => <b>{show(name)}</b> },
            { title: "State", read: (list) => <State {...list} /> },
            { title: "Entries", isNumber: true, read: ({ entries }) => formatCount(entries) },
            {
              title: "Read",
              isNumber: true,
              read: ({ read_at }) => (read_at === undefined ? NOTHING : `${formatAge(now - Date.parse(read_at))} ago`),
            },
            { title: "Failures", isNumber: true, read: ({ failures }) => formatCount(failures) },
          ]}
        />
      )}
    </>
  );
}

function State({ state, why }: ListRow) {
  const { tone, words } = states[state];
  return (
    <>
      <span class={`dot ${tone}`} /> {words} {why !== undefined && <span class="hint">{show(why)}</span>}
    </>
  );
}
