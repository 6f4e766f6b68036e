import { statSync, readFileSync } from "node:fs";
import { getServers, setServers } from "node:dns";
import { parseIp } from "../address/ip.ts";
import { type AskDns, CachingResolver, type Resolver } from "./dns.ts";

const RESOLV_CONF = "/etc/resolv.conf";

/** Milliseconds between two looks at whether the machine has other name servers now. */
const LOOK_AGAIN_MS = 5000;

/**
 * Makes the resolver that asks what this machine asks: its hosts file, its
 * search list, its name servers.
 *
 * On Linux through c-ares, which waits for answers without occupying threads.
 * `getaddrinfo` has as many threads as there are processors, the same ones that
 * check passwords, so two names of a dead name server would stop everything for
 * ten seconds. The price is that modules of nsswitch (mDNS, LDAP) are not asked.
 * Elsewhere the system's own way does not block.
 *
 * Names are taken as the machine takes them: a search list applies.
 */
export function createSystemResolver(): Resolver {
  const ask: AskDns =
    process.platform === "linux"
      ? createAresAsk()
      : (name, family) => Bun.dns.lookup(name, { family, socketType: "tcp" });
  return new CachingResolver(ask, () => performance.now());
}

/** c-ares reads resolv.conf once, and a machine that runs for years changes its name servers. */
function createAresAsk(): AskDns {
  let lookAt = 0;
  let seen = readChangeTime();
  return (name, family) => {
    const now = performance.now();
    if (now >= lookAt) {
      lookAt = now + LOOK_AGAIN_MS;
      const changed = readChangeTime();
      if (changed !== seen) adoptNameServers();
      seen = changed;
    }
    return Bun.dns.lookup(name, { family, socketType: "tcp", backend: "c-ares" });
  };
}

function readChangeTime(): number {
  return statSync(RESOLV_CONF, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function adoptNameServers(): void {
  try {
    const servers = parseNameServers(readFileSync(RESOLV_CONF, "utf8"));
    if (servers.length > 0 && servers.join() !== getServers().join()) setServers(servers);
  } catch {
    // Gone or unreadable at this moment: the name servers of before are the best guess.
  }
}

/** The addresses of the `nameserver` lines of a resolv.conf (resolv.conf(5)), without those that have a zone id. */
export function parseNameServers(text: string): string[] {
  const servers: string[] = [];
  for (const line of text.split("\n")) {
    const [, address] = /^nameserver[ \t]+(\S+)/.exec(line) ?? [];
    const ip = address === undefined ? undefined : parseIp(address);
    if (ip !== undefined) servers.push(ip.text);
  }
  return servers;
}
