/** Builds TLS messages byte by byte, well formed or not, for tests of the parsers. */
export interface HelloParts {
  readonly legacyVersion?: number;
  readonly sessionId?: Uint8Array;
  readonly cipherSuites?: readonly number[];
  readonly compressionMethods?: readonly number[];
  /** Undefined leaves the whole block out. */
  readonly extensions?: readonly (readonly [type: number, data: Uint8Array])[] | undefined;
}

export function u8(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

export function u16(...values: number[]): Uint8Array {
  return Uint8Array.from(values.flatMap((value) => [value >> 8, value & 0xff]));
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** A vector: the length in `size` bytes, then the parts. */
export function vector(size: 1 | 2 | 3, ...parts: Uint8Array[]): Uint8Array {
  const content = concat(...parts);
  const length = [content.length >> 16, content.length >> 8, content.length].slice(3 - size);
  return concat(Uint8Array.from(length.map((byte) => byte & 0xff)), content);
}

export function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function serverName(name: string): readonly [number, Uint8Array] {
  return [0, vector(2, u8(0), vector(2, ascii(name)))];
}

export function alpn(...protocols: (string | Uint8Array)[]): readonly [number, Uint8Array] {
  return [16, vector(2, ...protocols.map((each) => vector(1, typeof each === "string" ? ascii(each) : each)))];
}

/** The body of a ClientHello. */
export function buildClientHello(parts: HelloParts = {}): Uint8Array {
  const { extensions = [] } = parts;
  return concat(
    u16(parts.legacyVersion ?? 0x0303),
    new Uint8Array(32).fill(7),
    vector(1, parts.sessionId ?? u8()),
    vector(2, u16(...(parts.cipherSuites ?? [0x1301]))),
    vector(1, u8(...(parts.compressionMethods ?? [0]))),
    "extensions" in parts && parts.extensions === undefined
      ? u8()
      : vector(2, ...extensions.map(([type, data]) => concat(u16(type), vector(2, data)))),
  );
}

/** A handshake message: type, length, body. */
export function buildMessage(type: number, body: Uint8Array): Uint8Array {
  return concat(u8(type), vector(3, body));
}

/** Records of at most `fragmentBytes` that carry `payload`. */
export function buildRecords(type: number, payload: Uint8Array, fragmentBytes = 1 << 14): Uint8Array {
  const records: Uint8Array[] = [];
  for (let at = 0; at < payload.length; at += fragmentBytes)
    records.push(concat(u8(type), u16(0x0303), vector(2, payload.subarray(at, at + fragmentBytes))));
  return concat(...records);
}
