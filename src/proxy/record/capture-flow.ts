import { ipFromBytes, parseIp } from "../../address/ip.ts";
import { encodeEnhancedPacket } from "../../protocol/pcapng/encode-block.ts";
import { type Side, TcpSynthesiser } from "../../protocol/pcapng/tcp-synthesiser.ts";
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

/** What is written for the address of a socket that was closed in between and does not tell it any more. */
const UNKNOWN = { 4: ipFromBytes(new Uint8Array(4)), 6: ipFromBytes(new Uint8Array(16)) } as const;

/** Makes the flow of a leg, whose sequence numbers begin where the tunnel stands. */
export function openFlow(
  leg: TunnelSide,
  interfaceId: number,
  { ends, passed }: WatchedTunnel,
  comment: string,
): CaptureFlow {
  const { localAddress, localPort, remoteAddress, remotePort } = ends[leg];
  const [local, remote] = [parseIp(localAddress), parseIp(remoteAddress)];
  const unknown = UNKNOWN[(local ?? remote)?.family ?? 4];
  const near = { ip: local ?? unknown, port: localPort };
  const far = { ip: remote ?? unknown, port: remotePort };
  const tcp = new TcpSynthesiser({
    client: leg === "client" ? far : near,
    server: leg === "client" ? near : far,
    segmentBytes: SEGMENT_BYTES,
    firstSequence: { client: passed.up, server: passed.down },
  });
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

/** Something that passed and is to be written, as it came: packets are made of it only when the reader asks for them. */
export interface CaptureEntry {
  readonly flow: CaptureFlow;
  /** Nanoseconds since the epoch. */
  readonly at: bigint;
  readonly what: "open" | "data" | "finish" | "reset" | "moved";
  readonly side: Side;
  readonly bytes: Uint8Array;
  /** Bytes that passed on this flow since its entry before this one, and were dropped. */
  readonly skipped: Readonly<Record<Side, number>>;
}

/** What an entry costs beside its bytes, roughly. */
const ENTRY_BYTES = 256;

/** Entries that wait for the reader, up to a number of bytes. */
export class CaptureQueue {
  readonly #limit: number;
  #entries: CaptureEntry[] = [];
  /** Those before are taken. */
  #first = 0;
  #bytes = 0;

  /** `limit` in bytes. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get empty(): boolean {
    return this.#first === this.#entries.length;
  }

  /** Whether bytes still fit. Ends of flows always do: there are no more of them than beginnings. */
  fits(bytes: number): boolean {
    return this.#bytes + bytes + ENTRY_BYTES <= this.#limit;
  }

  /** Keeps a copy of the entry's bytes. */
  add(entry: CaptureEntry): void {
    this.#entries.push({ ...entry, bytes: new Uint8Array(entry.bytes) });
    this.#bytes += entry.bytes.length + ENTRY_BYTES;
  }

  take(): CaptureEntry | undefined {
    const entry = this.#entries[this.#first];
    if (entry === undefined) return undefined;
    this.#first += 1;
    this.#bytes -= entry.bytes.length + ENTRY_BYTES;
    // What was taken is let go now and then: shifting each would move all the others.
    if (this.#first >= 1024 || this.empty) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
    return entry;
  }
}

/** Makes the packets of an entry, as blocks of a capture. */
export function encodePackets(
  { flow, at, what, side, bytes, skipped }: CaptureEntry,
  snapLength: number,
): Uint8Array[] {
  const { tcp, interfaceId, comment, leg } = flow;
  tcp.skip("client", skipped.client);
  tcp.skip("server", skipped.server);
  const packets = makePackets(tcp, what, side, bytes);
  const fromPeer = (leg === "client") === (side === "client");
  return packets.map((packet, index) => {
    // In every group of packets those that answer go the other way: SYN and ACK, and acknowledgements.
    const answers = what === "open" ? index === 1 : what !== "reset" && index === packets.length - 1;
    return encodeEnhancedPacket({
      interfaceId,
      timestamp: at,
      packet,
      snapLength,
      direction: fromPeer === answers ? "outbound" : "inbound",
      ...(what === "open" && index === 0 && { comments: [comment] }),
      ...(what === "moved" && { comments: [MOVED] }),
    });
  });
}

const MOVED = "The tunnel goes on in another process. This capture does not see what follows.";

function makePackets(tcp: TcpSynthesiser, what: CaptureEntry["what"], side: Side, bytes: Uint8Array): Uint8Array[] {
  switch (what) {
    case "open":
      return tcp.open();
    case "data":
      return tcp.data(side, bytes);
    case "moved":
      return tcp.acknowledge(side);
    default:
      return tcp[what](side);
  }
}
