import type { Zone } from "./name-server.ts";

/** One question about a name, with everything that the answer follows from. */
export interface NameCase {
  readonly title: string;
  readonly name: string;
  readonly hosts?: string;
  readonly resolv?: string;
  /** Of the first name server, and of the second where it is another one. */
  readonly zone?: Zone;
  readonly second?: Zone;
  /** The addresses, when `getaddrinfo` gives others or none, and why. */
  readonly instead?: { readonly addresses: readonly string[]; readonly why: string };
  /** The name that was found; the one that was asked for when absent. */
  readonly found?: string;
}

/** Lines of resolv.conf, and zones, that many cases have. */
export const ONE = "nameserver 127.0.0.53\n";
export const TWO = "nameserver 127.0.0.53\nnameserver 127.0.0.54\n";
export const HASTY = "options timeout:1 attempts:1\n";
export const CORP = `${ONE}search corp.test\n`;

export const www: Zone = { "www.example.test": { a: ["192.0.2.1"], aaaa: ["2001:db8::1"] } };
export const four: Zone = { "www.example.test": { a: ["192.0.2.1"] } };
export const six: Zone = { "www.example.test": { aaaa: ["2001:db8::1"] } };
export const many = Array.from({ length: 31 }, (_, at) => `192.0.2.${at + 1}`);
export const manySix = Array.from({ length: 31 }, (_, at) => `2001:db8::${(at + 1).toString(16)}`);
