import { parseIp } from "../../src/address/ip.ts";
import type { Resolver } from "../../src/net/dns.ts";

/** Answers from a table: addresses of both families in one list, or the word of a failure. Unknown names do not exist. */
export function createFakeResolver(
  table: Readonly<Record<string, readonly string[] | "dns_error" | "dns_timeout">>,
): Resolver {
  return {
    lookup(name, family) {
      const entry = table[name] ?? "dns_error";
      if (typeof entry === "string") return { ok: false, detail: entry, note: "from the table" };
      const addresses = entry.map((text) => {
        const ip = parseIp(text);
        if (ip === undefined) throw new Error(`${text} is not an address`);
        return ip;
      });
      const wanted = addresses.filter((ip) => ip.family === family);
      return wanted.length > 0
        ? { ok: true, addresses: wanted }
        : { ok: false, detail: "dns_error", note: "ENOTFOUND" };
    },
  };
}
