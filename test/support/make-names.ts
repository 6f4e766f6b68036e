/** Pieces of DER, for certificates that no program would make. */
function der(tag: number, ...contents: readonly (Uint8Array | string)[]): Buffer {
  const content = Buffer.concat(contents.map((each) => Buffer.from(each)));
  const { length } = content;
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : length < 0x10000
          ? [tag, 0x82, length >> 8, length & 0xff]
          : [tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}

const SEQUENCE = 0x30;
const SET = 0x31;
const OBJECT_ID = 0x06;

/** The tags of GeneralName. */
export const san = {
  other: 0xa0,
  email: 0x81,
  dns: 0x82,
  directory: 0xa4,
  uri: 0x86,
  ip: 0x87,
} as const;

export interface NamedCertificate {
  /** Tags and contents of the alternative names, for each extension of that kind. */
  readonly alternative?: readonly (readonly (readonly [number, Uint8Array | string])[])[];
  /** Tags and contents of common names. */
  readonly common?: readonly (readonly [number, Uint8Array | string])[];
  readonly version?: boolean;
}

/** The DER of a certificate of which the names alone are real. */
export function makeNamedCertificate({ alternative, common = [], version = true }: NamedCertificate): Buffer {
  const algorithm = der(SEQUENCE, der(OBJECT_ID, Buffer.from("2a8648ce3d040302", "hex")));
  const organisation = der(SET, der(SEQUENCE, der(OBJECT_ID, Buffer.from("55040a", "hex")), der(0x0c, "Corp")));
  const subject = common.map(([tag, text]) =>
    der(SET, der(SEQUENCE, der(OBJECT_ID, Buffer.from("550403", "hex")), der(tag, text))),
  );
  const extensions = (alternative ?? []).map((names) =>
    der(
      SEQUENCE,
      der(OBJECT_ID, Buffer.from("551d11", "hex")),
      der(0x01, Uint8Array.of(0xff)),
      der(0x04, der(SEQUENCE, ...names.map(([tag, text]) => der(tag, text)))),
    ),
  );
  const usage = der(
    SEQUENCE,
    der(OBJECT_ID, Buffer.from("551d0f", "hex")),
    der(0x04, der(0x03, Uint8Array.of(7, 0x80))),
  );
  const toBeSigned = der(
    SEQUENCE,
    ...(version ? [der(0xa0, der(0x02, Uint8Array.of(2)))] : []),
    der(0x02, Uint8Array.of(1)),
    algorithm,
    der(SEQUENCE),
    der(SEQUENCE, der(0x17, "200101000000Z"), der(0x17, "480101000000Z")),
    der(SEQUENCE, organisation, ...subject),
    der(SEQUENCE, algorithm, der(0x03, Uint8Array.of(0))),
    ...(alternative === undefined ? [] : [der(0xa3, der(SEQUENCE, usage, ...extensions))]),
  );
  return der(SEQUENCE, toBeSigned, algorithm, der(0x03, Uint8Array.of(0)));
}
