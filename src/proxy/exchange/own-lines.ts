import { formatVia } from "./via.ts";

/** The last lines of heads for clients. They are nearly always the same ones: their octets are kept. */
export class OwnLines {
  #via = "";
  #second = -1;
  #undated: Uint8Array = formatEnd("1.1", "");
  #dated: Uint8Array = this.#undated;

  /** Our Via line and the empty line, for a head that came in `version`. `via` is our name. */
  undated(version: "1.0" | "1.1", via: string): Uint8Array {
    if (version === "1.0") return formatEnd(version, via);
    if (via !== this.#via) this.#rename(via);
    return this.#undated;
  }

  /** The same lines after a Date of now. */
  dated(version: "1.0" | "1.1", via: string): Uint8Array {
    const second = Math.floor(Date.now() / 1000);
    if (version === "1.0") return formatEnd(version, via, second);
    if (via !== this.#via) this.#rename(via);
    if (second !== this.#second) {
      this.#second = second;
      this.#dated = formatEnd(version, via, second);
    }
    return this.#dated;
  }

  #rename(via: string): void {
    this.#via = via;
    this.#second = -1;
    this.#undated = formatEnd("1.1", via);
  }
}

/** `second`: the time for Date in seconds since the epoch, written as an IMF-fixdate (RFC 9110 §5.6.7). */
function formatEnd(version: "1.0" | "1.1", via: string, second?: number): Uint8Array {
  const date = second === undefined ? "" : `Date: ${new Date(second * 1000).toUTCString()}\r\n`;
  return Buffer.from(`${date}Via: ${formatVia(version, via)}\r\n\r\n`, "latin1");
}
