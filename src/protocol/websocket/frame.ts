import { createHash } from "node:crypto";

/** Frames of the WebSocket protocol (RFC 6455 §5.2) as a server sends and reads them. */

const OPCODES = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
export type FrameType = keyof typeof OPCODES;

const FIN = 0x80;
const MASKED = 0x80;
/** Bits of extensions, of which none is ever agreed on here. */
const RESERVED = 0x70;
const MAX_CONTROL_BYTES = 125;

/** Writes a whole message, or a control frame, in one frame. A server does not mask. */
export function writeFrame(type: FrameType, payload: Uint8Array): Uint8Array {
  const { length } = payload;
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const frame = Buffer.allocUnsafe(2 + extra + length);
  frame[0] = FIN | OPCODES[type];
  frame[1] = extra === 0 ? length : extra === 2 ? 126 : 127;
  if (extra === 2) frame.writeUInt16BE(length, 2);
  if (extra === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  frame.set(payload, 2 + extra);
  return frame;
}

/** Writes the frame that closes, with a code of RFC 6455 §7.4.1. */
export function writeClose(code: number): Uint8Array {
  const payload = Buffer.allocUnsafe(2);
  payload.writeUInt16BE(code);
  return writeFrame("close", payload);
}

/** What a client sent. The payload of data frames is not kept: their end is all that is told. */
export interface ClientFrame {
  readonly type: FrameType;
  /** Unmasked; empty for data frames. */
  readonly payload: Uint8Array;
}

/** Why a client's bytes are no frames: the code to close with. */
type FrameFault = 1002 | 1007 | 1009;

const types = new Map<number, FrameType>(Object.entries(OPCODES).map(([name, code]) => [code, name as FrameType]));

/**
 * Reads the frames of a client that has nothing to say: control frames whole, data
 * frames only to pass over them, at most `maxBytes` each.
 */
export class ClientFrames {
  readonly #maxBytes: number;
  #held: Buffer = Buffer.alloc(0);
  /** Bytes of a data frame that are to be passed over. */
  #toSkip = 0;
  #skipped: FrameType | undefined;
  /** A message has begun whose last frame has not come. */
  #isInMessage = false;

  constructor(maxBytes = 64 * 1024) {
    this.#maxBytes = maxBytes;
  }

  /** Takes bytes in any portions; gives the frames that they complete, or the fault that ends everything. */
  read(bytes: Uint8Array): readonly ClientFrame[] | FrameFault {
    this.#held = Buffer.concat([this.#held, bytes]);
    const frames: ClientFrame[] = [];
    for (;;) {
      const frame = this.#readOne();
      if (typeof frame === "number") return frame;
      if (frame === undefined) return frames;
      frames.push(frame);
    }
  }

  #readOne(): ClientFrame | FrameFault | undefined {
    if (this.#skipped !== undefined) return this.#skip(this.#skipped);
    const [first, second] = this.#held;
    if (first === undefined || second === undefined) return undefined;
    const type = types.get(first & 0x0f);
    // RFC 6455 §5.1: an unmasked frame of a client ends the connection.
    if (type === undefined || (first & RESERVED) !== 0 || (second & MASKED) === 0) return 1002;
    const isControl = OPCODES[type] >= OPCODES.close;
    const short = second & 0x7f;
    if (isControl && ((first & FIN) === 0 || short > MAX_CONTROL_BYTES)) return 1002;
    // RFC 6455 §5.4: what continues has begun, and nothing else begins meanwhile.
    if (!isControl && this.#isInMessage !== (type === "continuation")) return 1002;
    const extra = short < 126 ? 0 : short === 126 ? 2 : 8;
    const head = 2 + extra + 4;
    if (this.#held.length < head) return undefined;
    const length =
      extra === 0 ? short : extra === 2 ? this.#held.readUInt16BE(2) : Number(this.#held.readBigUInt64BE(2));
    if (length > this.#maxBytes) return 1009;
    if (!isControl) {
      this.#held = this.#held.subarray(head);
      this.#toSkip = length;
      this.#skipped = type;
      this.#isInMessage = (first & FIN) === 0;
      return this.#skip(type);
    }
    if (this.#held.length < head + length) return undefined;
    const mask = this.#held.subarray(head - 4, head);
    const payload = this.#held.subarray(head, head + length).map((byte, at) => byte ^ (mask[at % 4] ?? 0));
    this.#held = this.#held.subarray(head + length);
    return (type === "close" ? findCloseFault(payload) : undefined) ?? { type, payload };
  }

  #skip(type: FrameType): ClientFrame | undefined {
    const passed = Math.min(this.#toSkip, this.#held.length);
    this.#held = this.#held.subarray(passed);
    this.#toSkip -= passed;
    if (this.#toSkip > 0) return undefined;
    this.#skipped = undefined;
    return { type, payload: new Uint8Array(0) };
  }
}

/** RFC 6455 §5.5.1 and §7.4: nothing, or a code that may be sent and a reason in UTF-8. */
function findCloseFault(payload: Uint8Array): FrameFault | undefined {
  if (payload.length === 0) return undefined;
  const code = payload.length < 2 ? 0 : ((payload[0] ?? 0) << 8) | (payload[1] ?? 0);
  const isDefined = code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
  if (!isDefined && (code < 3000 || code > 4999)) return 1002;
  const reason = Buffer.from(payload.subarray(2));
  // What is not UTF-8 becomes another character.
  return Buffer.from(reason.toString()).equals(reason) ? undefined : 1007;
}

/** RFC 6455 §1.3: the answer to `Sec-WebSocket-Key`. */
export function acceptKey(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}
