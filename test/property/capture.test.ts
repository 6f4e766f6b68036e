import { expect, test } from "bun:test";
import fc from "fast-check";
import { BlockSplitter } from "../../src/protocol/pcapng/block-splitter.ts";
import { Capture } from "../../src/proxy/record/capture.ts";
import type { TunnelEnds, TunnelSide } from "../../src/proxy/flow/tunnel.ts";
import { readCapture } from "../support/read-capture.ts";

const ends: TunnelEnds = {
  client: { remoteAddress: "2001:db8::9", remotePort: 50_000, localAddress: "2001:db8::1", localPort: 8080 },
  target: { remoteAddress: "198.51.100.7", remotePort: 443, localAddress: "203.0.113.1", localPort: 40_000 },
};

/** Bytes that tell where in the stream they are. */
function makeBytes(from: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (from + index) % 251);
}

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom("came", "went"), fc.constantFrom("client", "target"), fc.nat(3000)),
  },
  { weight: 1, arbitrary: fc.constant("read" as const) },
);

test("a capture has each byte where it belongs, and counts every packet that it dropped", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      fc.integer({ min: 1000, max: 20_000 }),
      async (steps, limitBytes) => {
        let clock = 0n;
        const capture = new Capture(
          { filter: {}, legs: "both", snapLength: 0 },
          { id: "1", application: "test", limitBytes, now: () => (clock += 1n), whenOver: () => {} },
        );
        const parts: (Uint8Array | undefined)[] = [await capture.next()];
        const observer = capture.observer({ id: "a", user: undefined });
        observer.begin({ ends, passed: { up: 0, down: 0 }, lookAway: () => {} });
        // By who sent it: the peer of a leg, or the proxy.
        const sent = new Map<string, number>();
        let unread = true;
        for (const each of steps) {
          if (each === "read") {
            // Only where something waits: else it would wait for the heartbeat.
            if (unread) parts.push(await capture.next());
            unread = false;
            continue;
          }
          const [what, side, length] = each as ["came" | "went", TunnelSide, number];
          const from = sent.get(what + side) ?? 0;
          observer[what](side, makeBytes(from, length));
          sent.set(what + side, from + length);
          // What is read leaves nothing, and this little fits then.
          unread ||= length <= 700;
        }
        observer.over("closed");
        capture.stop();
        for (let part = await capture.next(); part !== undefined; part = await capture.next()) parts.push(part);

        const file = Buffer.concat(parts.filter((part) => part !== undefined));
        const { packets, statistics } = readCapture(file);
        for (const { sequence, payload } of packets) expect(payload).toEqual(makeBytes(sequence - 1, payload.length));
        for (const [interfaceId, { received, dropped }] of statistics.entries()) {
          const written = packets.filter((packet) => packet.interfaceId === interfaceId).length;
          expect(received).toBe(BigInt(written) + dropped);
        }
        const splitter = new BlockSplitter();
        expect(splitter.push(file)?.length).toBe(file.length);
        expect(splitter.counts.packets).toBe(packets.length);
      },
    ),
    { numRuns: 150 },
  );
});
