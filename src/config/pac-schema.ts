import * as z from "zod";

import { parseAuthority } from "../address/endpoint.ts";
import { parseHost } from "../address/host.ts";
import { duration, parsed, pemPaths, secret, settings, text } from "./fields.ts";
import { checked, MALFORMED, type PartsOf } from "./parts.ts";
import { type Problem, quoteValue } from "./problem.ts";
import { parseUserTemplate } from "./user-template.ts";

/** Whether `pac` names something to fetch, and not a file. */
export function isPacUrl(pac: string): boolean {
  return /^[a-z][a-z0-9+.-]*:/i.test(pac);
}

function findPacFault(pac: string): string | undefined {
  if (!isPacUrl(pac)) return undefined;
  const isHttp = /^https?:\/\//i.test(pac) && URL.canParse(pac);
  return isHttp ? undefined : 'is no URL of a PAC file. Write "https://host/path", or the path of a file';
}

const userName = () => parsed("a user name", parseUserTemplate, undefined, () => "the user name");

const loginSettings = settings({
  username: userName().describe("User name, as of an upstream."),
  password: secret().describe("Password.").optional(),
});

const pacSettings = settings({
  pac: text('the path of a PAC file, or a URL such as "https://pac.example/proxy.pac"', findPacFault, (pac) =>
    typeof pac === "string" && isPacUrl(pac) ? "The URL" : quoteValue(pac),
  ).describe(
    "PAC file that chooses the upstream for each request: the path of a file, relative to the configuration file, or an `https` or `http` URL.",
  ),
  refresh: duration({ zero: false })
    .describe(
      "How often a PAC file is fetched again, give or take a tenth. After a failure it is tried sooner. Only with a URL; a file is followed as it changes. Default: `1h`.",
    )
    .optional(),
  username: userName()
    .describe("User name, as of an upstream, for every proxy that the PAC file names, wherever it is. See `logins`.")
    .optional(),
  password: secret().describe("Password that goes with `username`.").optional(),
  logins: z
    .record(z.string(), loginSettings, {
      error: 'Write a map from proxies to logins, as in { "proxy.example:8080": { username: "u", password: "p" } }.',
    })
    .describe("User names and passwords by proxy, as `host` or `host:port`. They come before `username`.")
    .optional(),
  ca: pemPaths()
    .describe(
      "PEM file, or files, with the certificate authorities to trust for the URL and for HTTPS proxies that the PAC file names. Default: the ones that come with the program.",
    )
    .optional(),
});

function findConflicts({ pac, refresh, username, password, logins }: PartsOf<PacSettings>): Problem[] {
  const problems: Problem[] = [];
  const tell = (path: PropertyKey[], message: string) => problems.push({ path, message });
  if (typeof pac === "string" && !isPacUrl(pac) && refresh !== undefined)
    tell(["refresh"], 'The PAC file is a file, which is followed as it changes. Leave "refresh" out.');
  if (password !== undefined && username === undefined)
    tell(["password"], 'Found a password without a user. Set "username" too.');
  if (logins === undefined || logins === MALFORMED) return problems;
  for (const proxy of Object.keys(logins))
    if (!parseAuthority(proxy).ok && !parseHost(proxy).ok)
      tell(["logins", proxy], 'This names no proxy. Write "proxy.example" or "proxy.example:8080".');
  return problems;
}

/** An upstream that a PAC file chooses. */
export const pacSchema = checked(pacSettings, findConflicts);

export type PacSettings = z.output<typeof pacSettings>;
