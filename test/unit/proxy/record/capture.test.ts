import { describe, expect, test } from "bun:test";
import { Capture, type CaptureMeans, type CaptureOptions } from "../../../../src/proxy/record/capture.ts";
import type { TunnelEnds, Observer } from "../../../../src/proxy/flow/tunnel.ts";
import { joinStream, readCapture } from "../../../support/read-capture.ts";

const ends: TunnelEnds = {
  client: { remoteAddress: "192.0.2.9", remotePort: 50_000, localAddress: "192.0.2.1", localPort: 8080 },
  target: { remoteAddress: "198.51.100.7", remotePort: 443, localAddress: "203.0.113.1", localPort: 40_000 },
};

function start(options: Partial<CaptureOptions> = {}, means: Partial<CaptureMeans> = {}) {
  let clock = 1_700_000_000_000_000_000n;
  return new Capture(
    { filter: {}, legs: "both", snapLength: 0, ...options },
    {
      id: "1",
      application: "Penstock test",
      limitBytes: 1 << 20,
      now: () => (clock += 1_000n),
      whenOver: () => {},
      ...means,
    },
  );
}

/** A tunnel that is watched; `left` tells whether the observer looked away. */
function open(capture: Capture, passed = { up: 0, down: 0 }): { observer: Observer; left: () => boolean } {
  let left = false;
  const observer = capture.observer({ id: "abc-1", user: "ci" });
  observer.begin({
    ends,
    passed,
    lookAway: () => {
      left = true;
    },
  });
  return { observer, left: () => left };
}

/** Ends a capture and gives the file that its reader got. */
async function finish(capture: Capture) {
  capture.stop();
  const parts: Uint8Array[] = [];
  for (let part = await capture.next(); part !== undefined; part = await capture.next()) parts.push(part);
  return readCapture(Buffer.concat(parts));
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text));

/** A question and its answer through a tunnel that ends in order. */
function converse(observer: Observer): void {
  observer.came("client", bytes("question"));
  observer.went("target", bytes("question"));
  observer.ended("client");
  observer.finished("target");
  observer.came("target", bytes("answer"));
  observer.went("client", bytes("answer"));
  observer.ended("target");
  observer.finished("client");
  observer.over("closed");
}

describe("Capture", () => {
  test("begins with an interface for each leg", async () => {
    expect((await finish(start())).interfaces).toEqual([
      { name: "client", snapLength: 0 },
      { name: "target", snapLength: 0 },
    ]);
    expect((await finish(start({ legs: "target", snapLength: 96 }))).interfaces).toEqual([
      { name: "target", snapLength: 96 },
    ]);
  });

  test("writes both legs of a tunnel with their addresses, byte by byte", async () => {
    const capture = start();
    converse(open(capture).observer);
    const { packets, statistics } = await finish(capture);
    expect(joinStream(packets, 50_000, 8080)?.toString()).toBe("question");
    expect(joinStream(packets, 8080, 50_000)?.toString()).toBe("answer");
    expect(joinStream(packets, 40_000, 443)?.toString()).toBe("question");
    expect(joinStream(packets, 443, 40_000)?.toString()).toBe("answer");
    expect(packets[0]).toMatchObject({
      from: "192.0.2.9:50000",
      to: "192.0.2.1:8080",
      flags: "S",
      direction: "inbound",
      comment: "tunnel abc-1, user ci",
    });
    expect(packets.filter(({ flags }) => flags.includes("F"))).toHaveLength(4);
    expect(statistics.map(({ received }) => received)).toEqual([11n, 11n]);
    expect(statistics.every(({ dropped, ended }) => dropped === 0n && ended)).toBe(true);
  });

  test("tells which packets came and which went, as the proxy sees it", async () => {
    const capture = start();
    converse(open(capture).observer);
    const { packets } = await finish(capture);
    for (const { from, direction } of packets) {
      const proxy = from.startsWith("192.0.2.1:") || from.startsWith("203.0.113.1:");
      expect([from, direction]).toEqual([from, proxy ? "outbound" : "inbound"]);
    }
  });

  test.each([
    ["client_reset", "192.0.2.9:50000", "203.0.113.1:40000"],
    ["target_reset", "192.0.2.1:8080", "198.51.100.7:443"],
    ["killed", "192.0.2.1:8080", "203.0.113.1:40000"],
  ] as const)("shows who broke off a tunnel that ended with %s", async (end, onClientLeg, onTargetLeg) => {
    const capture = start();
    open(capture).observer.over(end);
    const { packets } = await finish(capture);
    expect(packets.filter(({ flags }) => flags.includes("R")).map(({ from }) => from)).toEqual([
      onClientLeg,
      onTargetLeg,
    ]);
  });

  test("says how much passed before it looked, and counts on from there", async () => {
    const capture = start({ legs: "client" });
    const { observer } = open(capture, { up: 1000, down: 5 });
    observer.came("client", bytes("more"));
    const { packets } = await finish(capture);
    expect(packets[0]?.comment).toBe("tunnel abc-1, user ci, 1005 bytes had passed before the capture");
    expect(packets[0]?.sequence).toBe(1000);
    expect(packets.find(({ payload }) => payload.length > 0)?.sequence).toBe(1001);
  });

  test("keeps of each packet what it is told to, and its true length", async () => {
    const capture = start({ legs: "client", snapLength: 44 });
    open(capture).observer.came("client", new Uint8Array(100));
    const { packets } = await finish(capture);
    const [data] = packets.filter(({ length }) => length === 140);
    expect(data?.payload).toHaveLength(4);
  });

  test("drops what its reader does not take in time, counts it, and leaves a gap of that size", async () => {
    const capture = start({ legs: "client" }, { limitBytes: 2400 });
    const { observer } = open(capture);
    observer.came("client", new Uint8Array(1000));
    observer.came("client", new Uint8Array(3000));
    observer.came("client", new Uint8Array(500));
    const { packets, statistics } = await finish(capture);
    const data = packets.filter(({ payload }) => payload.length > 0);
    expect(data.map(({ sequence, payload }) => [sequence, payload.length])).toEqual([
      [1, 1000],
      [4001, 500],
    ]);
    expect(statistics).toEqual([{ received: BigInt(packets.length) + 2n, dropped: 2n, ended: true }]);
  });

  test("does not look at a tunnel for which there is no room", () => {
    const capture = start({}, { limitBytes: 100 });
    expect(open(capture).left()).toBe(true);
  });

  test("looks away from its tunnels when it is stopped", () => {
    let over = 0;
    const capture = start({}, { whenOver: () => (over += 1) });
    const [first, second] = [open(capture), open(capture)];
    second.observer.over("closed");
    capture.stop();
    capture.stop();
    expect([first.left(), second.left(), over]).toEqual([true, false, 1]);
  });

  test("wakes a reader that waits", async () => {
    const capture = start();
    await capture.next();
    const waiting = capture.next();
    converse(open(capture).observer);
    expect((await waiting)?.length).toBeGreaterThan(0);
    capture.stop();
  });

  test("ends a reader that waits when it is stopped", async () => {
    const capture = start();
    await capture.next();
    const waiting = capture.next();
    capture.stop();
    expect(await waiting).toBeDefined();
    expect(await capture.next()).toBeUndefined();
  });
});
