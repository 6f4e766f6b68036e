import { ByteReader, decodeLatin1 } from "./byte-reader.ts";

const TAG = { integer: 0x02, utcTime: 0x17, generalizedTime: 0x18, sequence: 0x30, version: 0xa0 } as const;

/**
 * Reads when a certificate ends (`notAfter`, RFC 5280 §4.1.2.5) from its DER:
 * milliseconds since the epoch, or undefined when it is not there. It walks to
 * that field and looks at nothing else, for those who read every certificate
 * that passes; `explainChain` reads all of it.
 */
export function readCertificateExpiry(der: Uint8Array): number | undefined {
  const certificate = enter(new ByteReader(der), TAG.sequence);
  const body = enter(certificate, TAG.sequence);
  if (body.bytes[body.at] === TAG.version) enter(body, TAG.version);
  enter(body, TAG.integer);
  // Signature algorithm and issuer.
  enter(body, TAG.sequence);
  enter(body, TAG.sequence);
  const validity = enter(body, TAG.sequence);
  readTime(validity);
  return readTime(validity);
}

/** The contents of the next value; short when it is not of that tag. */
function enter(reader: ByteReader, tag: number): ByteReader {
  const found = reader.uint(1);
  const length = readLength(reader);
  const start = reader.at;
  reader.skip(length);
  const inner = new ByteReader(reader.bytes, start, reader.at);
  inner.short = reader.short || found !== tag;
  if (inner.short) reader.short = true;
  return inner;
}

/** A length of DER, up to three bytes long: no certificate in TLS is larger. */
function readLength(reader: ByteReader): number {
  const first = reader.uint(1);
  if (first < 0x80) return first;
  const size = first & 0x7f;
  if (size === 1 || size === 2 || size === 3) return reader.uint(size);
  reader.short = true;
  return 0;
}

/** `YYMMDDHHMMSSZ` up to 2049, `YYYYMMDDHHMMSSZ` from 2050 on: always with seconds, always in UTC. */
function readTime(reader: ByteReader): number | undefined {
  const wide = reader.bytes[reader.at] === TAG.generalizedTime;
  const text = decodeLatin1(enter(reader, wide ? TAG.generalizedTime : TAG.utcTime).rest());
  const match = (wide ? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/).exec(
    text,
  );
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const fullYear = wide ? year : year + (year < 50 ? 2000 : 1900);
  const time = Date.UTC(fullYear, month - 1, day, hour, minute, second);
  return Number.isNaN(time) ? undefined : time;
}
