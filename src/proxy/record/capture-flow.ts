import { type Ip, parseIp } from "../../address/ip.ts";
import type { PacketEndpoint } from "../../protocol/pcapng/ip-packet.ts";
import { createTcpSynthesiser, type Side, type TcpSynthesiser } from "../../protocol/pcapng/tcp-synthesiser.ts";
import type { TunnelEnd, TunnelSide, WatchedTunnel } from "../flow/tunnel.ts";

/** Bytes of a segment: as much as loopback interfaces carry, since large packets cost the least. */
export const SEGMENT_BYTES = 16_384;

/** The packets of one leg of one tunnel. On the leg to the client, that one is the `client` of TCP; on the leg to the target it is the proxy. */
export interface CaptureFlow {
  readonly leg: TunnelSide;
  readonly interfaceId: number;
  readonly tcp: TcpSynthesiser;
  /** Written with the first packet. */
  readonly comment: string;
  /** Bytes of each side that were dropped since the last entry. */
  skipped: Record<Side, number>;
}

/** Makes the flow of a leg, whose sequence numbers begin where the tunnel stands. */
export function openFlow(
  leg: TunnelSide,
  interfaceId: number,
  { ends, passed }: WatchedTunnel,
  comment: string,
): CaptureFlow {
  const conn = ends[leg];
  const near = readEndpoint(conn.localAddress, conn.localPort);
  const far = readEndpoint(conn.remoteAddress, conn.remotePort);
  const [client, server] = leg === "client" ? [far, near] : [near, far];
  const firstSequence = { client: passed.up, server: passed.down };
  const tcp = createTcpSynthesiser({ ...ofOneFamily(client, server), segmentBytes: SEGMENT_BYTES, firstSequence });
  return { leg, interfaceId, tcp, comment, skipped: { client: 0, server: 0 } };
}

/** Who sent what passed between the proxy and a side of the tunnel. */
export function findSender(leg: TunnelSide, sentByProxy: boolean): Side {
  return (leg === "client") === sentByProxy ? "server" : "client";
}

/** Who breaks a leg off when the tunnel ends so; undefined when nobody does. */
export function findBreaker(leg: TunnelSide, end: TunnelEnd): Side | undefined {
  if (end === "closed") return undefined;
  return findSender(leg, end !== `${leg}_reset`);
}

function readEndpoint(address: string, port: number): PacketEndpoint {
  return { ip: parseIp(address) ?? UNKNOWN, port };
}

/** What is written for an address that a socket does not tell any more. */
const UNKNOWN: Ip = parseIp("0.0.0.0") ?? panic();

/** A socket that was closed in between has no address, and so of no family. */
function ofOneFamily(
  client: PacketEndpoint,
  server: PacketEndpoint,
): { client: PacketEndpoint; server: PacketEndpoint } {
  if (client.ip.family === server.ip.family) return { client, server };
  const unknown = parseIp("::") ?? panic();
  return {
    client: client.ip.family === 6 ? client : { ip: unknown, port: client.port },
    server: server.ip.family === 6 ? server : { ip: unknown, port: server.port },
  };
}

function panic(): never {
  throw new Error("An address of the source does not parse");
}
