import type { Ip } from "../../address/ip.ts";

/** Addresses that were seen lately, by their text. */
const known = new Map<string, Ip>();
const MAX_KNOWN = 1024;

/** Gives the same object for the same address, as a rule: a client has many connections, and each keeps its address as long as it lives. */
export function shareAddress(ip: Ip): Ip {
  const before = known.get(ip.text);
  if (before !== undefined) return before;
  if (known.size === MAX_KNOWN) known.clear();
  known.set(ip.text, ip);
  return ip;
}
