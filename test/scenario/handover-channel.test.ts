import { describe, expect, test } from "bun:test";
import { HandoverChannel } from "../../src/net/handover/channel.ts";
import { type Watch, watchWithReactor, watchWithTimer } from "../../src/net/handover/watch.ts";
import { openSocketPair } from "../../src/net/libc/socket.ts";
import { MAX_DESCRIPTORS } from "../../src/protocol/handover/frame.ts";
import type { HandoverMessage } from "../../src/protocol/handover/message.ts";
import { requireLibc } from "../support/fake-successor.ts";
import { expectProgram } from "../support/program.ts";
import { requireReactor } from "../support/require-reactor.ts";
import { waitFor } from "../support/wait-for.ts";

const libc = requireLibc();

interface End extends Disposable {
  readonly channel: HandoverChannel;
  readonly received: { readonly message: HandoverMessage; readonly descriptors: readonly number[] | undefined }[];
  /** Why it is over; `closed` without a fault. */
  readonly ends: string[];
}

function openEnd(fd: number, watch: Watch): End {
  const channel = new HandoverChannel(libc, fd);
  const received: End["received"] = [];
  const ends: string[] = [];
  channel.open(
    {
      onMessage: (message, descriptors) => void received.push({ message, descriptors }),
      onEnd: (fault) => void ends.push(fault ?? "closed"),
    },
    watch,
  );
  return { channel, received, ends, [Symbol.dispose]: () => channel.close() };
}

function openPair(): readonly [number, number] {
  const pair = openSocketPair(libc);
  if (pair === undefined) throw new Error("There is no socket pair");
  return pair;
}

/** Writes to the first of two sockets what the second one must read. */
function expectConnected(from: number, to: number, text: string): void {
  libc.write(from, Buffer.from(text), text.length);
  const room = new Uint8Array(100);
  expect(Buffer.from(room.subarray(0, libc.read(to, room, 100))).toString()).toBe(text);
}

const watches: readonly (readonly [string, () => Watch])[] = [
  ["the event loop over epoll", () => watchWithReactor(requireReactor())],
  ["a timer", () => watchWithTimer],
];

describe.each(watches)("a channel that is watched by %s", (_, choose) => {
  test("passes as many descriptors as one message can have, in their order", async () => {
    const [one, two] = openPair();
    using old = openEnd(one, choose());
    using next = openEnd(two, choose());
    const pairs = Array.from({ length: MAX_DESCRIPTORS }, openPair);
    const sent = pairs.map(([ours]) => ours);
    const connections = sent.map((_fd, at) => ({ descriptors: 1, state: at }));
    await old.channel.send({ kind: "connections", batch: 1, connections }, sent);
    const { descriptors = [] } = await waitFor(() => next.received[0], "the message");
    expect(descriptors).toHaveLength(MAX_DESCRIPTORS);
    for (const fd of sent) libc.close(fd);
    for (const [at, [, theirs]] of pairs.entries()) {
      expectConnected(descriptors[at] ?? -1, theirs, `number ${at}`);
      libc.close(theirs);
    }
    for (const fd of descriptors) libc.close(fd);
  });

  test("carries megabytes both ways at once, and messages keep their order", async () => {
    const [one, two] = openPair();
    using old = openEnd(one, choose());
    using next = openEnd(two, choose());
    const [ours, theirs] = openPair();
    const state = "ü".repeat(1_500_000);
    void old.channel.send({ kind: "connections", batch: 1, connections: [{ descriptors: 1, state }] }, [ours]);
    void old.channel.send({ kind: "done", state: { last: true } });
    void next.channel.send({ kind: "failed", code: 1, problems: [state] });
    await waitFor(() => next.received.length === 2 && old.received.length === 1, "all messages");
    expect(old.received[0]?.message).toEqual({ kind: "failed", code: 1, problems: [state] });
    expect(next.received[0]?.message).toMatchObject({ kind: "connections", connections: [{ state }] });
    expect(next.received[1]?.message).toEqual({ kind: "done", state: { last: true } });
    const [fd = -1] = next.received[0]?.descriptors ?? [];
    expectConnected(fd, theirs, "hello");
    for (const each of [ours, theirs, fd]) libc.close(each);
  });

  test("ends when the other process is gone, and delivers before that what it said", async () => {
    const [one, two] = openPair();
    using old = openEnd(one, choose());
    const next = new HandoverChannel(libc, two);
    void next.send({ kind: "leaving" });
    next.close();
    await waitFor(() => old.ends[0], "the end");
    expect(old.received.map(({ message }) => message)).toEqual([{ kind: "leaving" }]);
    expect(old.ends).toEqual(["closed"]);
    await old.channel.send({ kind: "confirmed" });
  });

  test("ends at the first byte that is no message", async () => {
    const [one, two] = openPair();
    using old = openEnd(one, choose());
    libc.write(two, Buffer.from("X"), 1);
    await waitFor(() => old.ends[0], "the end");
    expect(old.ends).toEqual(["it does not speak the hand-over protocol"]);
    libc.close(two);
  });
});

describe("the first message", () => {
  test("is received without a turn of the event loop, and the next ones after that", () => {
    const [one, two] = openPair();
    const [old, next] = [new HandoverChannel(libc, one), new HandoverChannel(libc, two)];
    void old.send({ kind: "done", state: {} });
    void old.send({ kind: "confirmed" });
    expect(next.receiveFirst(1000)).toEqual({ message: { kind: "done", state: {} }, descriptors: [] });
    const later: HandoverMessage[] = [];
    next.open({ onMessage: (message) => void later.push(message), onEnd: () => {} }, watchWithTimer);
    expect(later).toEqual([{ kind: "confirmed" }]);
    old.close();
    next.close();
  });

  test("that does not come, or not whole, is told", () => {
    const [one, two] = openPair();
    const next = new HandoverChannel(libc, two);
    expect(next.receiveFirst(20)).toBe("nothing came within 20 ms");
    libc.write(one, Buffer.from("PHOV"), 4);
    libc.close(one);
    expect(next.receiveFirst(1000)).toBe("the other process is gone");
  });
});

test("descriptors for which the process has no room are told, none of them stays open, and later ones arrive", async () => {
  const script = `${import.meta.dir}/../fixtures/few-descriptors.ts`;
  const printed = await expectProgram(["sh", "-c", 'ulimit -n 64 && exec "$0" "$1"', process.execPath, script]);
  expect(JSON.parse(printed)).toEqual({ counts: ["too many", 1], left: 1 });
});
