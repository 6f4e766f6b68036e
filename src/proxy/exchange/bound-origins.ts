import type { Conn } from "../../net/conn/conn.ts";
import type { ForwardSettings } from "./forward-settings.ts";
import { type Origin, OriginPool } from "./origin-pool.ts";

/** Connections that are bound to one client at once. */
const MAX_PER_CLIENT = 8;

/** What is bound to a client: the keys under which its connections lie in the pool, oldest first. */
interface Bound {
  readonly number: number;
  readonly keys: string[];
}

/**
 * Connections to origins on which a client has logged in, or is about to, with
 * NTLM or Negotiate: the connection is the user then (RFC 4559 §4.1). Nobody
 * else gets them, nobody else's need of room closes them, and they are closed
 * with the client's own connection.
 */
export class BoundOrigins {
  readonly #pool = new OriginPool();
  readonly #byClient = new Map<Conn, Bound>();
  #lastNumber = 0;

  get size(): number {
    return this.#pool.size;
  }

  /** Whether anything is, or was, bound to the client. */
  has(client: Conn): boolean {
    return this.#byClient.has(client);
  }

  /** Takes the connection that is bound to the client under `key`. It is to be put back here. */
  take(client: Conn, key: string, fits: Parameters<OriginPool["take"]>[1]): Origin | undefined {
    const bound = this.#byClient.get(client);
    return bound === undefined ? undefined : this.#pool.take(`${bound.number} ${key}`, fits);
  }

  /** Whether a connection was taken from here. */
  owns(origin: Origin): boolean {
    return this.#pool.owns(origin);
  }

  /** Keeps a detached connection for the client as long as that may be idle itself. */
  put(client: Conn, key: string, origin: Origin, settings: ForwardSettings): void {
    const { originIdleMs, clientIdleMs, idleOrigins } = settings;
    let bound = this.#byClient.get(client);
    if (bound === undefined) {
      this.#lastNumber += 1;
      bound = { number: this.#lastNumber, keys: [] };
      this.#byClient.set(client, bound);
    }
    const own = `${bound.number} ${key}`;
    const at = bound.keys.indexOf(own);
    if (at >= 0) bound.keys.splice(at, 1);
    bound.keys.push(own);
    if (bound.keys.length > MAX_PER_CLIENT) this.#pool.drop(bound.keys.shift() ?? "");
    const idleMs = originIdleMs === 0 ? 0 : Math.max(originIdleMs, clientIdleMs);
    this.#pool.put(origin, { key: own, idleMs, total: idleOrigins, perKey: 1 });
  }

  /** The client's connection ends, or carries no more requests: so do those that are bound to it. */
  release(client: Conn): void {
    const bound = this.#byClient.get(client);
    if (bound === undefined) return;
    this.#byClient.delete(client);
    for (const key of bound.keys) this.#pool.drop(key);
  }

  /** Closes all that are idle, and from now on whatever is put in. */
  close(): void {
    this.#pool.close();
  }

  /** Takes back `close`. */
  reopen(): void {
    this.#pool.reopen();
  }
}
