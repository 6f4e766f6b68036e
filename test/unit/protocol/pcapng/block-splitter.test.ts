import { describe, expect, test } from "bun:test";
import { BlockSplitter } from "../../../../src/protocol/pcapng/block-splitter.ts";
import {
  encodeEnhancedPacket,
  encodeInterfaceDescription,
  encodeInterfaceStatistics,
  encodeSectionHeader,
} from "../../../../src/protocol/pcapng/encode-block.ts";

const packet = encodeEnhancedPacket({ interfaceId: 0, timestamp: 1n, packet: new Uint8Array(41) });
const count = (interfaceId: number, dropped: bigint) =>
  encodeInterfaceStatistics({ interfaceId, timestamp: 1n, startedAt: 0n, received: 9n, dropped });
const file = Buffer.concat([
  encodeSectionHeader({ application: "test" }),
  encodeInterfaceDescription(),
  packet,
  count(0, 3n),
  packet,
  count(0, 5n),
  count(1, 2n),
]);

describe("BlockSplitter", () => {
  test.each([1, 3, 7, 64, file.length])("gives whole blocks of a stream in pieces of %d bytes", (size) => {
    const splitter = new BlockSplitter();
    const parts: Uint8Array[] = [];
    for (let at = 0; at < file.length; at += size)
      parts.push(splitter.push(file.subarray(at, at + size)) ?? new Uint8Array(1));
    expect(Buffer.concat(parts)).toEqual(file);
    expect(splitter.counts).toEqual({ packets: 2, dropped: 7 });
  });

  test("keeps the beginning of a block to itself", () => {
    const splitter = new BlockSplitter();
    expect(splitter.push(Buffer.concat([packet, packet.subarray(0, 20)]))).toEqual(Buffer.from(packet));
    expect(splitter.counts.packets).toBe(1);
  });

  test.each([
    ["a length below that of an empty block", "0600000008000000"],
    ["a length that is no multiple of four", "060000000d000000"],
    ["a length beyond all reason", "06000000ffffffff"],
  ])("refuses %s", (_, hex) => {
    expect(new BlockSplitter().push(Uint8Array.fromHex(hex))).toBeUndefined();
  });

  test("takes a packet without statistics, and statistics without options", () => {
    const splitter = new BlockSplitter();
    splitter.push(encodeInterfaceStatistics({ interfaceId: 0, timestamp: 0n }));
    expect(splitter.counts).toEqual({ packets: 0, dropped: 0 });
  });
});
