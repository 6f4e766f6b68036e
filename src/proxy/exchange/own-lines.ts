import { formatVia } from "./via.ts";

/** Lines that the proxy adds to heads, nearly always the same ones: their text is kept. */
export class OwnLines {
  #second = -1;
  #date = "";
  #via = "";
  #end = "";

  /** The time for Date, as an IMF-fixdate (RFC 9110 §5.6.7). */
  now(): string {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#date = new Date(second * 1000).toUTCString();
    }
    return this.#date;
  }

  /** The last lines of a head that came in this version, by our name in Via. */
  end(version: "1.0" | "1.1", via: string): string {
    if (version === "1.0") return `Via: ${formatVia(version, via)}\r\n\r\n`;
    if (via !== this.#via) {
      this.#via = via;
      this.#end = `Via: ${formatVia(version, via)}\r\n\r\n`;
    }
    return this.#end;
  }
}
