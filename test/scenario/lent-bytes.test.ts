import { describe, expect, test } from "bun:test";
import { Duplex } from "node:stream";
import type { Conn } from "../../src/net/conn/conn.ts";
import { ConnStream } from "../../src/net/conn/conn-stream.ts";
import { LoopTimers } from "../../src/net/conn/loop-timers.ts";
import { StreamConn } from "../../src/net/conn/stream-conn.ts";
import { EPOLLIN } from "../../src/net/libc/constants.ts";
import { readBytes } from "../../src/net/epoll/reactor.ts";
import { openSocketPair } from "../../src/net/libc/socket.ts";
import { FakeConn } from "../support/fake-conn.ts";
import { MemoryConn } from "../support/memory-conn.ts";
import { POISON } from "../support/poison-lent-bytes.ts";
import { waitFor } from "../support/proxy.ts";
import { requireReactor } from "../support/require-reactor.ts";
import { connectDescriptorPair, connectPair } from "./tunnel-contract.ts";

/** A connection and a way for its peer to say something. */
interface Stand {
  readonly conn: Conn;
  say(text: string): void;
}

const kinds: readonly (readonly [name: string, open: () => Stand | Promise<Stand>])[] = [
  ["a connection of the reactor", async () => standWith(await connectDescriptorPair())],
  ["a socket of the runtime", async () => standWith(await connectPair())],
  [
    "a stream",
    () => {
      const stream = makeStream();
      return { conn: new StreamConn(stream, ends), say: (text) => void stream.push(Buffer.from(text)) };
    },
  ],
  [
    "a connection in memory",
    () => {
      const conn = new MemoryConn();
      return { conn, say: (text) => conn.say(text) };
    },
  ],
  [
    "a fake connection",
    () => {
      const conn = new FakeConn();
      return { conn, say: (text) => conn.receive(text) };
    },
  ],
];

const ends = {
  remoteAddress: "192.0.2.1",
  remotePort: 443,
  localAddress: "192.0.2.2",
  localPort: 50_000,
  timers: new LoopTimers(),
};

function standWith({ conn, peer }: Awaited<ReturnType<typeof connectPair>>): Stand {
  return { conn, say: (text) => peer.write(text) };
}

/** A stream that takes one write and then waits. */
function makeStream(written: Uint8Array[] = []): Duplex {
  return new Duplex({ read: () => {}, write: (chunk: Uint8Array) => void written.push(chunk) });
}

describe.each(kinds)("%s", (_, open) => {
  test("spoils the bytes that a consumer keeps without a copy", async () => {
    const { conn, say } = await open();
    const kept: Uint8Array[] = [];
    const copied: Uint8Array[] = [];
    conn.attach({
      data(chunk) {
        kept.push(chunk);
        copied.push(new Uint8Array(chunk));
      },
      end: () => {},
      drain: () => {},
      close: () => {},
    });
    say("hello");
    await waitFor(() => Buffer.concat(copied).length === 5, "the bytes");
    expect(Buffer.concat(copied).toString()).toBe("hello");
    expect(new Set(kept.flatMap((chunk) => [...chunk]))).toEqual(new Set([POISON]));
    conn.reset();
  });

  test("keeps what is put back, whatever becomes of the bytes", async () => {
    const { conn, say } = await open();
    const bytes = Buffer.from("before ");
    conn.unread(bytes);
    bytes.fill(POISON);
    let heard = "";
    conn.attach({
      data: (chunk) => void (heard += Buffer.from(chunk).toString()),
      end: () => {},
      drain: () => {},
      close: () => {},
    });
    say("after");
    await waitFor(() => heard.length === 12, "the bytes");
    expect(heard).toBe("before after");
    conn.reset();
  });
});

test("a stream keeps a copy of what it is given to write", () => {
  const written: Uint8Array[] = [];
  const stream = makeStream(written);
  const conn = new StreamConn(stream, ends);
  const bytes = Buffer.from("one");
  conn.write(bytes);
  bytes.fill(POISON);
  expect(Buffer.concat(written).toString()).toBe("one");
  conn.reset();
});

test("a stream over a connection keeps copies of what nobody has read", async () => {
  const conn = new MemoryConn();
  const stream = new ConnStream(conn);
  await Bun.sleep(0);
  for (const text of ["one ", "two ", "three"]) conn.say(text);
  conn.finish();
  expect(await new Response(stream as unknown as ReadableStream).text()).toBe("one two three");
});

test("what comes while nobody listens waits in memory of its own", async () => {
  const { conn, peer } = await connectDescriptorPair();
  conn.attach({ data: () => {}, end: () => {}, drain: () => {}, close: () => {} });
  conn.detach();
  peer.write("early");
  await waitFor(() => conn.unreadBytes === 5, "the bytes");
  // Another connection reads into the same memory meanwhile.
  const other = await connectDescriptorPair();
  let noise = 0;
  other.conn.attach({ data: ({ length }) => void (noise += length), end: () => {}, drain: () => {}, close: () => {} });
  other.peer.write("noise");
  await waitFor(() => noise === 5, "the other bytes");
  let heard = "";
  conn.attach({
    data: (chunk) => void (heard += Buffer.from(chunk).toString()),
    end: () => {},
    drain: () => {},
    close: () => {},
  });
  expect(heard).toBe("early");
  for (const each of [conn, other.conn]) each.reset();
});

test("no more than 64 KiB wait while nobody listens", async () => {
  const { conn, peer } = await connectDescriptorPair();
  let heard = 0;
  conn.attach({ data: () => {}, end: () => {}, drain: () => {}, close: () => {} });
  conn.detach();
  peer.write("x".repeat(300_000));
  await waitFor(() => conn.unreadBytes === 65_536, "a full queue");
  await Bun.sleep(20);
  expect(conn.unreadBytes).toBe(65_536);
  conn.attach({ data: ({ length }) => void (heard += length), end: () => {}, drain: () => {}, close: () => {} });
  await waitFor(() => heard === 300_000, "the rest");
  conn.reset();
});

test("every read of the reactor goes into the same memory, up to the size that was asked for", async () => {
  const reactor = requireReactor();
  const fds = openSocketPair(reactor.libc);
  if (fds === undefined) throw new Error("no pair");
  const [near, far] = fds;
  const sizes: number[] = [];
  const memories = new Set<ArrayBufferLike>();
  reactor.add(near, EPOLLIN, {
    onEvent() {
      const received = reactor.receive(near, sizes.length === 0 ? 10 : readBytes);
      if (typeof received === "number") return;
      sizes.push(received.length);
      memories.add(received.buffer);
    },
    onBug: () => {},
  });
  reactor.libc.write(far, Buffer.alloc(5000), 5000);
  await waitFor(() => sizes.length === 2, "both reads");
  expect(sizes).toEqual([10, 4990]);
  expect(memories.size).toBe(1);
  reactor.closeDescriptor(near);
  reactor.libc.close(far);
});
