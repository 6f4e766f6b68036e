import { afterEach, describe, expect, test } from "bun:test";
import { copyBytes, LaneDirection, type LaneTools } from "../../../../src/net/splice/lane-direction.ts";
import type { Libc } from "../../../../src/net/libc/libc.ts";
import { SharedBudget } from "../../../../src/net/conn/shared-budget.ts";
import { TokenBuckets } from "../../../../src/net/conn/token-buckets.ts";
import { PipePool } from "../../../../src/net/splice/pipe-pool.ts";
import { finishSocket, openSocketPair } from "../../../../src/net/libc/socket.ts";
import { requireLibc } from "../../../support/lane-stand.ts";
import { createRandom } from "../../../support/seeded-random.ts";

const libc = requireLibc();
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});

/** `writer` → the direction → `reader`: two socket pairs with a direction in between. */
function build(maxPipes = 2): { writer: number; reader: number; direction: LaneDirection; pipes: PipePool } {
  const from = openSocketPair(libc) ?? [-1, -1];
  const to = openSocketPair(libc) ?? [-1, -1];
  const pipes = new PipePool(libc, new Int32Array(maxPipes * 2), { maxPipes, pipeBytes: 1_048_576 });
  const tools: LaneTools = { libc, pipes, scratch: new Uint8Array(copyBytes) };
  const direction = new LaneDirection(tools, { source: from[1], sink: to[0], finished: false });
  cleanups.push(() => {
    direction.drop();
    pipes.trim(0);
    for (const fd of [...from, ...to]) libc.close(fd);
  });
  return { writer: from[0], reader: to[1], direction, pipes };
}

/** Writes what fits. */
function writeSome(fd: number, bytes: Uint8Array): number {
  return Math.max(0, libc.write(fd, bytes, bytes.length));
}

function readAll(fd: number): Uint8Array {
  const parts: Uint8Array[] = [];
  const into = new Uint8Array(65_536);
  for (let count = libc.read(fd, into, into.length); count > 0; count = libc.read(fd, into, into.length))
    parts.push(into.slice(0, count));
  return Buffer.concat(parts);
}

/** Writes `bytes` in and reads them out with turns in between, until nothing moves any more. */
function pumpThrough(stand: ReturnType<typeof build>, bytes: Uint8Array): Uint8Array {
  const out: Uint8Array[] = [];
  let sent = 0;
  let silent = 0;
  while (silent < 3) {
    sent += writeSome(stand.writer, bytes.subarray(sent, sent + 300_000));
    expect(stand.direction.takeTurn(true)).toBe("ok");
    const got = readAll(stand.reader);
    out.push(got);
    silent = got.length === 0 && sent === bytes.length ? silent + 1 : 0;
  }
  return Buffer.concat(out);
}

describe.each([2, 0])("LaneDirection.takeTurn() with %d pipes at most", (maxPipes) => {
  test("moves a small message at once and counts it", () => {
    const { writer, reader, direction } = build(maxPipes);
    libc.write(writer, Buffer.from("hello"), 5);
    expect(direction.takeTurn(true)).toBe("ok");
    expect(Buffer.from(readAll(reader)).toString()).toBe("hello");
    expect([direction.bytes, direction.blocked, direction.isBulk]).toEqual([5, false, false]);
  });

  test("moves bulk byte for byte", () => {
    const stand = build(maxPipes);
    const bytes = createRandom(3).bytes(3_000_001);
    const got = pumpThrough(stand, bytes);
    expect(Bun.hash(got)).toBe(Bun.hash(bytes));
    expect(stand.direction.bytes).toBe(bytes.length);
  });

  test("does nothing, harmlessly, when there is nothing to do", () => {
    const { direction } = build(maxPipes);
    expect([direction.takeTurn(true), direction.takeTurn(true)]).toEqual(["ok", "ok"]);
    expect([direction.bytes, direction.wantsSource]).toEqual([0, true]);
  });

  test("stops reading when the sink is full, and delivers everything in order later", () => {
    const { writer, reader, direction } = build(maxPipes);
    const random = createRandom(5);
    const sent: Uint8Array[] = [];
    let turns = 0;
    while (!direction.blocked) {
      const chunk = random.bytes(20_000);
      const taken = writeSome(writer, chunk);
      if (taken > 0) sent.push(chunk.subarray(0, taken));
      expect(direction.takeTurn(true)).toBe("ok");
      turns += 1;
      expect(turns).toBeLessThan(1000);
    }
    expect(direction.wantsSource).toBe(false);
    const got: Uint8Array[] = [];
    for (let part = readAll(reader); part.length > 0; part = readAll(reader)) {
      got.push(part);
      expect(direction.takeTurn(true)).toBe("ok");
    }
    expect(Bun.hash(Buffer.concat(got))).toBe(Bun.hash(Buffer.concat(sent)));
    expect(direction.wantsSource).toBe(true);
  });

  test("passes the end of the stream on, after everything before it", () => {
    const { writer, reader, direction } = build(maxPipes);
    libc.write(writer, Buffer.from("last"), 4);
    finishSocket(libc, writer);
    direction.takeTurn(true);
    direction.takeTurn(true);
    expect([direction.ended, direction.finished, direction.wantsSource]).toEqual([true, true, false]);
    const into = new Uint8Array(8);
    expect(libc.read(reader, into, 8)).toBe(4);
    expect(libc.read(reader, into, 8)).toBe(0);
    expect(direction.takeTurn(true)).toBe("ok");
  });

  test("does not take the end of the stream for a FIN when it is asked to", () => {
    const { writer, reader, direction } = build(maxPipes);
    finishSocket(libc, writer);
    direction.takeTurnWithoutEnd(true);
    expect([direction.ended, direction.finished]).toEqual([true, false]);
    expect(libc.read(reader, new Uint8Array(1), 1)).toBeLessThan(0);
  });

  test("says that the sink is dead when it is", () => {
    const { writer, reader, direction } = build(maxPipes);
    libc.write(writer, Buffer.from("x"), 1);
    libc.close(reader);
    expect(direction.takeTurn(true)).toBe("sink");
  });
});

describe("LaneDirection", () => {
  test("holds a pipe only while bytes are in it", () => {
    const { writer, reader, direction, pipes } = build(1);
    const chunk = new Uint8Array(50_000);
    while (!direction.blocked) {
      writeSome(writer, chunk);
      direction.takeTurn(true);
    }
    expect([pipes.open, pipes.idle]).toEqual([1, 0]);
    for (let part = readAll(reader); part.length > 0; part = readAll(reader)) direction.takeTurn(true);
    expect([pipes.open, pipes.idle]).toEqual([1, 1]);
  });

  test("throws a pipe away that still has bytes in it", () => {
    const { writer, direction, pipes } = build(1);
    while (!direction.blocked) {
      writeSome(writer, new Uint8Array(50_000));
      direction.takeTurn(true);
    }
    direction.drop();
    expect([pipes.open, pipes.idle]).toEqual([0, 0]);
  });

  test("two directions with one pipe between them both get through", () => {
    const one = build(1);
    const two = build(0);
    const bytes = createRandom(9).bytes(700_000);
    expect(Bun.hash(pumpThrough(one, bytes))).toBe(Bun.hash(bytes));
    expect(Bun.hash(pumpThrough(two, bytes))).toBe(Bun.hash(bytes));
  });

  test("turns to bulk for a stream and back for a trickle", () => {
    const stand = build(2);
    pumpThrough(stand, new Uint8Array(60_000));
    writeSome(stand.writer, new Uint8Array(60_000));
    stand.direction.takeTurn(true);
    expect(stand.direction.isBulk).toBe(true);
    readAll(stand.reader);
    stand.direction.takeTurn(true);
    readAll(stand.reader);
    writeSome(stand.writer, new Uint8Array(100));
    stand.direction.takeTurn(true);
    expect(stand.direction.isBulk).toBe(false);
  });

  test("one that was over before it came here has nothing to do", () => {
    const pipes = new PipePool(libc, new Int32Array(2), { maxPipes: 1, pipeBytes: 65_536 });
    const broken: Libc = { ...libc, receive: () => -9, splice: () => -9, shutdown: () => -9 };
    const tools: LaneTools = { libc: broken, pipes, scratch: new Uint8Array(copyBytes) };
    const direction = new LaneDirection(tools, { source: -1, sink: -1, finished: true });
    expect([direction.finished, direction.wantsSource, direction.takeTurn(true)]).toEqual([true, false, "ok"]);
  });

  test("moves the whole of a turn that it waited for in one go, and waits for the next one at once", () => {
    const time = { now: 1000 };
    const buckets = new TokenBuckets(TokenBuckets.create(1).buffer, () => time.now);
    buckets.set(0, { bytesPerSecond: 20_000_000, burstBytes: 1_000_000 }, "empty");
    /** Bytes of each splice, in and out. */
    const splices: number[] = [];
    // Sockets that always have bytes and take all of them.
    const endless: Libc = {
      ...libc,
      receive: (_fd, _into, bytes) => bytes,
      splice: (_from, _to, bytes) => {
        splices.push(bytes);
        return bytes;
      },
    };
    const { pipes } = build(1);
    const tools: LaneTools = { libc: endless, pipes, scratch: new Uint8Array(copyBytes) };
    const budget = new SharedBudget(buckets, [0]);
    const direction = new LaneDirection(tools, { source: -1, sink: -1, finished: false, budget });
    const turn = (): readonly unknown[] => {
      time.now += Math.ceil(direction.dueIn);
      splices.length = 0;
      return [direction.meetBudget(), direction.parked, direction.wantsSource, ...splices];
    };
    expect([direction.takeTurn(true), direction.bytes, direction.parked]).toEqual(["ok", 0, true]);
    const pipeful = [1_048_576, 1_048_576];
    // The first is a small one.
    expect(turn()).toEqual(["ok", true, false, 1_000_000, 1_000_000]);
    for (let turns = 0; turns < 3; turns += 1)
      expect(turn()).toEqual(["ok", true, false, ...pipeful, ...pipeful, ...pipeful, 854_272, 854_272]);
    // To ask before it is due moves nothing.
    expect([direction.takeTurn(true), direction.bytes]).toEqual(["ok", 13_000_000]);
  });
});
