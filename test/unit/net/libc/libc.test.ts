import { describe, expect, test } from "bun:test";
import { O_CLOEXEC, O_NONBLOCK, SOL_SOCKET } from "../../../../src/net/libc/constants.ts";
import { EAGAIN, isTransient } from "../../../../src/net/libc/errno.ts";
import { listLibraryNames, openLibc } from "../../../../src/net/libc/libc.ts";
import { duplicateDescriptor, openSocketPair } from "../../../../src/net/libc/socket.ts";
import { requireLibc } from "../../../support/lane-stand.ts";

const EBADF = 9;

describe("listLibraryNames()", () => {
  test("names glibc first and then musl, for both machines", () => {
    expect(listLibraryNames("x64")).toEqual(["libc.so.6", "libc.musl-x86_64.so.1", "/lib/ld-musl-x86_64.so.1"]);
    expect(listLibraryNames("arm64")).toEqual(["libc.so.6", "libc.musl-aarch64.so.1", "/lib/ld-musl-aarch64.so.1"]);
  });

  test("names nothing for a machine whose ABI is not known here", () => {
    expect(listLibraryNames("riscv64")).toEqual([]);
  });
});

describe("openLibc()", () => {
  test("gives the same library every time", () => {
    expect(openLibc()).toBe(requireLibc());
  });

  test("calls return the negated error number", () => {
    const libc = requireLibc();
    expect(libc.close(-1)).toBe(-EBADF);
    expect(libc.splice(-1, -1, 1, 0)).toBe(-EBADF);
    expect(libc.epollWait(-1, new Int32Array(4), 1, 0)).toBe(-EBADF);
    expect(libc.getSocketOption(-1, SOL_SOCKET, 4, new Int32Array(1))).toBe(-EBADF);
  });

  test("reading an empty non-blocking pipe is transient, a bad descriptor is not", () => {
    const libc = requireLibc();
    const fds = new Int32Array(2);
    expect(libc.pipe(fds, O_NONBLOCK | O_CLOEXEC)).toBe(0);
    const [readFd = -1, writeFd = -1] = fds;
    const result = libc.read(readFd, new Uint8Array(1), 1);
    expect(result).toBe(-EAGAIN);
    expect(isTransient(result)).toBe(true);
    expect(isTransient(libc.read(-1, new Uint8Array(1), 1))).toBe(false);
    libc.close(readFd);
    libc.close(writeFd);
  });

  test("results are numbers, also where the C type has 64 bits", () => {
    const libc = requireLibc();
    const pair = openSocketPair(libc) ?? [-1, -1];
    const sent = libc.send(pair[0], Uint8Array.of(1, 2, 3), 3, 0);
    expect(sent).toBe(3);
    expect(libc.receive(pair[1], new Uint8Array(8), 8, 0)).toBe(3);
    libc.close(pair[0]);
    libc.close(pair[1]);
  });
});

describe("duplicateDescriptor()", () => {
  test("makes another descriptor of the same socket, which outlives the first", () => {
    const libc = requireLibc();
    const [near, far] = openSocketPair(libc) ?? [-1, -1];
    const copy = duplicateDescriptor(libc, near);
    expect(copy).toBeGreaterThan(2);
    libc.close(near);
    expect(libc.write(copy, Uint8Array.of(9), 1)).toBe(1);
    const into = new Uint8Array(4);
    expect(libc.read(far, into, 4)).toBe(1);
    expect(into[0]).toBe(9);
    libc.close(copy);
    // Only now does the other end see the end of the stream.
    expect(libc.read(far, into, 4)).toBe(0);
    libc.close(far);
  });

  test("refuses a descriptor that is not open", () => {
    expect(duplicateDescriptor(requireLibc(), 999_999)).toBe(-EBADF);
  });
});
