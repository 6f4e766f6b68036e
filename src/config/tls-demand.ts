import type { ServerNames } from "../proxy/policy/target-set.ts";
import { text, word } from "./fields.ts";
import { type Problem, quoteValue } from "./problem.ts";

/** The JA4 fingerprint of a TLS client. */
export const fingerprint = text("a JA4 fingerprint", (value) =>
  /^t(?:s2|s3|1[0-3]|00)[di][0-9]{4}[0-9A-Za-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}$/.test(value)
    ? undefined
    : 'is not a JA4 fingerprint. Write one such as "t13d1516h2_8daaf6152771_e5627efa2ab1"',
);

/** Versions of TLS as on the wire. */
export const versions = { "1.0": 0x0301, "1.1": 0x0302, "1.2": 0x0303, "1.3": 0x0304 } as const;

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
