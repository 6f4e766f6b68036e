import { describe, expect, test } from "bun:test";
import { parseIp } from "../../../../src/address/ip.ts";
import { TcpSynthesiser, type TcpSynthesiserOptions } from "../../../../src/protocol/pcapng/tcp-synthesiser.ts";

function endpoint(text: string, port: number) {
  const ip = parseIp(text);
  if (ip === undefined) throw new Error(`"${text}" is no address`);
  return { ip, port };
}

function create(options: Partial<TcpSynthesiserOptions> = {}) {
  return new TcpSynthesiser({
    client: endpoint("192.0.2.1", 40_000),
    server: endpoint("198.51.100.7", 443),
    ...options,
  });
}

const FLAGS = ["F", "S", "R", "P", "A"];

/** Direction, flags, sequence, acknowledgement, bytes of payload. */
function tell(packets: readonly Uint8Array[]): string[] {
  return packets.map((packet) => {
    const view = new DataView(packet.buffer);
    const flags = FLAGS.filter((_, bit) => ((packet[33] ?? 0) >> bit) & 1).join("");
    const payload = packet.length - 20 - ((packet[32] ?? 0) >> 4) * 4;
    const direction = view.getUint16(22) === 443 ? ">" : "<";
    return `${direction} ${flags} ${view.getUint32(24)} ${view.getUint32(28)} ${payload}`;
  });
}

describe("TcpSynthesiser", () => {
  test("opens with three packets", () => {
    expect(tell(create({ firstSequence: { client: 100, server: 200 } }).open())).toEqual([
      "> S 100 0 0",
      "< SA 200 101 0",
      "> A 101 201 0",
    ]);
  });

  test("splits data into segments, pushes the last, and has it acknowledged", () => {
    const tcp = create();
    tcp.open();
    expect(tell(tcp.data("client", new Uint8Array(3000)))).toEqual([
      "> A 1 1 1460",
      "> A 1461 1 1460",
      "> PA 2921 1 80",
      "< A 1 3001 0",
    ]);
    expect(tell(tcp.data("server", new Uint8Array(1460)))).toEqual(["< PA 1 3001 1460", "> A 3001 1461 0"]);
    expect(tcp.data("client", new Uint8Array(0))).toEqual([]);
  });

  test("carries the bytes in order, whatever the size of a segment", () => {
    const bytes = Uint8Array.from({ length: 1000 }, (_, index) => index % 256);
    for (const segmentBytes of [1, 7, 999, 1000, 100_000]) {
      const packets = create({ segmentBytes }).data("server", bytes);
      const payloads = packets.slice(0, -1).map((packet) => packet.subarray(40));
      expect(Buffer.concat(payloads).toHex()).toBe(bytes.toHex());
    }
  });

  test("lets the sequence numbers wrap around", () => {
    const tcp = create({ firstSequence: { client: 2 ** 32 - 1, server: 2 ** 32 - 11 } });
    tcp.open();
    expect(tell(tcp.data("server", new Uint8Array(15)))).toEqual(["< PA 4294967286 0 15", "> A 0 5 0"]);
  });

  test("closes one side, and then the other", () => {
    const tcp = create();
    tcp.open();
    expect(tell(tcp.finish("client"))).toEqual(["> FA 1 1 0", "< A 1 2 0"]);
    expect(tcp.finish("client")).toEqual([]);
    expect(tcp.data("client", new Uint8Array(1))).toEqual([]);
    expect(tell(tcp.data("server", new Uint8Array(5)))).toEqual(["< PA 1 2 5", "> A 2 6 0"]);
    expect(tell(tcp.finish("server"))).toEqual(["< FA 6 2 0", "> A 2 7 0"]);
  });

  test("says nothing after a reset", () => {
    const tcp = create();
    tcp.open();
    expect(tell(tcp.reset("server"))).toEqual(["< RA 1 1 0"]);
    expect([tcp.reset("client"), tcp.finish("client"), tcp.data("server", new Uint8Array(1))]).toEqual([[], [], []]);
  });

  test("leaves a gap where bytes were not told", () => {
    const tcp = create();
    tcp.open();
    tcp.skip("client", 500);
    expect(tell(tcp.data("client", new Uint8Array(1)))).toEqual(["> PA 501 1 1", "< A 1 502 0"]);
  });

  test("counts IPv4 packets of each side, around 65536", () => {
    const tcp = create({ segmentBytes: 1 });
    const packets = tcp.data("client", new Uint8Array(65_537));
    const identifications = packets.slice(0, -1).map((packet) => new DataView(packet.buffer).getUint16(4));
    expect([identifications[0], identifications[65_534], identifications[65_535], identifications[65_536]]).toEqual([
      1, 65_535, 0, 1,
    ]);
  });

  test("takes IPv6, with segments that fit Ethernet too", () => {
    const tcp = create({ client: endpoint("2001:db8::1", 1), server: endpoint("2001:db8::2", 443) });
    expect(tcp.data("client", new Uint8Array(1441)).map(({ length }) => length)).toEqual([1500, 61, 60]);
  });

  test("throws when the ends are of two address families", () => {
    expect(() => create({ server: endpoint("2001:db8::2", 443) })).toThrow("one family");
  });
});
