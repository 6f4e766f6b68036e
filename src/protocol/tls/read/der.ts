/** One value of DER (X.690 §10): its tag byte and its contents. */
export interface DerValue {
  readonly tag: number;
  readonly content: Uint8Array;
}

export const DerTag = {
  octetString: 0x04,
  objectId: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/**
 * Reads the values that follow one another in `bytes`, which they have to fill.
 * Undefined for what is no DER: indefinite lengths, tags of several bytes, more
 * than 4 bytes of length, a value that is cut off.
 */
export function readDer(bytes: Uint8Array): DerValue[] | undefined {
  const values: DerValue[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at] as number;
    const first = bytes[at + 1];
    if (first === undefined || (tag & 0x1f) === 0x1f || first === 0x80 || first > 0x84) return undefined;
    let start = at + 2;
    let length = first;
    if (first > 0x80) {
      length = 0;
      for (let left = first & 0x7f; left > 0; left--) {
        const byte = bytes[start];
        if (byte === undefined) return undefined;
        length = length * 256 + byte;
        start += 1;
      }
    }
    if (start + length > bytes.length) return undefined;
    values.push({ tag, content: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return values;
}

/** The values inside the one value that `bytes` is; undefined when it is not that, or not of that tag. */
export function enterDer(bytes: Uint8Array, tag: number): DerValue[] | undefined {
  const values = readDer(bytes);
  const [only] = values ?? [];
  return values?.length === 1 && only?.tag === tag ? readDer(only.content) : undefined;
}
