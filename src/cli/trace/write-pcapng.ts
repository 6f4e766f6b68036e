import {
  encodeDecryptionSecrets,
  encodeEnhancedPacket,
  encodeInterfaceDescription,
  encodeInterfaceStatistics,
  encodeSectionHeader,
} from "../../protocol/pcapng/encode-block.ts";
import { TcpSynthesiser } from "../../protocol/pcapng/tcp-synthesiser.ts";
import { version } from "../../version.ts";
import type { TraceRecord, WireRecord } from "./trace-record.ts";
import { formatTraceTarget } from "./trace-request.ts";

/**
 * Writes a trace as a capture with the keys to decrypt it. Where the tunnel
 * goes through SOCKS or an encrypted proxy, in which Wireshark sees nothing but
 * the outermost layer, a second interface has the inside of the tunnel as if
 * the client were connected to the target.
 */
export function writeTracePcapng(record: TraceRecord): Uint8Array {
  const { request, wire, proxyTls, tls, tunnelAt } = record;
  const comment = `Trace of ${formatTraceTarget(request.target)}. Packets are made up from the bytes that passed.`;
  const writer = new CaptureWriter(record.startedAt, comment);
  writer.addInterface("wire", "as it went over the network");
  const inner =
    wire !== undefined && tunnelAt !== undefined && request.proxy?.kind !== "http"
      ? (proxyTls?.inside ?? wire.recording).after(tunnelAt)
      : undefined;
  if (inner !== undefined) writer.addInterface("tunnel", "the inside of the tunnel, as if there were no proxy");
  const { challenged } = record;
  writer.addSecrets([...(challenged?.proxyTls?.secrets ?? []), ...(proxyTls?.secrets ?? []), ...(tls?.secrets ?? [])]);
  if (challenged?.wire !== undefined) {
    const openedAt = challenged.wire.recording.chunks[0]?.at ?? 0;
    for (const packet of listPackets(0, challenged.wire, openedAt)) writer.addPacket(packet);
  }
  if (wire !== undefined) {
    const connectedAt =
      record.attempts.findLast(({ code, endedAt }) => code === undefined && endedAt !== undefined)?.endedAt ?? 0;
    const packets = [...listPackets(0, wire, connectedAt)];
    if (inner !== undefined) {
      const { host, port } = request.target.endpoint;
      const known = host.kind === "ip" && host.ip.family === wire.remote.ip.family ? host.ip : wire.remote.ip;
      const tunnel = { recording: inner, local: wire.local, remote: { ip: known, port } };
      packets.push(...listPackets(1, tunnel, inner.chunks[0]?.at ?? connectedAt));
    }
    for (const packet of packets.toSorted((a, b) => a.at - b.at)) writer.addPacket(packet);
  }
  return writer.finish(record.endedAt);
}

interface TimedPacket {
  readonly interfaceId: number;
  readonly at: number;
  readonly packet: Uint8Array;
}

function listPackets(interfaceId: number, { recording, local, remote }: WireRecord, openedAt: number): TimedPacket[] {
  const tcp = new TcpSynthesiser({ client: local, server: remote });
  const packets: TimedPacket[] = [];
  const add = (at: number, made: readonly Uint8Array[]) => {
    for (const packet of made) packets.push({ interfaceId, at, packet });
  };
  add(openedAt, tcp.open());
  for (const { at, from, bytes } of recording.chunks) add(at, tcp.data(from, bytes));
  const last = recording.chunks.at(-1)?.at ?? openedAt;
  add(recording.endedAt ?? last, tcp.finish("server"));
  add(Math.max(last, recording.endedAt ?? last), tcp.finish("client"));
  return packets;
}

class CaptureWriter {
  readonly #startedAt: number;
  readonly #blocks: Uint8Array[];
  readonly #counts: bigint[] = [];

  constructor(startedAt: number, comment: string) {
    this.#startedAt = startedAt;
    this.#blocks = [encodeSectionHeader({ application: `Penstock ${version}`, comment })];
  }

  addInterface(name: string, description: string): void {
    this.#blocks.push(encodeInterfaceDescription({ name, description }));
    this.#counts.push(0n);
  }

  addSecrets(lines: readonly string[]): void {
    if (lines.length > 0) this.#blocks.push(encodeDecryptionSecrets(`${lines.join("\n")}\n`));
  }

  addPacket({ interfaceId, at, packet }: TimedPacket): void {
    this.#blocks.push(encodeEnhancedPacket({ interfaceId, timestamp: this.#toTimestamp(at), packet }));
    this.#counts[interfaceId] = (this.#counts[interfaceId] ?? 0n) + 1n;
  }

  finish(endedAt: number): Uint8Array {
    const [startedAt, timestamp] = [this.#toTimestamp(0), this.#toTimestamp(endedAt)];
    for (const [interfaceId, received] of this.#counts.entries())
      this.#blocks.push(
        encodeInterfaceStatistics({ interfaceId, timestamp, startedAt, endedAt: timestamp, received, dropped: 0n }),
      );
    return Buffer.concat(this.#blocks);
  }

  /** Nanoseconds since the epoch, of milliseconds since the beginning. */
  #toTimestamp(at: number): bigint {
    return BigInt(this.#startedAt) * 1_000_000n + BigInt(Math.round(at * 1_000_000));
  }
}
