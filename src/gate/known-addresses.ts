import type { Ip } from "../address/ip.ts";

const MAX_KNOWN = 1024;

/** The addresses of clients that were seen lately. A client has many connections, and each keeps its address as long as it lives. */
export class KnownAddresses {
  readonly #byText = new Map<string, Ip>();

  /** Gives the same object for the same address, as a rule. */
  share(ip: Ip): Ip {
    const known = this.#byText.get(ip.text);
    if (known !== undefined) return known;
    if (this.#byText.size === MAX_KNOWN) this.#byText.clear();
    this.#byText.set(ip.text, ip);
    return ip;
  }
}
