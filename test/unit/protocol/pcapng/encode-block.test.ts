import { describe, expect, test } from "bun:test";
import {
  encodeDecryptionSecrets,
  encodeEnhancedPacket,
  encodeInterfaceDescription,
  encodeInterfaceStatistics,
  encodeSectionHeader,
} from "../../../../src/protocol/pcapng/encode-block.ts";

/** The block as 32-bit words in hexadecimal, as they stand in the file. */
function words(block: Uint8Array): string[] {
  return block.toHex().match(/.{8}/g) ?? [];
}

describe("encodeSectionHeader()", () => {
  test("writes magic, version and an open length", () => {
    expect(words(encodeSectionHeader())).toEqual([
      "0a0d0d0a",
      "1c000000",
      "4d3c2b1a",
      "01000000",
      "ffffffff",
      "ffffffff",
      "1c000000",
    ]);
  });

  test("writes options padded, with their end", () => {
    const block = words(encodeSectionHeader({ comment: "12345", application: "Penstock" }));
    expect(block.slice(6)).toEqual([
      "01000500",
      "31323334",
      "35000000",
      "04000800",
      "50656e73",
      "746f636b",
      "00000000",
      "38000000",
    ]);
  });

  test("cuts text at what an option can hold, between characters", () => {
    const block = encodeSectionHeader({ comment: "€".repeat(40_000) });
    const length = new DataView(block.buffer).getUint16(26, true);
    expect(length).toBe(65_535);
    expect(new TextDecoder("utf-8", { fatal: true }).decode(block.subarray(28, 28 + length))).toBe("€".repeat(21_845));
  });
});

describe("encodeInterfaceDescription()", () => {
  test("tells raw IP, the snap length, and nanoseconds", () => {
    expect(words(encodeInterfaceDescription({ name: "up", snapLength: 128 }))).toEqual([
      "01000000",
      "28000000",
      "65000000",
      "80000000",
      "02000200",
      "75700000",
      "09000100",
      "09000000",
      "00000000",
      "28000000",
    ]);
  });
});

describe("encodeEnhancedPacket()", () => {
  test("writes the timestamp high word first, then the packet padded", () => {
    const packet = Uint8Array.of(1, 2, 3, 4, 5);
    expect(words(encodeEnhancedPacket({ interfaceId: 1, timestamp: 0x0123_4567_89ab_cdefn, packet }))).toEqual([
      "06000000",
      "28000000",
      "01000000",
      "67452301",
      "efcdab89",
      "05000000",
      "05000000",
      "01020304",
      "05000000",
      "28000000",
    ]);
  });

  test("keeps the snap length and tells the true one", () => {
    const block = words(
      encodeEnhancedPacket({ interfaceId: 0, timestamp: 0n, packet: new Uint8Array(9), snapLength: 4 }),
    );
    expect(block.slice(5, 7)).toEqual(["04000000", "09000000"]);
    expect(block).toHaveLength(9);
  });

  test("adds comments and the direction", () => {
    const block = words(
      encodeEnhancedPacket({
        interfaceId: 0,
        timestamp: 0n,
        packet: new Uint8Array(0),
        comments: ["ab", "cd"],
        direction: "outbound",
      }),
    );
    expect(block.slice(7, -1)).toEqual([
      "01000200",
      "61620000",
      "01000200",
      "63640000",
      "02000400",
      "02000000",
      "00000000",
    ]);
  });
});

describe("encodeDecryptionSecrets()", () => {
  test("writes the key log with its type and length", () => {
    expect(words(encodeDecryptionSecrets("abcde"))).toEqual([
      "0a000000",
      "1c000000",
      "4b534c54",
      "05000000",
      "61626364",
      "65000000",
      "1c000000",
    ]);
  });
});

describe("encodeInterfaceStatistics()", () => {
  test("writes what is known and nothing else", () => {
    expect(words(encodeInterfaceStatistics({ interfaceId: 2, timestamp: 1n }))).toEqual([
      "05000000",
      "18000000",
      "02000000",
      "00000000",
      "01000000",
      "18000000",
    ]);
    const block = words(
      encodeInterfaceStatistics({ interfaceId: 0, timestamp: 1n, startedAt: 2n, received: 3n, dropped: 1n << 40n }),
    );
    expect(block.slice(5, -1)).toEqual([
      "02000800",
      "00000000",
      "02000000",
      "04000800",
      "03000000",
      "00000000",
      "05000800",
      "00000000",
      "00010000",
      "00000000",
    ]);
  });
});
