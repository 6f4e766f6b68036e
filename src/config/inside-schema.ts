import { either, flag, list, settings, text, word } from "./fields.ts";
import { findTargetFault } from "./target-fault.ts";
import { parseTargetPattern } from "./target-pattern.ts";

const serverName = text('a name such as "*.example.org"', (value) => {
  const parsed = parseTargetPattern(value);
  if (!parsed.ok) return findTargetFault(value);
  return parsed.pattern.host.kind === "cidr" || parsed.pattern.ports.length > 0 || value.includes(":")
    ? 'is no server name. Write a name without a port, such as "example.org" or "*.example.org"'
    : undefined;
});

const fingerprint = text("a JA4 fingerprint", (value) =>
  /^t(?:s2|s3|1[0-3]|00)[di][0-9]{4}[0-9A-Za-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}$/.test(value)
    ? undefined
    : 'is not a JA4 fingerprint. Write one such as "t13d1516h2_8daaf6152771_e5627efa2ab1"',
);

/** What a rule may demand of the first bytes inside a tunnel. */
export const insideFields = {
  protocols: list(word(["tls", "http", "ssh", "smtp", "unknown"]), "a list of protocols")
    .describe(
      "Allow, but only what begins like one of these inside the tunnel. `unknown` is everything else, and a client that says nothing. The client's first bytes are held back until they can be told, at most for `timeouts.handshake`; what the target says flows meanwhile. Forwarded requests count as `http`. Default: anything; with `sni`, `tls` or `ja4`: `tls`.",
    )
    .optional(),
  sni: either('"match" or a list of names', [
    word(["match"]),
    list(serverName, 'a list of names such as "*.example.org"'),
  ])
    .describe(
      'Allow, but inside TLS only with a server name (SNI): `"match"` for the very name that the tunnel is asked for, or a list of names, `*.suffix` (every name below it) and `*` (any). Without SNI, or with a ClientHello that cannot be read, the answer is no. Judged before the ClientHello reaches the target; where Encrypted Client Hello is used, that is the outer one.',
    )
    .optional(),
  tls: settings({
    min: word(["1.0", "1.1", "1.2", "1.3"]).describe("The lowest version that client and server may agree on."),
  })
    .describe("Allow, but only TLS of a version. Clients that offer no such version are refused at once.")
    .optional(),
  ja4: list(fingerprint, "a list of JA4 fingerprints")
    .describe("Allow, but only TLS clients with one of these JA4 fingerprints.")
    .optional(),
};

export const inspectSchema = settings({
  tls: flag()
    .describe(
      "Read the first bytes of tunnels, and TLS handshakes as far as they are in clear, for the access log, `/tunnels` and metrics. Nothing is changed, held or decrypted. Rules that look inside do so in any case.",
    )
    .default(true),
  ja3: flag().describe("Compute JA3 fingerprints beside JA4.").default(false),
})
  .describe("What is looked at inside tunnels.")
  .prefault({});
