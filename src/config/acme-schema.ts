import type * as z from "zod";

import type { ChangeDnsRecord } from "../acme/acme-plan.ts";
import { toAsciiHost } from "../address/host.ts";
import { count, duration, flag, hook, list, parsed, pemPaths, secret, settings, text, word } from "./fields.ts";
import { checked, MALFORMED, type PartsOf } from "./parts.ts";
import { type Problem, type Read, refuse } from "./problem.ts";

/** A DNS name as authorities take it: ASCII, lower case, perhaps with `*.` in front. */
export function readAcmeName(written: string): Read<string> {
  const star = written.startsWith("*.") ? "*." : "";
  const read = toAsciiHost(written.slice(star.length));
  if (!read.ok || read.host.kind === "ip")
    return refuse('is no DNS name. Write one that leads to this machine, such as "proxy.example.org"');
  const { text: name } = read.host;
  if (!name.includes(".") || read.host.absolute === true || name.includes("_"))
    return refuse(
      'is no public name, and no authority would issue a certificate for it. Write one such as "proxy.example.org"',
    );
  return { ok: true, value: star + name };
}

const EMAIL = /^[^\s@<>,?&]{1,64}@[^\s@<>,?&]{1,255}$/;
const DIRECTORY = '"https://acme.example/directory"';

const acmeSettings = settings(
  {
    names: list(
      parsed('a DNS name such as "proxy.example.org"', readAcmeName),
      'a list of names such as ["proxy.example.org"]',
    )
      .max(100, { error: "Found more than 100 names, which no authority takes. Write fewer." })
      .describe(
        "The names by which clients reach the proxy, at most 100. One certificate has all of them. `*.example.org` needs `dns-01`.",
      ),
    email: text("an e-mail address", (value) =>
      EMAIL.test(value) ? undefined : 'is no e-mail address. Write one such as "ops@example.org"',
    )
      .describe("Address that the authority may write to. Default: none.")
      .optional(),
    challenge: word(["tls-alpn-01", "http-01", "dns-01"])
      .describe(
        "How control of the names is shown. `tls-alpn-01`: the authority connects to port 443 of the name, which must lead to this listener. `http-01`: it asks port 80, see `httpPort` and `webroot`. `dns-01`: it looks for TXT records, see `dns`.",
      )
      .default("tls-alpn-01"),
    httpPort: count(1, 65535)
      .describe(
        "TCP port, on all addresses, that is open while the authority looks for `http-01`, and answers nothing else. Port 80 of the names must lead to it. Default: 80.",
      )
      .optional(),
    webroot: text("the path of a folder")
      .describe(
        "Folder for `http-01` of a web server that has port 80 already: files are put into `.well-known/acme-challenge/` below it. Relative to the configuration file. Default: none, the proxy listens itself.",
      )
      .optional(),
    dns: settings(
      {
        add: hook<ChangeDnsRecord>("ChangeDnsRecord", "a function that adds a TXT record").describe(
          "Function `({ name, value }) => …`, possibly async, that adds a TXT record. `name` is such as `_acme-challenge.proxy.example.org`. There may be two values for one name. It has 60 s.",
        ),
        remove: hook<ChangeDnsRecord>("ChangeDnsRecord", "a function that removes a TXT record").describe(
          "Function with the same argument that removes that record.",
        ),
        wait: duration({ zero: true })
          .describe("Time between the last record and the look of the authority, until all name servers have it.")
          .default("30s"),
      },
      "a map with add and remove",
    )
      .describe("Functions for `dns-01`.")
      .optional(),
    staging: flag()
      .describe("Ask the staging server of Let's Encrypt, which has wide limits, and whose certificates nobody trusts.")
      .default(false),
    directory: parsed(`the address of a directory, such as ${DIRECTORY}`, readDirectoryUrl)
      .describe("Directory of the authority: an `https` URL. Default: that of Let's Encrypt.")
      .optional(),
    ca: pemPaths()
      .describe(
        "PEM file, or files, with the certificate authorities to trust for `directory` itself. Default: the ones that come with the program.",
      )
      .optional(),
    profile: text("the name of a profile", (value) =>
      /^[\x21-\x7e]{1,64}$/.test(value)
        ? undefined
        : "is no name of a profile. Write at most 64 characters without spaces",
    )
      .describe(
        "Kind of certificate, where the authority offers several. Let's Encrypt: `classic` (90 days), `tlsserver`, `shortlived` (six days). Default: that of the authority.",
      )
      .optional(),
    eab: settings(
      {
        kid: text("the identifier of a key").describe("Identifier of the key."),
        hmac: secret().describe("The key, in base64url as the authority shows it. A secret."),
      },
      "a map with kid and hmac",
    )
      .describe("Binds the account to one that was made elsewhere, where the authority asks for that.")
      .optional(),
  },
  'a map such as { names: ["proxy.example.org"] }',
);

/** A certificate that an authority issues and renews. */
export const acmeSchema = checked(acmeSettings, findConflicts).describe(
  "Has an authority issue the certificate (ACME, RFC 8555), and renew it. It needs `state.folder`. Setting it agrees to the terms of the authority.",
);

export type AcmeSettings = z.output<typeof acmeSchema>;

function findConflicts(parts: PartsOf<z.output<typeof acmeSettings>>): Problem[] {
  const { names, challenge, httpPort, webroot, dns, staging, directory, ca } = parts;
  const problems: Problem[] = [];
  const tell = (path: PropertyKey[], message: string) => problems.push({ path, message });
  if (challenge !== MALFORMED) {
    if (challenge !== "http-01") {
      if (httpPort !== undefined)
        tell(["httpPort"], 'This is for "http-01". Set "challenge" to it, or leave this out.');
      if (webroot !== undefined) tell(["webroot"], 'This is for "http-01". Set "challenge" to it, or leave this out.');
    }
    if (challenge === "dns-01" && dns === undefined)
      tell(["dns"], 'Found no functions that change records. "dns-01" needs "dns: { add, remove }".');
    if (challenge !== "dns-01" && dns !== undefined)
      tell(["dns"], 'This is for "dns-01". Set "challenge" to it, or leave this out.');
    if (challenge !== "dns-01" && names !== MALFORMED)
      for (const [at, name] of names.entries())
        if (name !== MALFORMED && name.startsWith("*."))
          tell(
            ["names", at],
            `A certificate for a wildcard needs "dns-01". Set "challenge" to it, or write the names.`,
          );
  }
  if (httpPort !== undefined && webroot !== undefined)
    tell(["webroot"], 'Found "httpPort", too. A web server answers, or the proxy does: leave one out.');
  if (staging === true && directory !== undefined) tell(["staging"], 'Found "directory", too. Leave one out.');
  if (ca !== undefined && directory === undefined)
    tell(
      ["ca"],
      'Let\'s Encrypt is verified with the authorities that come with the program. Set "directory", or leave this out.',
    );
  return problems;
}

function readDirectoryUrl(written: string): Read<URL> {
  const url = URL.canParse(written) ? new URL(written) : undefined;
  if (url?.protocol !== "https:") return refuse(`is no https:// URL. Write one such as ${DIRECTORY}`);
  if (url.username !== "" || url.password !== "") return refuse('has a password. An account is bound with "eab"');
  return { ok: true, value: url };
}
