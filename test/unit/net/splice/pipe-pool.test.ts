import { describe, expect, test } from "bun:test";
import { F_GETPIPE_SZ, F_SETPIPE_SZ } from "../../../../src/net/libc/constants.ts";
import { EMFILE, EPERM } from "../../../../src/net/libc/errno.ts";
import type { Libc } from "../../../../src/net/libc/libc.ts";
import { PipePool } from "../../../../src/net/splice/pipe-pool.ts";
import { requireLibc } from "../../../support/lane-stand.ts";

const mebibyte = 1_048_576;

/** A kernel that grants pipes up to `largest` bytes, or none at all at 0. */
function imagineKernel(rules: { largest: number }): { libc: Libc; open: Set<number>; asked: number[] } {
  const open = new Set<number>();
  const asked: number[] = [];
  const size = new Map<number, number>();
  let next = 100;
  const imagined: Partial<Libc> = {
    pipe(fds) {
      if (rules.largest === 0) return -EMFILE;
      fds[0] = next;
      fds[1] = next + 1;
      next += 2;
      open.add(next - 2).add(next - 1);
      return 0;
    },
    fcntl(fd, operation, bytes) {
      if (operation === F_GETPIPE_SZ) return size.get(fd) ?? Math.min(65_536, rules.largest);
      if (operation !== F_SETPIPE_SZ) return -1;
      asked.push(bytes);
      if (bytes > rules.largest) return -EPERM;
      size.set(fd, bytes);
      return bytes;
    },
    close(fd) {
      return open.delete(fd) ? 0 : -9;
    },
  };
  return { libc: { ...requireLibc(), ...imagined }, open, asked };
}

function makePool(libc: Libc, maxPipes = 4): { pool: PipePool; table: Int32Array } {
  const table = new Int32Array(maxPipes * 2).fill(-1);
  return { pool: new PipePool(libc, table, { maxPipes, pipeBytes: mebibyte }), table };
}

describe("PipePool", () => {
  test("gives a pipe of the wanted size on this very machine", () => {
    const { pool } = makePool(requireLibc());
    const pipe = pool.acquire();
    expect(pipe?.bytes).toBeGreaterThanOrEqual(65_536);
    if (pipe !== undefined) pool.discard(pipe);
    expect(pool.open).toBe(0);
  });

  test("hands the pipe used last out first", () => {
    const { pool } = makePool(imagineKernel({ largest: mebibyte }).libc);
    const [one, two] = [pool.acquire(), pool.acquire()];
    if (one === undefined || two === undefined) throw new Error("There is no pipe.");
    pool.release(two);
    pool.release(one);
    expect(pool.acquire()).toBe(one);
    expect(pool.acquire()).toBe(two);
  });

  test("stops at its limit and says so with undefined", () => {
    const { pool } = makePool(imagineKernel({ largest: mebibyte }).libc, 2);
    expect([pool.acquire(), pool.acquire(), pool.acquire()].filter((pipe) => pipe !== undefined)).toHaveLength(2);
    expect(pool.open).toBe(2);
  });

  test("halves its wish until the kernel grants it, and remembers", () => {
    const { libc, asked } = imagineKernel({ largest: 262_144 });
    const { pool } = makePool(libc);
    expect(pool.acquire()?.bytes).toBe(262_144);
    expect(asked).toEqual([mebibyte, 524_288, 262_144]);
    pool.acquire();
    expect(asked).toEqual([mebibyte, 524_288, 262_144, 262_144]);
  });

  test("takes the default size when it may not ask for more", () => {
    expect(makePool(imagineKernel({ largest: 65_536 }).libc).pool.acquire()?.bytes).toBe(65_536);
  });

  test("would rather have none than one of a single page, and leaves nothing open", () => {
    const { libc, open } = imagineKernel({ largest: 4096 });
    expect(makePool(libc).pool.acquire()).toBeUndefined();
    expect(open.size).toBe(0);
  });

  test("asks a kernel that refused again, but not every time", () => {
    const rules = { largest: 0 };
    const { libc } = imagineKernel(rules);
    const { pool } = makePool(libc);
    expect(pool.acquire()).toBeUndefined();
    rules.largest = mebibyte;
    let tries = 1;
    while (pool.acquire() === undefined) tries += 1;
    expect(tries).toBeGreaterThan(100);
    expect(tries).toBeLessThan(1000);
  });

  test("asks for the full size again after a pipe was closed", () => {
    const rules = { largest: 65_536 };
    const { libc } = imagineKernel(rules);
    const { pool } = makePool(libc);
    const small = pool.acquire();
    rules.largest = mebibyte;
    if (small !== undefined) pool.discard(small);
    expect(pool.acquire()?.bytes).toBe(mebibyte);
  });

  test("keeps the table of open descriptors true", () => {
    const { libc, open } = imagineKernel({ largest: mebibyte });
    const { pool, table } = makePool(libc, 3);
    const pipes = [pool.acquire(), pool.acquire(), pool.acquire()].filter((pipe) => pipe !== undefined);
    expect([...table].toSorted()).toEqual([...open].toSorted());
    const [first, ...others] = pipes;
    if (first !== undefined) pool.discard(first);
    expect([...table].filter((fd) => fd >= 0).toSorted()).toEqual([...open].toSorted());
    for (const pipe of others) pool.release(pipe);
    pool.trim(1);
    expect([pool.open, pool.idle, open.size]).toEqual([1, 1, 2]);
    pool.trim(0);
    expect([...table]).toEqual([-1, -1, -1, -1, -1, -1]);
    expect(open.size).toBe(0);
  });
});
