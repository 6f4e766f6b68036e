import type { RequestUnderWay } from "../../exchange/forwarding.ts";
import type { Flow, FlowFilter, LiveTable } from "../live-table.ts";
import type { RequestRecord } from "../request-record.ts";

/** A row of a table that is watched. The numbers are those of the look at which it changed. */
export interface LiveRow {
  readonly kind: Flow["kind"];
  readonly id: string;
  /** As it was at the last look; undefined once it is over: nobody keeps its record then. */
  look: RequestUnderWay | undefined;
  /** What is shown beside bytes, as far as it can change. */
  traits: number;
  seenAt: number;
  /** Rows are written whole when they are new and when their traits change. */
  changedAt: number;
  movedAt: number;
}

/** Rows that are new at one look, at most: short ones that come and go by the thousand cost little, and the older ones are shown first. */
const MOST_NEW = 500;
/** Rows that are over and can still be told of. */
const MOST_GONE = 10_000;

/** The rows of the live table that match a filter, and what has changed from look to look. */
export class LiveRows {
  /** Looks that were taken. */
  looks = 0;
  /** Those that match, also those that are not among the rows. */
  total = 0;
  readonly rows = new Map<RequestRecord, LiveRow>();
  readonly #table: Pick<LiveTable, "sample">;
  readonly #filter: FlowFilter;
  readonly #most: number;
  readonly #gone: { readonly id: string; readonly at: number }[] = [];
  /** The last look of which not all that ended is known. */
  #forgottenAt = 0;

  /** At most `most` rows. */
  constructor(table: Pick<LiveTable, "sample">, filter: FlowFilter, most: number) {
    this.#table = table;
    this.#filter = filter;
    this.#most = most;
    this.look(most);
  }

  /** Takes another look. */
  look(mostNew = MOST_NEW): void {
    this.looks += 1;
    this.total = 0;
    let room = Math.min(mostNew, this.#most - this.rows.size);
    this.#table.sample(this.#filter, (kind, look) => {
      this.total += 1;
      const row = this.rows.get(look.record);
      if (row !== undefined) this.#update(row, look);
      else if (room > 0) {
        room -= 1;
        this.#add(kind, look);
      }
    });
    for (const [record, row] of this.rows) if (row.seenAt !== this.looks) this.#drop(record, row);
  }

  /** Whether all that has ended since a look is known. */
  reachesBack(to: number): boolean {
    return to >= this.#forgottenAt;
  }

  /** Ids of rows that were over after a look. */
  goneSince(look: number): string[] {
    const from = this.#gone.findLastIndex(({ at }) => at <= look) + 1;
    return this.#gone.slice(from).map(({ id }) => id);
  }

  #add(kind: Flow["kind"], look: RequestUnderWay): void {
    const { looks: at } = this;
    const { record } = look;
    this.rows.set(record, {
      kind,
      id: record.id,
      look,
      traits: findTraits(look),
      seenAt: at,
      changedAt: at,
      movedAt: at,
    });
  }

  #update(row: LiveRow, look: RequestUnderWay): void {
    row.seenAt = this.looks;
    const before = row.look;
    if (before?.up !== look.up || before.down !== look.down) row.movedAt = this.looks;
    row.look = look;
    const traits = findTraits(look);
    if (traits === row.traits) return;
    row.traits = traits;
    row.changedAt = this.looks;
  }

  #drop(record: RequestRecord, row: LiveRow): void {
    this.rows.delete(record);
    row.look = undefined;
    this.#gone.push({ id: row.id, at: this.looks });
    if (this.#gone.length <= MOST_GONE) return;
    const [oldest] = this.#gone.splice(0, MOST_GONE / 2).slice(-1);
    this.#forgottenAt = oldest?.at ?? 0;
  }
}

/** A number that changes when more is known of what a row shows. */
function findTraits({ record: { inside, dialled, target }, waitsFor = -1 }: RequestUnderWay): number {
  const tls = inside?.tls;
  const known = [
    target,
    dialled,
    inside?.protocol,
    tls,
    tls?.version,
    tls?.certificateExpiry,
    tls?.handshakeMs,
    tls?.alert,
    inside?.reported,
  ];
  const bits = known.reduce<number>((all, fact, at) => (fact === undefined ? all : all | (1 << at)), 0);
  return (waitsFor + 1) * 512 + bits;
}
