import { describe, expect, test } from "bun:test";
import type { InsideFacts } from "../../../../../src/proxy/tunnel/inside-facts.ts";
import type { FlowFilter } from "../../../../../src/proxy/record/live-table.ts";
import { LiveTable } from "../../../../../src/proxy/record/live-table.ts";
import { LiveFeed, type LiveWatcher } from "../../../../../src/proxy/record/live/live-feed.ts";
import { type Column, COLUMNS, StepRing } from "../../../../../src/proxy/record/live/step-ring.ts";
import type { RequestRecord } from "../../../../../src/proxy/record/request-record.ts";
import { ServerSentEvents } from "../../../../../src/protocol/server-sent-events.ts";
import { liveForm, liveState, liveTick } from "../../../../../src/sidecar/live.ts";
import { runAtOnce } from "../../../../../src/steps.ts";
import { FakeTunnel } from "../../../../support/fake-tunnel.ts";
import { makeRequestRecord } from "../../../../support/make-record.ts";

/** Reads the events of a watcher, each checked against its schema. */
class Reader {
  readonly watcher: LiveWatcher;
  readonly #parser = new ServerSentEvents();

  constructor(watcher: LiveWatcher) {
    this.watcher = watcher;
  }

  async state() {
    const { type, data } = await this.#next();
    expect(type).toBe("state");
    return liveState.parse(JSON.parse(data));
  }

  async tick() {
    const { type, data } = await this.#next();
    expect(type).toBe("tick");
    return liveTick.parse(JSON.parse(data));
  }

  async #next() {
    const bytes = await this.watcher.next();
    const [event, ...others] = bytes === undefined ? [] : this.#parser.read(bytes);
    if (event === undefined) throw new Error("The watcher is closed");
    expect(others).toEqual([]);
    return event;
  }
}

function makeStand() {
  const table = new LiveTable();
  const seconds = new StepRing(900);
  const written: string[] = [];
  const feed = new LiveFeed({
    table,
    series: () => ({ seconds, sinceLastMs: 5 }),
    form: {
      ...liveForm,
      row(flow) {
        written.push(flow.id);
        return liveForm.row(flow);
      },
    },
    now: () => 1_000_005,
  });
  let opened = 0;
  return {
    table,
    feed,
    written,
    watch: (filter: FlowFilter = {}, most = 5000) => new Reader(feed.watch(filter, most)),
    open(facts: Partial<RequestRecord> = {}) {
      opened += 1;
      const record = makeRequestRecord({ id: `t-${opened}`, ...facts });
      const tunnel = new FakeTunnel();
      table.add(record, tunnel);
      return { record, tunnel, id: record.id, close: () => table.remove(record) };
    },
    tick() {
      const step = Object.fromEntries(COLUMNS.map((name) => [name, seconds.count])) as Record<Column, number>;
      seconds.add(step);
      runAtOnce(feed.tick());
    },
  };
}

const ids = (rows: readonly { readonly id: string }[]) => rows.map(({ id }) => id);

describe("LiveFeed", () => {
  test("tells first what there is, then each second what has changed", async () => {
    const { watch, open, tick } = makeStand();
    const [one, two] = [open(), open({ user: "alice" })];
    const reader = watch();
    expect(await reader.state()).toMatchObject({
      v: 1,
      step: -1,
      point: null,
      total: 2,
      rows: [{}, { user: "alice" }],
    });
    const three = open();
    one.tunnel.up = 100;
    two.close();
    tick();
    const event = await reader.tick();
    expect(event).toMatchObject({ step: 0, total: 2, move: [[one.id, 100, 0]], gone: [two.id] });
    expect(ids(event.add)).toEqual([three.id]);
    expect(event.points).toMatchObject([{ at: 1_000_000, up: 0, tunnels: 0 }]);
    tick();
    expect(await reader.tick()).toMatchObject({ step: 1, add: [], move: [], gone: [], points: [{ up: 1 }] });
  });

  test("waits for the next second", async () => {
    const { watch, tick } = makeStand();
    const reader = watch();
    await reader.state();
    const next = reader.tick();
    tick();
    expect(await next).toMatchObject({ step: 0 });
  });

  test("tells a row again when more is known of it than bytes", async () => {
    const { watch, open, tick } = makeStand();
    const { record, id } = open();
    const reader = watch();
    await reader.state();
    const inside: InsideFacts = { protocol: "ssh", tls: undefined, failure: undefined };
    record.inside = inside;
    tick();
    expect((await reader.tick()).add).toMatchObject([{ id, inside: "ssh" }]);
    tick();
    expect((await reader.tick()).add).toEqual([]);
  });

  test("tells a long table in pieces that follow at once", async () => {
    const { watch, open } = makeStand();
    const all = Array.from({ length: 600 }, () => open().id);
    const reader = watch();
    const { rows, total } = await reader.state();
    const [second, third] = [await reader.tick(), await reader.tick()];
    expect(total).toBe(600);
    expect([...ids(rows), ...ids(second.add), ...ids(third.add)]).toEqual(all);
    expect([second.points, third.points]).toEqual([[], []]);
  });

  test("shows as many rows as are wanted, the oldest ones, and others in the place of those that end", async () => {
    const { watch, open, tick } = makeStand();
    const [one, two, three] = [open(), open(), open()];
    const reader = watch({}, 2);
    const state = await reader.state();
    expect([ids(state.rows), state.total]).toEqual([[one.id, two.id], 3]);
    one.close();
    tick();
    expect(await reader.tick()).toMatchObject({ total: 2, gone: [one.id], add: [] });
    tick();
    expect(ids((await reader.tick()).add)).toEqual([three.id]);
  });

  test("shows those that match the filter", async () => {
    const { watch, open, tick } = makeStand();
    open({ user: "alice" });
    const bob = open({ user: "bob" });
    const reader = watch({ user: "bob" });
    expect(ids((await reader.state()).rows)).toEqual([bob.id]);
    open({ user: "alice" });
    tick();
    expect(await reader.tick()).toMatchObject({ total: 1, add: [] });
  });

  test("puts together for a slow reader what it missed, without those that came and went", async () => {
    const { watch, open, tick } = makeStand();
    const one = open();
    const reader = watch();
    await reader.state();
    for (let second = 0; second < 5; second += 1) {
      one.tunnel.down += 10;
      const short = open();
      tick();
      short.close();
    }
    tick();
    const event = await reader.tick();
    expect(event.points.map(({ up }) => up)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(event).toMatchObject({ add: [], move: [[one.id, 0, 50]] });
  });

  test("gives a reader that missed too much a fresh state", async () => {
    const { watch, open, tick } = makeStand();
    const reader = watch();
    await reader.state();
    for (let second = 0; second < 25; second += 1) {
      const some = Array.from({ length: 500 }, () => open());
      tick();
      for (const each of some) each.close();
    }
    tick();
    expect(await reader.state()).toMatchObject({ rows: [], total: 0 });
  });

  test("writes for all who watch the same once", async () => {
    const { watch, open, tick, written } = makeStand();
    const readers = [watch(), watch(), watch({ user: "alice" })];
    for (const reader of readers) await reader.state();
    open();
    tick();
    for (const reader of readers) await reader.tick();
    expect(written).toHaveLength(1);
  });

  test("takes few new rows in a second", async () => {
    const { watch, open, tick } = makeStand();
    const reader = watch();
    await reader.state();
    for (let number = 0; number < 1200; number += 1) open();
    tick();
    const [first, second] = [await reader.tick(), await reader.tick()];
    expect([first.total, first.add.length + second.add.length]).toEqual([1200, 500]);
  });

  test("keeps no record of what is over for a reader that does not read", async () => {
    const { watch, open, tick, written } = makeStand();
    const all = Array.from({ length: 600 }, () => open());
    const reader = watch();
    await reader.state();
    for (const each of all) each.close();
    tick();
    written.length = 0;
    expect((await reader.tick()).add).toEqual([]);
    expect(written).toEqual([]);
  });

  test("looks at nothing once nobody watches", async () => {
    const { feed, watch, tick, table, open } = makeStand();
    open();
    const [one, two] = [watch(), watch()];
    await one.state();
    expect(feed.watchers).toBe(2);
    one.watcher.close();
    one.watcher.close();
    expect(feed.watchers).toBe(1);
    two.watcher.close();
    expect(feed.watchers).toBe(0);
    table.sample = () => expect.unreachable("Nobody watches");
    tick();
    expect(await one.watcher.next()).toBeUndefined();
  });

  test("has a step for each table that is watched, and leaves out what is watched since", () => {
    const { feed, watch, table, open } = makeStand();
    open();
    watch({ user: "alice" });
    watch({ user: "bob" });
    const looked: (string | undefined)[] = [];
    const { sample } = table;
    table.sample = (filter, visit) => {
      looked.push(filter.user);
      sample.call(table, filter, visit);
    };
    const steps = feed.tick();
    steps.next();
    expect(looked).toEqual(["alice"]);
    watch({ user: "carol" });
    steps.next();
    expect(looked).toEqual(["alice", "carol", "bob"]);
    expect(steps.next().done).toBe(true);
    expect(looked).toHaveLength(3);
  });

  test("ends everybody when the proxy ends", async () => {
    const { feed, watch } = makeStand();
    const reader = watch();
    await reader.state();
    const next = reader.watcher.next();
    feed.close();
    expect(await next).toBeUndefined();
    expect(feed.watchers).toBe(0);
  });

  test("escapes what must not reach a terminal", async () => {
    const { watch, open } = makeStand();
    open({ user: "a\u009b\u202eb" });
    const bytes = await watch().watcher.next();
    expect(Buffer.from(bytes ?? "").toString()).toContain(String.raw`"user":"a\u009b\u202eb"`);
  });
});
