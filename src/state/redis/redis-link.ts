import { RedisClient } from "bun";
import { readErrorCode } from "../../error-code.ts";
import type { ConnectFault } from "../../net/redis/find-connect-fault.ts";
import { type RedisFault, readFault } from "./redis-fault.ts";
import { type RedisPlan, writeRedisUrl } from "./redis-plan.ts";

export type Reply = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly fault: RedisFault };

export interface LinkOptions {
  readonly plan: RedisPlan;
  /** Says why no connection comes about: the client does not tell. */
  readonly findConnectFault: (plan: RedisPlan, ms: number) => Promise<ConnectFault | undefined>;
  /** Milliseconds for connecting and for a command. */
  readonly connectMs?: number;
  readonly commandMs?: number;
}

const CONNECT_MS = 3000;
const COMMAND_MS = 2000;

/**
 * A connection to Redis that is opened when it is needed. Everything has a
 * deadline, which Bun's client does not have. A client that has failed is thrown
 * away with what it waits for, so a late answer never reaches the next command.
 */
export class RedisLink {
  readonly #options: LinkOptions;
  readonly #scripts = new Map<string, string>();
  #client: RedisClient | undefined;
  #closed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** Runs a script. The server forgets scripts when it is restarted; then it is sent whole. */
  async run(script: string, keys: readonly string[], args: readonly string[]): Promise<Reply> {
    let hash = this.#scripts.get(script);
    if (hash === undefined) {
      hash = new Bun.CryptoHasher("sha1").update(script).digest("hex");
      this.#scripts.set(script, hash);
    }
    const rest = [String(keys.length), ...keys, ...args];
    const reply = await this.send("EVALSHA", [hash, ...rest]);
    if (reply.ok || !reply.fault.why.includes("NOSCRIPT")) return reply;
    return this.send("EVAL", [script, ...rest]);
  }

  async send(command: string, args: string[]): Promise<Reply> {
    const opened = await this.#open();
    if ("fault" in opened) return { ok: false, fault: opened.fault };
    const { client } = opened;
    const { commandMs = COMMAND_MS } = this.#options;
    const reply = await within(client.send(command, args), commandMs);
    switch (reply.kind) {
      case "done":
        return { ok: true, value: reply.value };
      case "late":
        this.#drop(client);
        return { ok: false, fault: { kind: "slow", why: `did not answer within ${commandMs / 1000} s` } };
      case "failed":
        // An answer that is an error leaves the connection as it is.
        if (reply.code === "ERR_REDIS_SERVER_ERROR") return { ok: false, fault: readFault(reply.message) };
        this.#drop(client);
        return {
          ok: false,
          fault: /^ERR |DB index/.test(reply.message)
            ? readFault(reply.message)
            : { kind: "unreachable", why: "closed the connection" },
        };
    }
  }

  close(): void {
    this.#closed = true;
    this.#client?.close();
    this.#client = undefined;
  }

  async #open(): Promise<{ client: RedisClient } | { fault: RedisFault }> {
    if (this.#closed) return { fault: { kind: "unreachable", why: "is not used any more" } };
    const known = this.#client;
    if (known?.connected === true) return { client: known };
    if (known !== undefined) this.#drop(known);
    const { plan, connectMs = CONNECT_MS, findConnectFault } = this.#options;
    const client = new RedisClient(writeRedisUrl(plan), {
      connectionTimeout: connectMs,
      // Connecting again is ours: the client would give up, and answer nothing meanwhile.
      autoReconnect: false,
      enableOfflineQueue: false,
      ...(plan.tls && { tls: plan.tls.ca === undefined ? true : { ca: [...plan.tls.ca] } }),
    });
    this.#client = client;
    const connected = await within(client.connect(), connectMs);
    if (this.#client === client && connected.kind === "done") return { client };
    this.#drop(client);
    if (this.#closed) return { fault: { kind: "unreachable", why: "is not used any more" } };
    const found = await findConnectFault(plan, connectMs);
    if (found?.kind === "answered") return { fault: readFault(found.message) };
    return { fault: { kind: "unreachable", why: found?.why ?? "closed the connection" } };
  }

  #drop(client: RedisClient): void {
    if (this.#client === client) this.#client = undefined;
    client.close();
  }
}

type Outcome =
  | { readonly kind: "done"; readonly value: unknown }
  | { readonly kind: "late" }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

/** What becomes of a promise within a time. What it does later is nobody's concern. */
async function within(promise: Promise<unknown>, ms: number): Promise<Outcome> {
  const { promise: late, resolve } = Promise.withResolvers<Outcome>();
  const timer = setTimeout(resolve, ms, { kind: "late" });
  const done = promise.then(
    (value): Outcome => ({ kind: "done", value }),
    (error: unknown): Outcome => ({
      kind: "failed",
      code: readErrorCode(error) ?? "",
      message: error instanceof Error ? error.message : String(error),
    }),
  );
  const outcome = await Promise.race([done, late]);
  clearTimeout(timer);
  return outcome;
}
