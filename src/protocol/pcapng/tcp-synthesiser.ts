import { encodeTcpPacket, type PacketEndpoint, type TcpFlag } from "./ip-packet.ts";

/** A side of a connection: the one that opened it, or the other. */
export type Side = "client" | "server";

export interface TcpSynthesiserOptions {
  readonly client: PacketEndpoint;
  /** Of the same address family. */
  readonly server: PacketEndpoint;
  /** Bytes of payload in a segment. Default 1460 over IPv4 and 1440 over IPv6, as on Ethernet. */
  readonly segmentBytes?: number;
  /** First sequence number of each side. Default 0. */
  readonly firstSequence?: { readonly client: number; readonly server: number };
}

/** A side, with the sequence number of the next byte that it sends. */
interface SideState {
  next: number;
  finished: boolean;
  /** IPv4 identification of its next packet. */
  identification: number;
}

const SEQUENCE_MODULUS = 2 ** 32;
/** IPv4 total length and IPv6 payload length have 16 bits: this leaves room for any header. */
const MAX_SEGMENT_BYTES = 65_000;
/** A window of 65535 × 2^14 bytes, RFC 7323 §2.3: so large that no analyser finds it full. */
const WINDOW_SHIFT = 14;
const NO_BYTES = new Uint8Array(0);

/**
 * Makes up the IP packets of one TCP connection of which only the bytes are
 * known: what a capture would have shown had nothing been lost, reordered or
 * sent again. Every call gives the packets to write, in order.
 */
export class TcpSynthesiser {
  readonly #ends: Readonly<Record<Side, PacketEndpoint>>;
  readonly #segmentBytes: number;
  readonly #states: Readonly<Record<Side, SideState>>;
  #over = false;

  constructor({ client, server, segmentBytes, firstSequence }: TcpSynthesiserOptions) {
    if (client.ip.family !== server.ip.family)
      throw new RangeError("Both ends of a TCP connection have addresses of one family");
    this.#ends = { client, server };
    this.#segmentBytes = Math.min(segmentBytes ?? (client.ip.family === 4 ? 1460 : 1440), MAX_SEGMENT_BYTES);
    this.#states = {
      client: { next: (firstSequence?.client ?? 0) >>> 0, finished: false, identification: 1 },
      server: { next: (firstSequence?.server ?? 0) >>> 0, finished: false, identification: 1 },
    };
  }

  /** SYN, SYN and ACK, ACK. */
  open(): Uint8Array[] {
    return [this.#encode("client", ["SYN"]), this.#encode("server", ["SYN", "ACK"]), this.#encode("client", ["ACK"])];
  }

  /** Segments with `bytes` from `side`, and the other side's acknowledgement. Nothing after `side` has finished. */
  data(side: Side, bytes: Uint8Array): Uint8Array[] {
    if (this.#over || this.#states[side].finished || bytes.length === 0) return [];
    const packets: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += this.#segmentBytes) {
      const last = at + this.#segmentBytes >= bytes.length;
      packets.push(this.#encode(side, last ? ["PSH", "ACK"] : ["ACK"], bytes.subarray(at, at + this.#segmentBytes)));
    }
    packets.push(this.#encode(otherSide(side), ["ACK"]));
    return packets;
  }

  /** A segment of `side` without bytes. */
  acknowledge(side: Side): Uint8Array[] {
    return this.#over ? [] : [this.#encode(side, ["ACK"])];
  }

  /** Counts bytes that passed and are not told: a reader sees a gap. */
  skip(side: Side, length: number): void {
    const state = this.#states[side];
    state.next = (state.next + length) % SEQUENCE_MODULUS;
  }

  /** FIN of `side`, and its acknowledgement. Nothing when it has finished. */
  finish(side: Side): Uint8Array[] {
    const state = this.#states[side];
    if (this.#over || state.finished) return [];
    state.finished = true;
    return [this.#encode(side, ["FIN", "ACK"]), this.#encode(otherSide(side), ["ACK"])];
  }

  /** RST of `side`: the connection is over, later calls give nothing. */
  reset(side: Side): Uint8Array[] {
    if (this.#over) return [];
    this.#over = true;
    return [this.#encode(side, ["RST", "ACK"])];
  }

  #encode(side: Side, flags: readonly TcpFlag[], payload: Uint8Array = NO_BYTES): Uint8Array {
    const state = this.#states[side];
    const isSyn = flags.includes("SYN");
    const packet = encodeTcpPacket({
      from: this.#ends[side],
      to: this.#ends[otherSide(side)],
      identification: state.identification,
      sequence: state.next,
      acknowledgement: flags.includes("ACK") ? this.#states[otherSide(side)].next : 0,
      flags,
      ...(isSyn && { options: { segmentBytes: this.#segmentBytes, windowShift: WINDOW_SHIFT } }),
      payload,
    });
    state.identification = (state.identification + 1) & 0xffff;
    this.skip(side, payload.length + (isSyn || flags.includes("FIN") ? 1 : 0));
    return packet;
  }
}

function otherSide(side: Side): Side {
  return side === "client" ? "server" : "client";
}
