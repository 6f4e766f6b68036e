import { type Ip, parseIp } from "../../address/ip.ts";

/** A name of the hosts file. */
export interface HostsEntry {
  /** The first name of the first line that has the name: its official one (hosts(5)). */
  readonly canonical: string;
  /** In the order of the lines, of both families, without repetitions. */
  readonly addresses: readonly Ip[];
}

/** Names by their canonical text: lower case, without a dot at the end. */
export type Hosts = ReadonlyMap<string, HostsEntry>;

/** Addresses per name. */
const MAX_ADDRESSES = 64;

/**
 * Reads a hosts file (hosts(5)): an address, then its names, on each line. A
 * name has the addresses of all its lines; names on one line are no aliases of
 * names on other lines. Addresses with a zone id, and lines without an address,
 * are ignored, as in other programs.
 */
export function parseHosts(text: string): Hosts {
  const hosts = new Map<string, { canonical: string; addresses: Ip[] }>();
  // Files that block names have one address on every line.
  const parsed = new Map<string, Ip | undefined>();
  for (const line of text.split("\n")) {
    const comment = line.indexOf("#");
    const [address, ...names] = (comment < 0 ? line : line.slice(0, comment)).match(/[^ \t\r\v\f]+/g) ?? [];
    if (address === undefined) continue;
    let ip = parsed.get(address);
    if (ip === undefined && !parsed.has(address)) parsed.set(address, (ip = parseIp(address)));
    const [first] = names;
    if (ip === undefined || first === undefined) continue;
    const canonical = canonicalise(first);
    for (const written of names) {
      const name = canonicalise(written);
      const entry = hosts.get(name);
      if (entry === undefined) hosts.set(name, { canonical, addresses: [ip] });
      else if (entry.addresses.length < MAX_ADDRESSES && !entry.addresses.some((known) => known.text === ip.text))
        entry.addresses.push(ip);
    }
  }
  return hosts;
}

function canonicalise(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}
