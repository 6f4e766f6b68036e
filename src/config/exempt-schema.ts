import type * as z from "zod";

import { parseCidr } from "../address/cidr.ts";
import { ExemptClients } from "../proxy/auth/exempt-clients.ts";
import { cidr, either, list, readCidrs, settings, text } from "./fields.ts";
import { MALFORMED, type Parts } from "./parts.ts";
import { type Problem, quoteNamed, quoteValue } from "./problem.ts";
import { findNameFault, type UsersSettings } from "./users-schema.ts";

const ranges = either("an address, a range or a list of them", [
  cidr(),
  list(cidr(), 'a list of addresses or ranges such as "10.0.0.0/8"'),
]);

export const exemptSchema = list(
  either('a range such as "10.0.0.0/8", or { name, from }', [
    cidr(),
    settings({
      name: text("a name", findNameFault).describe(
        "The user that these clients are together, for rules, `limits.perUser`, logs and metrics.",
      ),
      from: ranges.describe("Addresses or ranges of clients."),
    }),
  ]),
  'a list such as ["10.0.0.0/8"]',
)
  .describe(
    'Clients that need no credentials: `["10.0.0.0/8"]`, or with a name `[{ name: "lan", from: "10.0.0.0/8" }]`. A client that shows credentials is judged by them, also when they are wrong; so is a SOCKS5 client that offers a password. Of several ranges the narrowest one counts. With `proxyProtocol` the address is the one in the header of a load balancer, and a load balancer itself is never exempt. Ranges wider than `/8` (IPv4) or `/7` (IPv6) need `open: true`. Default: none.',
  )
  .optional();

type ExemptSettings = z.output<typeof exemptSchema>;

/** Compiles ranges that the schema has accepted. */
export function compileExempt(exempt: NonNullable<ExemptSettings>): ExemptClients {
  return new ExemptClients(
    exempt.map((entry) =>
      typeof entry === "string"
        ? { from: readCidrs([entry]), user: undefined }
        : { from: readCidrs(typeof entry.from === "string" ? [entry.from] : entry.from), user: entry.name },
    ),
  );
}

/** The names of exempt clients, which rules may name. */
export function listExemptNames(exempt: Parts<ExemptSettings>): string[] {
  if (exempt === MALFORMED || exempt === undefined) return [];
  return exempt.flatMap((entry) => (typeof entry === "object" && entry.name !== MALFORMED ? entry.name : []));
}

/** Prefix lengths of the widest private ranges, 10.0.0.0/8 and fc00::/7. */
const WIDEST = { 4: 8, 6: 7 };

/** What contradicts exempt clients. Paths begin at the top. */
export function findExemptConflicts(
  exempt: Parts<ExemptSettings>,
  { users, open, asks }: { users: Parts<UsersSettings>; open: Parts<boolean>; asks: boolean },
): Problem[] {
  if (exempt === MALFORMED || exempt === undefined) return [];
  const path = ["auth", "exempt"];
  if (!asks)
    return [{ path, message: 'The proxy asks nobody for credentials. Set "users" too, or leave "exempt" out.' }];
  const known = Array.isArray(users) ? users.flatMap((each) => (each === MALFORMED ? [] : each.name)) : [];
  return exempt.flatMap((entry, at): Problem[] => {
    if (entry === MALFORMED) return [];
    const problems: Problem[] = [];
    if (typeof entry === "object" && known.includes(entry.name))
      problems.push({
        path: [...path, at, "name"],
        message: `There is a ${quoteNamed("user", String(entry.name))}, whose password these clients would not need. Choose another name.`,
      });
    const from = typeof entry === "string" ? entry : entry.from;
    for (const range of typeof from === "string" ? [from] : from === MALFORMED ? [] : from) {
      const read = range === MALFORMED ? undefined : parseCidr(range);
      if (read?.ok !== true || open === true || read.cidr.prefix >= WIDEST[read.cidr.family]) continue;
      const message = `${quoteValue(range)} is so wide that the proxy is open. Write narrower ranges, or set "open: true".`;
      problems.push({ path: [...path, at], message });
    }
    return problems;
  });
}
