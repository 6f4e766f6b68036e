import { networkInterfaces } from "node:os";
import { type Ip, parseIp } from "../address/ip.ts";

/**
 * The addresses at which this proxy listens, which it never dials. A listener on a
 * wildcard address has every address of the machine and all of 127.0.0.0/8.
 */
export class OwnAddresses {
  /** Bound addresses by port; `wildcard` stands for every address of the machine. */
  readonly #byPort = new Map<number, { readonly addresses: Set<string>; wildcard: boolean }>();

  add(host: string, port: number): void {
    const entry = this.#byPort.get(port) ?? { addresses: new Set<string>(), wildcard: false };
    this.#byPort.set(port, entry);
    const ip = parseIp(host);
    if (ip === undefined) {
      // The only name that is known without DNS.
      if (host === "localhost") for (const text of ["127.0.0.1", "::1"]) entry.addresses.add(text);
    } else if (ip.text === "0.0.0.0" || ip.text === "::") {
      entry.wildcard = true;
    } else {
      entry.addresses.add(ip.text);
    }
  }

  /** Forgets all of them. */
  clear(): void {
    this.#byPort.clear();
  }

  has(ip: Ip, port: number): boolean {
    const entry = this.#byPort.get(port);
    if (entry === undefined) return false;
    if (entry.addresses.has(ip.text)) return true;
    // As a destination, 0.0.0.0 and :: are the machine itself.
    if (ip.text === "0.0.0.0" || ip.text === "::") return true;
    if (!entry.wildcard) return false;
    return (ip.family === 4 && ip.bytes[0] === 127) || isInterfaceAddress(ip);
  }
}

/** Looks at the interfaces each time, because addresses change. Only dials to a port of ours come here. */
function isInterfaceAddress(ip: Ip): boolean {
  return Object.values(networkInterfaces()).some((list) =>
    list?.some((entry) => parseIp(entry.address.split("%", 1)[0] ?? "")?.text === ip.text),
  );
}

const MAX_KNOWN = 1024;

/** Addresses of recent clients. The connections of a client share one object, since each keeps its address. */
export class KnownAddresses {
  readonly #byText = new Map<string, Ip>();

  /** Returns the known object for an equal address. */
  share(ip: Ip): Ip {
    const known = this.#byText.get(ip.text);
    if (known !== undefined) return known;
    if (this.#byText.size === MAX_KNOWN) this.#byText.clear();
    this.#byText.set(ip.text, ip);
    return ip;
  }
}
