import { describe, expect, test } from "bun:test";
import { parseIp } from "../../../../src/address/ip.ts";
import { encodeTcpPacket, type TcpPacket } from "../../../../src/protocol/pcapng/ip-packet.ts";

function endpoint(text: string, port: number) {
  const ip = parseIp(text);
  if (ip === undefined) throw new Error(`"${text}" is no address`);
  return { ip, port };
}

const BASE: TcpPacket = {
  from: endpoint("192.0.2.1", 40_000),
  to: endpoint("198.51.100.7", 443),
  identification: 0x1234,
  sequence: 0xfffffff0,
  acknowledgement: 7,
  flags: ["PSH", "ACK"],
  payload: Uint8Array.of(1, 2, 3),
};

/** The sum of RFC 1071 over words of 16 bits: 0xffff when the checksum inside is right. */
function sum(...parts: Uint8Array[]): number {
  let total = 0;
  for (const part of parts) part.forEach((byte, at) => (total += at % 2 === 0 ? byte << 8 : byte));
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

describe("encodeTcpPacket()", () => {
  test("writes an IPv4 packet whose checksums are right", () => {
    const packet = encodeTcpPacket(BASE);
    expect(packet.toHex()).toBe(
      [
        "4500002b123440004006", // version, length 43, identification, do not fragment, TTL 64, TCP
        packet.subarray(10, 12).toHex(),
        "c0000201c6336407", // addresses
        "9c4001bbfffffff000000007", // ports, sequence, acknowledgement
        "5018ffff", // 20 bytes of header, PSH and ACK, window
        packet.subarray(36, 38).toHex(),
        "0000010203",
      ].join(""),
    );
    expect(sum(packet.subarray(0, 20))).toBe(0xffff);
    expect(sum(packet.subarray(12, 20), Uint8Array.of(0, 6, 0, 23), packet.subarray(20))).toBe(0xffff);
  });

  test("writes an IPv6 packet whose checksum is right", () => {
    const from = endpoint("2001:db8::1", 1);
    const to = endpoint("2001:db8::2", 2);
    const packet = encodeTcpPacket({ ...BASE, from, to });
    expect(packet.subarray(0, 8).toHex()).toBe("6000000000170640");
    expect(packet.subarray(8, 24)).toEqual(from.ip.bytes);
    expect(packet.subarray(24, 40)).toEqual(to.ip.bytes);
    expect(sum(packet.subarray(8, 40), Uint8Array.of(0, 6, 0, 23), packet.subarray(40))).toBe(0xffff);
  });

  test("writes the options of a SYN", () => {
    const packet = encodeTcpPacket({ ...BASE, flags: ["SYN"], options: { segmentBytes: 1460, windowShift: 14 } });
    expect(packet[32]).toBe(0x70);
    expect(packet.subarray(40, 48).toHex()).toBe("020405b40103030e");
    expect(packet.subarray(48)).toEqual(BASE.payload);
  });
});
