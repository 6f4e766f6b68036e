/** A TCP packet of a capture, as far as tests look at it. */
export interface ReadPacket {
  readonly interfaceId: number;
  /** Nanoseconds since the epoch. */
  readonly at: bigint;
  readonly direction: "inbound" | "outbound" | undefined;
  readonly comment: string | undefined;
  /** `ip:port`. */
  readonly from: string;
  readonly to: string;
  readonly sequence: number;
  /** Letters of the flags: S, A, F, R, P. */
  readonly flags: string;
  readonly payload: Uint8Array;
  /** Bytes of the packet before it was cut. */
  readonly length: number;
}

/** A file of the pcapng format, taken apart; throws where it is not well formed. */
export interface ReadCapture {
  readonly interfaces: readonly { readonly name: string; readonly snapLength: number }[];
  readonly packets: readonly ReadPacket[];
  /** The last statistics of each interface. */
  readonly statistics: readonly { readonly received: bigint; readonly dropped: bigint; readonly ended: boolean }[];
}

export function readCapture(file: Uint8Array): ReadCapture {
  const interfaces: { name: string; snapLength: number }[] = [];
  const packets: ReadPacket[] = [];
  const statistics: { received: bigint; dropped: bigint; ended: boolean }[] = [];
  for (const { type, body } of listBlocks(file)) {
    if (type === 1) {
      const options = readOptions(body, 8);
      interfaces.push({ name: options.get(2)?.toString() ?? "", snapLength: body.readUInt32LE(4) });
    } else if (type === 5) {
      const options = readOptions(body, 12);
      statistics[body.readUInt32LE(0)] = {
        received: options.get(4)?.readBigUInt64LE() ?? -1n,
        dropped: options.get(5)?.readBigUInt64LE() ?? -1n,
        ended: options.has(3),
      };
    } else if (type === 6) packets.push(readPacket(body));
  }
  return { interfaces, packets, statistics };
}

/** The bytes that went from one port to another, each where its sequence number puts it; undefined when some are missing. */
export function joinStream(packets: readonly ReadPacket[], fromPort: number, toPort: number): Buffer | undefined {
  const mine = packets.filter(({ from, to }) => from.endsWith(`:${fromPort}`) && to.endsWith(`:${toPort}`));
  const first = mine.find(({ flags }) => flags.includes("S"));
  if (first === undefined) return undefined;
  let next = first.sequence + 1;
  const parts: Uint8Array[] = [];
  for (const { sequence, payload, flags } of mine) {
    if (flags.includes("S")) continue;
    if (sequence !== next) return undefined;
    next += payload.length + (flags.includes("F") ? 1 : 0);
    parts.push(payload);
  }
  return Buffer.concat(parts);
}

function* listBlocks(file: Uint8Array): Generator<{ type: number; body: Buffer }> {
  const bytes = Buffer.from(file);
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32LE(at + 4);
    if (length !== bytes.readUInt32LE(at + length - 4)) throw new Error(`The block at ${at} has two lengths`);
    yield { type: bytes.readUInt32LE(at), body: bytes.subarray(at + 8, at + length - 4) };
    at += length;
  }
}

function readOptions(body: Buffer, start: number): Map<number, Buffer> {
  const options = new Map<number, Buffer>();
  for (let at = start; at + 4 <= body.length;) {
    const [code, length] = [body.readUInt16LE(at), body.readUInt16LE(at + 2)];
    if (code === 0) break;
    options.set(code, body.subarray(at + 4, at + 4 + length));
    at += 4 + ((length + 3) & ~3);
  }
  return options;
}

function readPacket(body: Buffer): ReadPacket {
  const kept = body.readUInt32LE(12);
  const packet = body.subarray(20, 20 + kept);
  const options = readOptions(body, 20 + ((kept + 3) & ~3));
  const version = (packet[0] ?? 0) >> 4;
  const ipBytes = version === 4 ? 20 : 40;
  const [source, target] =
    version === 4
      ? [packet.subarray(12, 16).join("."), packet.subarray(16, 20).join(".")]
      : [packet.subarray(8, 24).toString("hex"), packet.subarray(24, 40).toString("hex")];
  const tcp = packet.subarray(ipBytes);
  const flags = tcp[13] ?? 0;
  return {
    interfaceId: body.readUInt32LE(0),
    at: (BigInt(body.readUInt32LE(4)) << 32n) | BigInt(body.readUInt32LE(8)),
    direction: ({ 1: "inbound", 2: "outbound" } as const)[options.get(2)?.readUInt32LE() ?? 0],
    comment: options.get(1)?.toString(),
    from: `${source}:${tcp.readUInt16BE(0)}`,
    to: `${target}:${tcp.readUInt16BE(2)}`,
    sequence: tcp.readUInt32BE(4),
    flags: [...(["F", "S", "R", "P", "A"] as const)].filter((_, bit) => flags & (1 << bit)).join(""),
    payload: new Uint8Array(tcp.subarray(((tcp[12] ?? 0) >> 4) * 4)),
    length: body.readUInt32LE(16),
  };
}
