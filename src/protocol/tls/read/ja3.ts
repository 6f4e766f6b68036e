import { hash } from "node:crypto";
import type { ClientHello } from "./client-hello.ts";
import { isGrease } from "./iana.ts";

/** A fingerprint of the JA3 method: the text that is hashed, and its MD5 in hexadecimal. */
export interface Ja3 {
  readonly text: string;
  readonly hash: string;
}

/**
 * JA3 of a client, by the method that John Althouse, Jeff Atkinson and Josh
 * Atkins published (https://github.com/salesforce/ja3): the version of the
 * hello, cipher suites, extensions, groups and point formats, in wire order,
 * without GREASE. Clients that shuffle their extensions change it with every
 * connection; JA4 does not mind.
 */
export function computeJa3(hello: ClientHello): Ja3 {
  const fields = [
    [hello.legacyVersion],
    hello.cipherSuites,
    hello.extensions.map(({ type }) => type),
    hello.groups,
    hello.pointFormats,
  ];
  const text = fields.map((numbers) => numbers.filter((code) => !isGrease(code)).join("-")).join(",");
  return { text, hash: hash("md5", text, "hex") };
}
