import { decodeLatin1 } from "../../http1/octets.ts";
import { type ByteReader, type ParsedBody, readUint16 } from "./byte-reader.ts";
import type { ExtensionBlock, TlsExtension } from "./extension.ts";

/** In the body of a hello: after the version, and after the random. */
const RANDOM_AT = 2;
const SESSION_ID_AT = 34;

/** What both hellos begin and end with: a view of bytes that were checked. Valid only as long as the bytes are. */
export class Hello {
  readonly bytes: Uint8Array;
  /** Offset of the body in `bytes`. */
  readonly start: number;
  /** Offset after the session id. */
  readonly restAt: number;
  readonly extensionBlock: ExtensionBlock;

  constructor(start: number, restAt: number, extensionBlock: ExtensionBlock) {
    this.bytes = extensionBlock.bytes;
    this.start = start;
    this.restAt = restAt;
    this.extensionBlock = extensionBlock;
  }

  /** The version of the hello itself: 0x0303 in TLS 1.3 too, where an extension counts. */
  get legacyVersion(): number {
    return readUint16(this.bytes, this.start);
  }

  get random(): Uint8Array {
    return this.bytes.subarray(this.start + RANDOM_AT, this.start + SESSION_ID_AT);
  }

  /** 0 to 32 bytes. In TLS 1.3 the server only repeats the client's. */
  get sessionId(): Uint8Array {
    return this.bytes.subarray(this.start + SESSION_ID_AT + 1, this.restAt);
  }

  /** All extensions in wire order, GREASE and unknown ones included. */
  get extensions(): readonly TlsExtension[] {
    return this.extensionBlock.list();
  }

  /** The session id as text, one character for each byte: for those who keep it longer than the bytes. */
  get sessionIdText(): string {
    return decodeLatin1(this.bytes, this.start + SESSION_ID_AT + 1, this.restAt);
  }
}

/** Passes over version, random and session id. `draft` is an upper byte that the version may have besides 3. Gives what is wrong. */
export function passHelloStart(reader: ByteReader, draft = 3): ParsedBody<never> | undefined {
  const major = reader.bytes[reader.at];
  if (reader.skip(SESSION_ID_AT) && major !== 3 && major !== draft) return { kind: "bad", code: "bad_value", at: 0 };
  const length = reader.uint(1);
  reader.skip(length);
  return length > 32 && !reader.short ? { kind: "bad", code: "bad_value", at: SESSION_ID_AT } : undefined;
}

/** Whether the hello that begins at `start` has this random. */
export function hasRandom(bytes: Uint8Array, start: number, random: Uint8Array): boolean {
  for (let index = 0; index < random.length; index += 1)
    if (bytes[start + RANDOM_AT + index] !== random[index]) return false;
  return true;
}
