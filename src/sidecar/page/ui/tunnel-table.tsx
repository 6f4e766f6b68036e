import { Component } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { formatBytes } from "../../../proxy/record/access-line.ts";
import { formatAge, formatRate, NOTHING, show } from "./format.ts";
import type { Row } from "./live-model.ts";
import { COLUMN_KEYS, type ColumnKey, firstOrder, type Order } from "./table-order.ts";

const titles: Readonly<Record<ColumnKey, string>> = {
  target: "Target",
  user: "User",
  route: "Route",
  age: "Age",
  down: "Down",
  up: "Up",
  rate: "Rate",
  sni: "SNI",
  ja4: "JA4",
};

/** Rows that are made and positioned together. */
const CHUNK = 10;
/** Chunks that are ready above and below what is seen. */
const AHEAD = 2;

interface TableProps {
  readonly rows: readonly Row[];
  readonly order: Order;
  /** The row that is open beside the table. */
  readonly open: string | undefined;
  readonly sort: (order: Order) => void;
  readonly show: (id: string) => void;
  /** Undefined where the token may not. */
  readonly end: ((id: string, target: string | undefined) => void) | undefined;
  /** What is said in the place of rows. */
  readonly empty: string;
}

/** A grid of any number of rows, of which only those in sight have elements (https://www.w3.org/WAI/ARIA/apg/patterns/grid/). */
export function TunnelTable(props: TableProps) {
  const { order, open, sort, empty } = props;
  const box = useRef<HTMLDivElement>(null);
  const probe = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState<string | undefined>(open);
  const [isHeld, setHeld] = useState(false);
  const [{ rowHeight, seen }, setSize] = useState({ rowHeight: 34, seen: 600 });
  const [firstChunk, setFirstChunk] = useState(0);
  const rows = useHeldRows(props.rows, isHeld, order);
  const now = useMemo(() => performance.now(), [rows]);
  const [turns] = useState(() => new Turns());

  useEffect(() => {
    const observer = new ResizeObserver(() => {
      if (box.current === null || probe.current === null) return;
      setSize({ rowHeight: Math.max(1, probe.current.getBoundingClientRect().height), seen: box.current.clientHeight });
    });
    for (const { current } of [box, probe]) if (current !== null) observer.observe(current);
    return () => observer.disconnect();
  }, []);

  const chunkHeight = CHUNK * rowHeight;
  const look = (): void => setFirstChunk(Math.floor((box.current?.scrollTop ?? 0) / chunkHeight));
  useEffect(look, [rowHeight, rows.length]);
  const from = Math.max(0, firstChunk - AHEAD);
  const to = Math.min(Math.ceil(rows.length / CHUNK), firstChunk + Math.ceil(seen / chunkHeight) + 1 + AHEAD);

  const index = active === undefined ? -1 : rows.findIndex(({ id }) => id === active);
  const moveTo = (next: number): void => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, next))];
    const element = box.current;
    if (row === undefined || element === null) return;
    setActive(row.id);
    const top = rows.indexOf(row) * rowHeight;
    const head = element.querySelector(".grid-head")?.clientHeight ?? 0;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + rowHeight > element.scrollTop + element.clientHeight - head)
      element.scrollTop = top + rowHeight + head - element.clientHeight;
  };
  const press = (event: KeyboardEvent): void => {
    if (event.target !== box.current || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(seen / rowHeight) - 2);
    const moves: Readonly<Record<string, number>> = {
      ArrowDown: index + 1,
      ArrowUp: Math.max(0, index - 1),
      PageDown: index + page,
      PageUp: Math.max(0, index - page),
      Home: 0,
      End: rows.length - 1,
    };
    const next = moves[event.key];
    const row = rows[index];
    if (next !== undefined) moveTo(next);
    else if (event.key === "Enter" && row !== undefined) props.show(row.id);
    else if (event.key === "Delete" && row !== undefined && props.end !== undefined)
      props.end(row.id, row.facts.target);
    else return;
    event.preventDefault();
  };
  const click = (event: MouseEvent): void => {
    const id = (event.target as Element).closest<HTMLElement>("[data-id]")?.dataset["id"];
    if (id === undefined) return;
    setActive(id);
    props.show(id);
  };

  return (
    <>
      <label class="sort-by">
        Sort by{" "}
        <select
          value={order.by}
          onChange={({ currentTarget }) => {
            const by = COLUMN_KEYS.find((key) => key === currentTarget.value);
            if (by !== undefined) sort(firstOrder(by));
          }}
        >
          {COLUMN_KEYS.map((key) => (
            <option key={key} value={key}>
              {titles[key]}
            </option>
          ))}
        </select>
      </label>
      <div
        id="tunnel-rows"
        ref={box}
        class="grid"
        role="grid"
        tabIndex={0}
        aria-label={`Tunnels and requests. Arrow keys move, Enter opens${props.end === undefined ? "" : ", Delete ends"}.`}
        aria-rowcount={rows.length + 1}
        aria-colcount={COLUMN_KEYS.length}
        aria-activedescendant={index >= from * CHUNK && index < to * CHUNK ? `row-${index}` : undefined}
        onScroll={look}
        onKeyDown={press}
        onClick={click}
        onPointerEnter={({ pointerType }) => setHeld(pointerType === "mouse")}
        onPointerLeave={() => setHeld(false)}
      >
        <div ref={probe} class="row-probe" aria-hidden="true" />
        <div class="grid-head" role="rowgroup">
          <div class="row" role="row" aria-rowindex={1}>
            {COLUMN_KEYS.map((key) => (
              <Title key={key} column={key} order={order} sort={sort} />
            ))}
          </div>
        </div>
        <div class="grid-body" role="rowgroup" style={{ height: `${rows.length * rowHeight}px` }}>
          {Array.from({ length: Math.max(0, to - from) }, (_, at) => (
            <Chunk
              key={from + at}
              rows={rows}
              start={(from + at) * CHUNK}
              {...{ rowHeight, now, open, active, turns }}
            />
          ))}
        </div>
        {rows.length === 0 && <p class="waiting">{empty}</p>}
      </div>
    </>
  );
}

interface TitleProps {
  readonly column: ColumnKey;
  readonly order: Order;
  readonly sort: (order: Order) => void;
}

function Title({ column, order, sort }: TitleProps) {
  const isSorted = order.by === column;
  const sorted = order.descending ? "descending" : "ascending";
  const turn = (): void => sort(isSorted ? { by: column, descending: !order.descending } : firstOrder(column));
  return (
    <div role="columnheader" class={`cell ${column}`} aria-sort={isSorted ? sorted : undefined}>
      <button type="button" onClick={turn}>
        {titles[column]}
        <span class="arrow" aria-hidden="true">
          {isSorted ? (order.descending ? "↓" : "↑") : ""}
        </span>
      </button>
    </div>
  );
}

interface ChunkProps {
  readonly rows: readonly Row[];
  readonly start: number;
  readonly rowHeight: number;
  readonly now: number;
  readonly open: string | undefined;
  readonly active: string | undefined;
  readonly turns: Turns;
}

/** Lets chunks render one in a frame, so that the tick of a second delays no frame of somebody who scrolls. */
class Turns {
  readonly #waiting = new Set<Chunk>();

  add(chunk: Chunk): void {
    if (this.#waiting.size === 0) requestAnimationFrame(() => this.#next());
    this.#waiting.add(chunk);
  }

  delete(chunk: Chunk): void {
    this.#waiting.delete(chunk);
  }

  #next(): void {
    const [chunk] = this.#waiting;
    if (chunk === undefined) return;
    this.#waiting.delete(chunk);
    chunk.forceUpdate();
    if (this.#waiting.size > 0) requestAnimationFrame(() => this.#next());
  }
}

/** Some rows. While the table is scrolled, only chunks that come into sight are made. An element is of a place, not of a tunnel: when the order changes, texts change and no element is made. */
class Chunk extends Component<ChunkProps> {
  override shouldComponentUpdate(next: ChunkProps): boolean {
    const { rows, rowHeight, open, active } = this.props;
    if (rowHeight !== next.rowHeight || open !== next.open || active !== next.active) return true;
    if (rows !== next.rows) next.turns.add(this);
    return false;
  }

  override componentWillUnmount(): void {
    this.props.turns.delete(this);
  }

  override render({ rows, start, rowHeight, now, open, active }: ChunkProps) {
    return (
      <div class="chunk" role="presentation" style={{ transform: `translateY(${start * rowHeight}px)` }}>
        {rows.slice(start, start + CHUNK).map((row, at) => (
          <TableRow
            key={at}
            row={row}
            index={start + at}
            now={now}
            isOpen={row.id === open}
            isActive={row.id === active}
          />
        ))}
      </div>
    );
  }
}

interface RowProps {
  readonly row: Row;
  readonly index: number;
  readonly now: number;
  readonly isOpen: boolean;
  readonly isActive: boolean;
}

function TableRow({ row, index, now, isOpen, isActive }: RowProps) {
  const { facts, up, down, rateUp, rateDown, since } = row;
  const rate = rateUp + rateDown;
  return (
    <div
      id={`row-${index}`}
      class={`row ${isActive ? "active" : ""} ${index % 2 === 1 ? "odd" : ""}`}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={isOpen}
      data-id={row.id}
    >
      <div role="gridcell" class="cell target" title={show(facts.target)}>
        {facts.kind === "request" && <span class="tag">{show(facts.method)}</span>}
        {show(facts.target)}
      </div>
      <div role="gridcell" class="cell user">
        {show(facts.user)}
      </div>
      <div role="gridcell" class="cell route">
        {show(facts.route)}
      </div>
      <div role="gridcell" class="cell age">
        {formatAge(now - since)}
      </div>
      <div role="gridcell" class="cell down">
        {formatBytes(down)}
      </div>
      <div role="gridcell" class="cell up">
        {formatBytes(up)}
      </div>
      <div role="gridcell" class={`cell rate ${rate > 0 ? "" : "silent"}`}>
        {rate > 0 ? formatRate(rate) : NOTHING}
      </div>
      <div role="gridcell" class="cell sni" title={show(facts.tls?.sni)}>
        {show(facts.tls?.sni)}
      </div>
      <div role="gridcell" class="cell ja4">
        {show(facts.tls?.ja4)}
      </div>
    </div>
  );
}

/** While the pointer is over the table, rows stay where they are: nobody ends the wrong tunnel. New ones come at the end. */
function useHeldRows(rows: readonly Row[], isHeld: boolean, order: Order): readonly Row[] {
  const held = useRef<{ readonly rows: readonly Row[]; readonly order: Order } | undefined>(undefined);
  return useMemo(() => {
    const before = held.current;
    const isSame = before?.order.by === order.by && before.order.descending === order.descending;
    const shown = isHeld && before !== undefined && isSame ? keepOrder(before.rows, rows) : rows;
    held.current = { rows: shown, order };
    return shown;
  }, [rows, isHeld]);
}

function keepOrder(before: readonly Row[], rows: readonly Row[]): Row[] {
  const left = new Map(rows.map((row) => [row.id, row]));
  const kept = before.flatMap(({ id }) => {
    const row = left.get(id);
    left.delete(id);
    return row === undefined ? [] : [row];
  });
  return [...kept, ...left.values()];
}
