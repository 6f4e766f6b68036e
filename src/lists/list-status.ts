/** How a list is, for operators. */
export interface ListStatus {
  /** `@dev`, the path of a file as written, or a URL without what may be a secret in it. No two have the same. */
  readonly name: string;
  readonly state: ListState;
  readonly entries: number;
  /** Reads that gave nothing that can be used, since the process began. */
  readonly failures: number;
  /** When the text in use was read, or found to be as before, in milliseconds since the epoch; undefined when that was in an earlier process. */
  readonly readAt?: number;
  /** Why there is no newer one. */
  readonly fault?: string;
}

/**
 * `empty`: it has had no content yet. `failing`: the last one that was read cannot be used, the one before is in use.
 * `kept`: it is the last good one of the state folder, and was not read in this process.
 */
export type ListState = "good" | "kept" | "failing" | "empty";

/** What became of a list. */
export type ListChange =
  | { readonly change: "read" | "recovered"; readonly list: string; readonly entries: number }
  | {
      readonly change: "failed";
      readonly list: string;
      readonly why: string;
      readonly failures: number;
      /** Whether an older content stays in use. Without one, rules that deny by the list refuse everything. */
      readonly in_use: boolean;
    };

/** Lists that are shown one by one. */
const MAX_SHOWN = 100;
/** What the others are shown as, together. */
const OTHER = "other";
/** From the worst. */
const states: readonly ListState[] = ["empty", "failing", "kept", "good"];

/** The first hundred lists, and the others as one. */
export function foldStatuses(all: Iterable<ListStatus>): readonly ListStatus[] {
  const shown = new Map<string, ListStatus>();
  let other: ListStatus | undefined;
  for (const status of all) {
    if (shown.size < MAX_SHOWN) {
      const name = findFreeName(status.name, shown);
      shown.set(name, { ...status, name });
    } else other = other === undefined ? { ...status, name: OTHER } : add(other, status);
  }
  return other === undefined ? [...shown.values()] : [...shown.values(), other];
}

/** URLs may differ only in what is not shown of them. */
function findFreeName(name: string, taken: ReadonlyMap<string, unknown>): string {
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? name : `${name} (${number})`;
    if (!taken.has(candidate)) return candidate;
  }
}

function add(sum: ListStatus, { state, entries, failures, readAt, fault }: ListStatus): ListStatus {
  const oldest = Math.min(sum.readAt ?? Infinity, readAt ?? Infinity);
  const why = sum.fault ?? fault;
  return {
    name: sum.name,
    state: states.indexOf(state) < states.indexOf(sum.state) ? state : sum.state,
    entries: sum.entries + entries,
    failures: sum.failures + failures,
    ...(oldest < Infinity && { readAt: oldest }),
    ...(why !== undefined && { fault: why }),
  };
}
