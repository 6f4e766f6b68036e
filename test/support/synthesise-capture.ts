import { parseIp } from "../../src/address/ip.ts";
import {
  encodeDecryptionSecrets,
  encodeEnhancedPacket,
  encodeInterfaceDescription,
  encodeInterfaceStatistics,
  encodeSectionHeader,
} from "../../src/protocol/pcapng/encode-block.ts";
import { TcpSynthesiser, type Side } from "../../src/protocol/pcapng/tcp-synthesiser.ts";
import { concat } from "./build-client-hello.ts";

/** One connection of a capture: what each side sent, in order; or that it finished or broke off. */
export interface CapturedConnection {
  readonly segments: readonly { readonly from: Side; readonly bytes: Uint8Array }[];
  /** Over IPv6 instead of IPv4. */
  readonly ipv6?: boolean;
  readonly firstSequence?: { readonly client: number; readonly server: number };
}

const STARTED_AT = 1_700_000_000_123_456_789n;

/** A pcapng file of connections to port 443, one after the other; connection number n comes from port 40000 + n. */
export function synthesiseCapture(connections: readonly CapturedConnection[], keyLog?: string): Uint8Array {
  const blocks = [encodeSectionHeader({ application: "Penstock", comment: "synthesised" })];
  blocks.push(encodeInterfaceDescription({ name: "client", description: "between client and proxy" }));
  if (keyLog !== undefined) blocks.push(encodeDecryptionSecrets(keyLog));
  let timestamp = STARTED_AT;
  let received = 0n;
  const write = (packets: Uint8Array[]) => {
    for (const packet of packets) {
      blocks.push(encodeEnhancedPacket({ interfaceId: 0, timestamp, packet }));
      timestamp += 1_001n;
      received += 1n;
    }
  };
  connections.forEach((connection, index) => {
    const endpoint = (text: string, port: number) => {
      const ip = parseIp(text);
      if (ip === undefined) throw new Error(`"${text}" is no address`);
      return { ip, port };
    };
    const tcp = new TcpSynthesiser({
      client: endpoint(connection.ipv6 ? "2001:db8::1" : "192.0.2.1", 40_000 + index),
      server: endpoint(connection.ipv6 ? "2001:db8::443" : "198.51.100.7", 443),
      ...(connection.firstSequence && { firstSequence: connection.firstSequence }),
    });
    write(tcp.open());
    for (const { from, bytes } of connection.segments) write(tcp.data(from, bytes));
    write([...tcp.finish("client"), ...tcp.finish("server")]);
  });
  blocks.push(
    encodeInterfaceStatistics({
      interfaceId: 0,
      timestamp,
      startedAt: STARTED_AT,
      endedAt: timestamp,
      received,
      dropped: 0n,
    }),
  );
  return concat(...blocks);
}
