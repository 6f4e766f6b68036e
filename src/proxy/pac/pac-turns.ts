/** Questions that wait: of one client, and of all. */
const MAX_PER_CLIENT = 128;
const MAX_WAITING = 2048;

/** Lets one question at a time to a PAC file. Clients take turns, so that no client can keep the file to itself. */
export class PacTurns {
  readonly #waiting = new Map<string, (() => void)[]>();
  #count = 0;
  #isBusy = false;

  /** Waits for the turn of `client`; undefined when too many wait. `end` must be called once after it. */
  take(client: string): Promise<void> | undefined {
    if (!this.#isBusy) {
      this.#isBusy = true;
      return Promise.resolve();
    }
    const own = this.#waiting.get(client) ?? [];
    if (this.#count >= MAX_WAITING || own.length >= MAX_PER_CLIENT) return undefined;
    this.#count += 1;
    return new Promise((begin) => {
      own.push(begin);
      this.#waiting.set(client, own);
    });
  }

  /** Gives the turn to the client that has waited the longest. */
  end(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#isBusy = false;
      return;
    }
    const [client, own] = next;
    const begin = own.shift();
    this.#waiting.delete(client);
    // To the end of the order.
    if (own.length > 0) this.#waiting.set(client, own);
    this.#count -= 1;
    begin?.();
  }
}
