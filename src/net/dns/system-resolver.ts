import { createAskServers } from "./ask-servers.ts";
import { parseIp } from "../../address/ip.ts";
import { readErrorCode } from "../../error-code.ts";
import { type CachingOptions, CachingResolver } from "./caching-resolver.ts";
import { createWalk, type Found, type Walk } from "./name-walk.ts";
import { NOT_FOUND, type Resolver } from "./resolver.ts";
import { SYSTEM_FILES, SystemNames } from "./system-names.ts";

/**
 * Makes the resolver of this machine: hosts file, search list, name servers.
 *
 * On Linux it asks the name servers itself. `getaddrinfo` shares its few threads
 * with password checks, so that two names of a dead server would block both for
 * ten seconds. c-ares walks hosts file and search list per family, so that the
 * two families can end at different machines. Modules of nsswitch (mDNS, LDAP)
 * are not asked. On other systems the system's own lookup does not block.
 */
export function createSystemResolver(options: Omit<CachingOptions, "now"> = {}): Resolver {
  const now = (): number => performance.now();
  if (process.platform !== "linux") return new CachingResolver(walkBySystem, NO_NAMES, { ...options, now });
  const names = new SystemNames(SYSTEM_FILES);
  return new CachingResolver(
    createWalk(createAskServers(), () => names.conf),
    names,
    { ...options, now },
  );
}

const NO_NAMES = { find: () => undefined, completes: false, look: () => 0 };

/** The system does not say which name it found, and cannot give a lookup up. */
const walkBySystem: Walk = (host, tell) => {
  let over = false;
  const asked = host.absolute === true ? `${host.text}.` : host.text;
  for (const family of [6, 4] as const) {
    void Bun.dns
      .lookup(asked, { family, socketType: "tcp" })
      .then(
        (answers) => readAnswers(host.text, answers),
        (error: unknown) => readTrouble(error),
      )
      .then((found) => {
        if (!over) tell(family, found);
      });
  }
  return () => {
    over = true;
  };
};

function readAnswers(name: string, answers: readonly { readonly address: string; readonly ttl: number }[]): Found {
  const addresses = answers.map(({ address }) => parseIp(address)).filter((ip) => ip !== undefined);
  const ttl = Math.min(...answers.map((answer) => answer.ttl));
  return addresses.length === 0 ? NOTHING : { lookup: { ok: true, name, addresses }, ttl };
}

const NOTHING: Found = { lookup: { ok: false, detail: "dns_error", note: NOT_FOUND }, ttl: 0 };

function readTrouble(error: unknown): Found {
  const note = (readErrorCode(error) ?? "EUNKNOWN").replace(/^DNS_/, "");
  if (note === "ENOTFOUND" || note === "ENODATA") return NOTHING;
  const timedOut = note === "ETIMEOUT" || note === "EAI_AGAIN";
  return { lookup: { ok: false, detail: timedOut ? "dns_timeout" : "dns_error", note }, ttl: 0 };
}
