import type { Endpoint } from "../address/endpoint.ts";
import type { ApprovalAnswer } from "../proxy/decide/ask-operator.ts";

/** An answer of an operator that holds for a time. */
export interface Grant {
  readonly id: string;
  /** Equal for equal questions. */
  readonly key: string;
  readonly user: string | undefined;
  readonly client: string;
  readonly target: Endpoint;
  readonly rule: string;
  readonly allow: boolean;
  /** For the next connection only. */
  readonly once: boolean;
  /** The name of the token. */
  readonly by: string;
  /** Monotonic milliseconds at which it ends. */
  readonly until: number;
}

/** Milliseconds for which answers are kept. */
export const GRANT_MS = 600_000;
/** Answers that are kept; then the oldest go. */
export const MAX_GRANTS = 1000;

/** The answers that hold for a time. */
export class ApprovalGrants {
  readonly #byKey = new Map<string, Grant>();
  readonly #byId = new Map<string, Grant>();
  readonly #now: () => number;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** What holds for a question. An answer for one connection is used up by it. */
  use(key: string): ApprovalAnswer | undefined {
    if (this.#byKey.size === 0) return undefined;
    const grant = this.#byKey.get(key);
    if (grant === undefined) return undefined;
    if (grant.until <= this.#now()) {
      this.remove(key);
      return undefined;
    }
    if (grant.once) this.remove(key);
    return grant.allow ? { kind: "allowed" } : { kind: "denied", forSeconds: this.secondsLeft(key) ?? 1 };
  }

  /** Whether the answer that holds for a question allows it; undefined without one. Does not use it up. */
  look(key: string): boolean | undefined {
    this.#forgetOld();
    return this.#byKey.get(key)?.allow;
  }

  find(id: string): Grant | undefined {
    this.#forgetOld();
    return this.#byId.get(id);
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  list(): Grant[] {
    this.#forgetOld();
    return [...this.#byKey.values()];
  }

  /** Whole seconds until the answer to a question ends, at least 1; undefined when there is none. */
  secondsLeft(key: string): number | undefined {
    const grant = this.#byKey.get(key);
    return grant && Math.max(1, Math.ceil((grant.until - this.#now()) / 1000));
  }

  /** Keeps an answer. Without `until` it holds for the usual time from now on. */
  add(grant: Omit<Grant, "until"> & { readonly until?: number }): void {
    this.remove(grant.key);
    for (const key of this.#byKey.keys()) {
      if (this.#byKey.size < MAX_GRANTS) break;
      this.remove(key);
    }
    const kept = { ...grant, until: grant.until ?? this.#now() + GRANT_MS };
    this.#byKey.set(kept.key, kept);
    this.#byId.set(kept.id, kept);
  }

  remove(key: string): void {
    const grant = this.#byKey.get(key);
    if (grant === undefined) return;
    this.#byKey.delete(key);
    this.#byId.delete(grant.id);
  }

  #forgetOld(): void {
    const now = this.#now();
    for (const { key, until } of this.#byKey.values()) if (until <= now) this.remove(key);
  }
}
