/** Requests that wait for a member of one pool, in all and for one client. */
const MAX_WAITING = 1000;
const MAX_WAITING_PER_CLIENT = 100;

/** A bounded queue in which clients take turns: one with many entries delays its own. */
export class WaitQueue<Entry> {
  /** In the order of their turns; the entries of a client in the order in which they came. */
  readonly #byClient = new Map<string, Set<Entry>>();
  readonly #max: number;
  readonly #maxPerClient: number;
  #size = 0;
  #isServing = false;
  #again = false;

  constructor(max = MAX_WAITING, maxPerClient = MAX_WAITING_PER_CLIENT) {
    this.#max = max;
    this.#maxPerClient = maxPerClient;
  }

  get size(): number {
    return this.#size;
  }

  /** False when there is no room. */
  add(client: string, entry: Entry): boolean {
    const own = this.#byClient.get(client);
    if (this.#size >= this.#max || (own?.size ?? 0) >= this.#maxPerClient) return false;
    if (own === undefined) this.#byClient.set(client, new Set([entry]));
    else own.add(entry);
    this.#size += 1;
    return true;
  }

  /** Takes an entry out. False when it is not there. */
  remove(client: string, entry: Entry): boolean {
    const own = this.#byClient.get(client);
    if (own?.delete(entry) !== true) return false;
    if (own.size === 0) this.#byClient.delete(client);
    this.#size -= 1;
    return true;
  }

  /** Offers each entry in turn; `serve` says whether it was served. A client that was served comes last. */
  serve(serve: (entry: Entry) => boolean): void {
    this.#again = true;
    // What is served may change what another one waits for.
    if (this.#isServing) return;
    this.#isServing = true;
    try {
      while (this.#again) {
        this.#again = false;
        for (const [client, own] of this.#byClient) this.#serveClient(client, own, serve);
      }
    } finally {
      this.#isServing = false;
    }
  }

  /** Serves one entry of a client. A client that has more is visited again after the others. */
  #serveClient(client: string, own: Set<Entry>, serve: (entry: Entry) => boolean): void {
    for (const entry of own) {
      if (!serve(entry)) continue;
      this.remove(client, entry);
      if (own.size === 0) return;
      this.#byClient.delete(client);
      this.#byClient.set(client, own);
      return;
    }
  }
}
