import { parseIp } from "../../src/address/ip.ts";
import { knowLookups, type Lookup, type Resolver } from "../../src/net/dns/resolver.ts";

/** Answers from a table: addresses of both families in one list, or the word of a failure. Unknown names do not exist. */
export function createFakeResolver(
  table: Readonly<Record<string, readonly string[] | "dns_error" | "dns_timeout">>,
): Resolver {
  const lookUp = (name: string, family: 4 | 6): Lookup => {
    const entry = table[name] ?? [];
    if (typeof entry === "string") return { ok: false, detail: entry, note: "from the table" };
    const addresses = entry.map((text) => {
      const ip = parseIp(text);
      if (ip === undefined) throw new Error(`${text} is not an address`);
      return ip;
    });
    const wanted = addresses.filter((ip) => ip.family === family);
    return wanted.length > 0
      ? { ok: true, name, addresses: wanted }
      : { ok: false, detail: "dns_error", note: "ENOTFOUND" };
  };
  return {
    find: ({ text }) => knowLookups(lookUp(text, 4), lookUp(text, 6)),
    mayComplete: () => false,
  };
}

/** A resolver that must not be asked. */
export const unaskedResolver: Resolver = {
  find() {
    throw new Error("asked");
  },
  mayComplete: () => false,
};
