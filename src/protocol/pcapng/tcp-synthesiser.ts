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

/**
 * Makes up the IP packets of one TCP connection of which only the bytes are
 * known: what a capture would have shown had nothing been lost, reordered or
 * sent again. Every call gives the packets to write, in order.
 */
export interface TcpSynthesiser {
  /** SYN, SYN and ACK, ACK. */
  open(): Uint8Array[];
  /** Segments with `bytes` from `side`, and the other side's acknowledgement. Nothing after `side` has finished. */
  data(side: Side, bytes: Uint8Array): Uint8Array[];
  /** Counts bytes that passed and are not told: a reader sees a gap. */
  skip(side: Side, length: number): void;
  /** FIN of `side`, and its acknowledgement. Nothing when it has finished. */
  finish(side: Side): Uint8Array[];
  /** RST of `side`: the connection is over, later calls give nothing. */
  reset(side: Side): Uint8Array[];
}

/** A side, with the sequence number of the next byte that it sends. */
interface SideState {
  readonly side: Side;
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

export function createTcpSynthesiser(options: TcpSynthesiserOptions): TcpSynthesiser {
  const { client, server } = options;
  if (client.ip.family !== server.ip.family)
    throw new RangeError("Both ends of a TCP connection have addresses of one family");
  const segmentBytes = Math.min(options.segmentBytes ?? (client.ip.family === 4 ? 1460 : 1440), MAX_SEGMENT_BYTES);
  const states = {
    client: startSide("client", options.firstSequence?.client ?? 0),
    server: startSide("server", options.firstSequence?.server ?? 0),
  };
  let over = false;

  function encode(state: SideState, flags: readonly TcpFlag[], payload: Uint8Array = NO_BYTES): Uint8Array {
    const peer = states[otherSide(state.side)];
    const syn = flags.includes("SYN");
    const acks = flags.includes("ACK");
    const packet = encodeTcpPacket({
      from: state.side === "client" ? client : server,
      to: state.side === "client" ? server : client,
      identification: state.identification,
      sequence: state.next,
      acknowledgement: acks ? peer.next : 0,
      flags,
      ...(syn && { options: { segmentBytes, windowShift: WINDOW_SHIFT } }),
      payload,
    });
    state.identification = (state.identification + 1) & 0xffff;
    const counted = payload.length + (syn || flags.includes("FIN") ? 1 : 0);
    state.next = (state.next + counted) % SEQUENCE_MODULUS;
    return packet;
  }

  return {
    open() {
      return [encode(states.client, ["SYN"]), encode(states.server, ["SYN", "ACK"]), encode(states.client, ["ACK"])];
    },
    data(side, bytes) {
      const state = states[side];
      if (over || state.finished || bytes.length === 0) return [];
      const packets: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += segmentBytes) {
        const payload = bytes.subarray(at, at + segmentBytes);
        const last = at + segmentBytes >= bytes.length;
        packets.push(encode(state, last ? ["PSH", "ACK"] : ["ACK"], payload));
      }
      packets.push(encode(states[otherSide(side)], ["ACK"]));
      return packets;
    },
    skip(side, length) {
      states[side].next = (states[side].next + length) % SEQUENCE_MODULUS;
    },
    finish(side) {
      const state = states[side];
      if (over || state.finished) return [];
      const fin = encode(state, ["FIN", "ACK"]);
      state.finished = true;
      return [fin, encode(states[otherSide(side)], ["ACK"])];
    },
    reset(side) {
      if (over) return [];
      over = true;
      return [encode(states[side], ["RST", "ACK"])];
    },
  };
}

const NO_BYTES = new Uint8Array(0);

function startSide(side: Side, sequence: number): SideState {
  return { side, next: sequence >>> 0, finished: false, identification: 1 };
}

function otherSide(side: Side): Side {
  return side === "client" ? "server" : "client";
}
