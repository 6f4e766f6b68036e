import { networkInterfaces } from "node:os";
import { type Ip, parseIp } from "../address/ip.ts";

/**
 * Knows the addresses at which this very proxy answers, so that it never dials
 * itself. A listener on a wildcard address answers at every address of the
 * machine, and at all of 127.0.0.0/8.
 */
export class OwnAddresses {
  /** Bound addresses by port; `wildcard` when any address of the machine will do. */
  readonly #byPort = new Map<number, { readonly addresses: Set<string>; wildcard: boolean }>();

  add(host: string, port: number): void {
    const entry = this.#byPort.get(port) ?? { addresses: new Set<string>(), wildcard: false };
    this.#byPort.set(port, entry);
    const ip = parseIp(host);
    if (ip === undefined) {
      // The only name a listener can be bound to without asking anyone.
      if (host === "localhost") for (const text of ["127.0.0.1", "::1"]) entry.addresses.add(text);
    } else if (ip.text === "0.0.0.0" || ip.text === "::") {
      entry.wildcard = true;
    } else {
      entry.addresses.add(ip.text);
    }
  }

  has(ip: Ip, port: number): boolean {
    const entry = this.#byPort.get(port);
    if (entry === undefined) return false;
    if (entry.addresses.has(ip.text)) return true;
    // The kernel takes 0.0.0.0 and :: as a destination for the machine itself.
    if (ip.text === "0.0.0.0" || ip.text === "::") return true;
    if (!entry.wildcard) return false;
    return (ip.family === 4 && ip.bytes[0] === 127) || isInterfaceAddress(ip);
  }
}

/** Asked anew each time, since addresses come and go; only for dials to one of our own ports. */
function isInterfaceAddress(ip: Ip): boolean {
  return Object.values(networkInterfaces()).some((list) =>
    list?.some((entry) => parseIp(entry.address.split("%", 1)[0] ?? "")?.text === ip.text),
  );
}
