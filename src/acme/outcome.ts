/** Why something with the authority did not work. */
export interface AcmeFault {
  /** For people: a sentence without its end. Text of the server in it is escaped and cut. */
  readonly why: string;
  /** The type of the problem that the server named (RFC 8555 §6.7), without its prefix. */
  readonly type?: string;
  readonly status?: number;
  /** It could not be reached, or did not answer as HTTP has it. */
  readonly isAway?: boolean;
  /** Milliseconds that the server asks to wait (Retry-After). */
  readonly retryAfterMs?: number;
}

export type AcmeResult<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: AcmeFault };

export function succeed<T>(value: T): AcmeResult<T> {
  return { ok: true, value };
}

export function failAcme(why: string, more: Omit<AcmeFault, "why"> = {}): { ok: false; fault: AcmeFault } {
  return { ok: false, fault: { why, ...more } };
}
