/** Gives the time for Date fields, as text that is made once a second. */
export class DateClock {
  #second = -1;
  #text = "";

  /** An IMF-fixdate (RFC 9110 §5.6.7). */
  now(): string {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = new Date(second * 1000).toUTCString();
    }
    return this.#text;
  }
}
