/** Where an upgrade ended, for programs. */
export type UpgradeStep =
  | "arguments"
  | "key"
  | "fetch"
  | "checksum"
  | "signature"
  | "unpack"
  | "platform"
  | "start"
  | "version"
  | "configuration"
  | "replace"
  | "handover";

/** Why there is no upgrade. Nothing has changed then, unless the message says so. */
export interface Refusal {
  readonly ok: false;
  readonly step: UpgradeStep;
  readonly message: string;
  /** What the program that was tried said, one line each. */
  readonly details: readonly string[];
}

export type Outcome<T> = { readonly ok: true; readonly value: T } | Refusal;

export function done<T>(value: T): Outcome<T> {
  return { ok: true, value };
}

export function refuse(step: UpgradeStep, message: string, details: readonly string[] = []): Refusal {
  return { ok: false, step, message, details };
}
