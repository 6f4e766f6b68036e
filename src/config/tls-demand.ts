import { ServerNames } from "../proxy/policy/target-set.ts";
import { either, list, settings, text, word } from "./fields.ts";
import type { ReadEntries } from "./list-reader.ts";
import { type ListEntry, listOfEntries, nameSource } from "./lists-schema.ts";
import { type Problem, quoteValue } from "./problem.ts";
import { findServerNameFault, readTarget } from "./target-pattern.ts";

/** The JA4 fingerprint of a TLS client. */
const fingerprint = text("a JA4 fingerprint", (value) =>
  /^t(?:s2|s3|1[0-3]|00)[di][0-9]{4}[0-9A-Za-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}$/.test(value)
    ? undefined
    : 'is not a JA4 fingerprint. Write one such as "t13d1516h2_8daaf6152771_e5627efa2ab1"',
);

/** Versions of TLS as on the wire. */
export const versions = { "1.0": 0x0301, "1.1": 0x0302, "1.2": 0x0303, "1.3": 0x0304 } as const;

/** Names that SNI may have. */
export const sniDemand = either('"match" or a list of names', [
  word(["match"]),
  listOfEntries('a name such as "*.example.org"', 'a list of names such as "*.example.org"', findServerNameFault),
])
  .describe(
    'Allow, but inside TLS only with a server name (SNI): `"match"` for the very name that the tunnel is asked for, or a list of names, `*.suffix` (every name below it) and `*` (any), also from files (`{ file }`), URLs (`{ url }`) and named lists (`@name`). A ClientHello without SNI, or one that cannot be read, is refused. The rule judges before the ClientHello reaches the target; with Encrypted Client Hello it judges the outer one: see `ech`.',
  )
  .optional();

/** Reads names that the schema has accepted. */
export function compileServerNames(sni: "match" | readonly ListEntry[], read: ReadEntries): "match" | ServerNames {
  if (sni === "match") return sni;
  const names = Iterator.from(read(sni, "server names") ?? []).map(readTarget);
  return new ServerNames(sni.map(nameEntry), names);
}

function nameEntry(entry: ListEntry): string {
  return typeof entry === "string" ? entry : nameSource(entry);
}

/** Versions of TLS. */
export const tlsDemand = settings({
  min: word(["1.0", "1.1", "1.2", "1.3"]).describe("The lowest version that client and server may agree on."),
})
  .describe("Allow, but only TLS of a version. Clients that offer no such version are refused at once.")
  .optional();

/** Fingerprints of TLS clients. */
export const ja4Demand = list(fingerprint, "a list of JA4 fingerprints")
  .describe("Allow, but only TLS clients with one of these JA4 fingerprints.")
  .optional();

/** What Encrypted Client Hello is refused. */
export const echDemand = word(["deny", "grease"])
  .describe(
    'Allow, but inside TLS refuse Encrypted Client Hello, which hides the server name that the client really wants. `"deny"` refuses every ClientHello that has it. Chromium and Firefox send it in every connection by default, with random bytes where they know of no key (GREASE), and nobody can tell these from a real one: such browsers have to be told not to. `"grease"` lets pass what has the form of the random bytes of Chromium, beside the name that the tunnel was asked for; a client that gives a real one this form passes, too. Default: not looked at.',
  )
  .optional();

/** Says for people what Encrypted Client Hello is refused. */
export function describeEch(ech: "deny" | "grease"): string {
  return ech === "deny" ? "no Encrypted Client Hello" : "no Encrypted Client Hello unlike GREASE";
}

/** Names that `explain` lists at most. */
const MAX_NAMES = 10;

/** Says for people which names SNI may have. */
export function describeServerNames(sni: "match" | ServerNames): string {
  if (sni === "match") return "as the target";
  const more = sni.texts.length - MAX_NAMES;
  return `${sni.texts.slice(0, MAX_NAMES).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** A demand on TLS in a rule where TLS may not be spoken. */
export function findDemandConflict({ protocols }: Readonly<Record<string, unknown>>, name: string): Problem[] {
  if (!Array.isArray(protocols) || protocols.includes("tls")) return [];
  return [{ path: [], message: `"protocols" does not have "tls". Add it, or leave out ${quoteValue(name)}.` }];
}
