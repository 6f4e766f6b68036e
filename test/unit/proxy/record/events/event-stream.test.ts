import { describe, expect, test } from "bun:test";
import type { EventFacts, EventFilter, EventType } from "../../../../../src/proxy/record/events/event.ts";
import { EventRing } from "../../../../../src/proxy/record/events/event-ring.ts";
import type { EventForm, EventWatcher } from "../../../../../src/proxy/record/events/event-channel.ts";
import { EventStream } from "../../../../../src/proxy/record/events/event-stream.ts";

const lines: EventForm = {
  name: "lines",
  write: ({ json }) => `${json}\n`,
  writeLost: (count, why) => `lost ${count} ${why}\n`,
  heartbeat: Buffer.from("\n"),
};

function makeStream() {
  let clock = 0;
  const stream = new EventStream({ origin: "o", rate: { perSecond: 10, burst: 3 }, now: () => 0, clock: () => clock });
  return {
    stream,
    time: () => clock,
    wait: (ms: number) => {
      clock += ms;
    },
    say: (type: EventType, n: unknown, facts = {}) => stream.publish(type, { n }, facts),
  };
}

function choose(stream: EventStream, type: EventType, facts: EventFacts, now: number) {
  return stream.choose(type, facts, (each) => each, now);
}

async function read(watcher: EventWatcher): Promise<unknown[]> {
  const chunk = await watcher.next();
  const text = Buffer.from(chunk ?? []).toString();
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (line.startsWith("lost") ? line : JSON.parse(line).n));
}

describe("EventStream", () => {
  test("writes events with version, type, id and time", async () => {
    const { stream } = makeStream();
    const watcher = stream.watch({}, lines);
    stream.publish("reload", { result: "done", missing: undefined });
    expect(Buffer.from((await watcher.next()) ?? []).toString()).toBe(
      '{"v":1,"event":"reload","event_id":"o-1","time":"1970-01-01T00:00:00.000Z","result":"done"}\n',
    );
  });

  test("tells each watcher what its filter lets through", async () => {
    const { stream, say } = makeStream();
    const watch = (filter: EventFilter) => stream.watch(filter, lines);
    const watchers = [
      watch({ types: new Set(["refused"] as const) }),
      watch({ user: "alice" }),
      watch({ target: "*.example.org" }),
      watch({ target: "a.example.org:443" }),
      watch({ word: "connection_refused" }),
    ];
    say("refused", 1, { user: "bob", target: "a.example.org:443", words: ["denied_by_rule", "http_request_denied"] });
    say("tunnel_opened", 2, { user: "alice", target: "b.example.org:22" });
    say("refused", 3, {
      user: "alice",
      target: "example.org:443",
      words: ["connection_refused", "connection_refused"],
    });
    const seen = await Promise.all(watchers.map(read));
    expect(seen).toEqual([[1, 3], [2, 3], [1, 2], [1], [3]]);
  });

  test("gives a watcher that comes back what it missed, once", async () => {
    const { stream, say } = makeStream();
    say("reload", 1);
    say("reload", 2);
    const { last } = stream.collect({}, "");
    say("reload", 3);
    const watcher = stream.watch({}, lines, last);
    say("reload", 4);
    expect(await read(watcher)).toEqual([3]);
    expect(await read(watcher)).toEqual([4]);
  });

  test("gives all that is kept to a watcher with an id of another process", async () => {
    const { stream, say } = makeStream();
    say("reload", 1);
    say("reload", 2);
    expect(await read(stream.watch({}, lines, "other-zz"))).toEqual([1, 2]);
    expect(await read(stream.watch({}, lines, "o-zzzz"))).toEqual([1, 2]);
    expect(await read(stream.watch({}, lines, "% no id"))).toEqual([1, 2]);
  });

  test("loses events of a watcher that does not read, tells it how many, and goes on", async () => {
    const { stream, say } = makeStream();
    const [slow, quick] = [stream.watch({}, lines), stream.watch({}, lines)];
    const long = "x".repeat(400_000);
    const seen: unknown[] = [];
    for (let round = 0; round < 6; round += 1) {
      say("reload", long);
      seen.push(...(await read(quick)));
    }
    expect(seen.length).toBe(6);
    const first = await read(slow);
    expect(first.length).toBe(2);
    expect(await read(slow)).toEqual(["lost 4 slow"]);
    say("reload", "after");
    expect(await read(slow)).toEqual(["after"]);
  });

  test("wants frequent events while somebody watches, and a minute after", () => {
    const { stream, wait } = makeStream();
    expect(stream.wanted).toBe(false);
    const watcher = stream.watch({}, lines);
    expect(stream.wanted).toBe(true);
    watcher.close();
    watcher.close();
    expect(stream.watchers).toBe(0);
    wait(59_999);
    expect(stream.wanted).toBe(true);
    wait(1);
    expect(stream.wanted).toBe(false);
  });

  test("makes a burst of frequent events whole and some of a flood, and tells each watcher how many of its own are missing", async () => {
    const { stream, wait, say, time } = makeStream();
    const watchers = [stream.watch({}, lines), stream.watch({ user: "alice" }, lines)];
    const happen = (n: number, user: string) => {
      if (choose(stream, "tunnel_opened", { user }, time()) === "made") say("tunnel_opened", n, { user });
    };
    for (let n = 1; n <= 8; n += 1) happen(n, n % 2 === 0 ? "alice" : "bob");
    expect(await Promise.all(watchers.map(read))).toEqual([
      [1, 2, 3, "lost 5 rate"],
      [2, "lost 3 rate"],
    ]);
    // A refusal is not left out because of tunnels.
    expect(choose(stream, "refused", {}, time())).toBe("made");
    wait(200);
    happen(9, "bob");
    happen(10, "bob");
    happen(11, "bob");
    expect(await read(watchers[0] as EventWatcher)).toEqual([9, 10]);
    wait(1000);
    expect(await read(watchers[0] as EventWatcher)).toEqual(["lost 1 rate"]);
    expect(stream.collect({}, "o-1").missed).toBe(6);
    expect(stream.collect({}, "o-5").missed).toBe(1);
    expect(stream.collect({}, stream.lastId)).toMatchObject({ events: [], missed: 1 });
  });

  test("wants only what somebody watches, also of one that has left a short time ago", () => {
    const { stream, wait, time } = makeStream();
    const some = stream.watch({ types: new Set(["reload"] as const) }, lines);
    expect(choose(stream, "tunnel_opened", {}, time())).toBe("unwanted");
    const poll = stream.watch({ user: "alice" }, lines);
    poll.close();
    expect(choose(stream, "tunnel_opened", { user: "alice" }, time())).not.toBe("unwanted");
    expect(choose(stream, "tunnel_opened", { user: "bob" }, time())).toBe("unwanted");
    wait(60_000);
    expect(choose(stream, "tunnel_opened", { user: "alice" }, time())).toBe("unwanted");
    for (let at = 0; at < 40; at += 1) stream.watch({ user: `user ${at}` }, lines).close();
    expect(choose(stream, "tunnel_opened", { user: "user 1" }, time())).not.toBe("unwanted");
    wait(60_000);
    expect(choose(stream, "tunnel_opened", { user: "user 1" }, time())).toBe("unwanted");
    some.close();
  });

  test("ends a watcher after what it has not read", async () => {
    const { stream, say } = makeStream();
    const watcher = stream.watch({}, lines);
    say("drain", 1);
    stream.close();
    expect(await read(watcher)).toEqual([1]);
    expect(await watcher.next()).toBeUndefined();
  });

  test("escapes what must not reach a terminal", async () => {
    const { stream, say } = makeStream();
    const watcher = stream.watch({}, lines);
    say("reload", "a\u202eb\u0007");
    expect(Buffer.from((await watcher.next()) ?? []).toString()).toContain('"n":"a\\u202eb\\u0007"');
  });
});

describe("EventRing", () => {
  const event = (number: number, length = 1) => ({
    number,
    leftOutBefore: 0,
    type: "reload" as const,
    json: "x".repeat(length),
  });

  test("keeps the newest events, bounded in number and length", () => {
    const ring = new EventRing(10, 100);
    for (let number = 1; number <= 1000; number += 1) ring.add(event(number));
    expect([ring.size, ring.oldest]).toEqual([10, 991]);
    expect(ring.after(997).map(({ number }) => number)).toEqual([998, 999, 1000]);
    expect(ring.after(5).length).toBe(10);
    expect(ring.after(1000)).toEqual([]);
    for (let number = 1001; number <= 1005; number += 1) ring.add(event(number, 40));
    expect([ring.size, ring.oldest]).toEqual([2, 1004]);
    ring.add(event(1006, 5000));
    expect([ring.size, ring.oldest]).toEqual([1, 1006]);
  });

  test("has no gaps while it goes round", () => {
    const ring = new EventRing(7, 1000);
    for (let number = 1; number <= 100; number += 1) {
      ring.add(event(number));
      const kept = ring.after(0).map((each) => each.number);
      expect(kept).toEqual(
        Array.from({ length: Math.min(7, number) }, (_, at) => number - Math.min(7, number) + 1 + at),
      );
    }
  });
});
