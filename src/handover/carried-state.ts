import type { NamedState } from "../protocol/handover/message.ts";
import { isCount, type JsonValue, readListOf, readObject } from "../protocol/handover/json-value.ts";
import type { DigestNonces, SavedNonces } from "../proxy/auth/digest-nonces.ts";

/**
 * State that a module gives to the next process, beside connections. To carry
 * more, add an entry to the list that the daemon makes.
 */
export interface CarriedState {
  /** It is in the protocol: another version of the program must understand the value under this name. */
  readonly name: string;
  /**
   * The state as it is now. It is asked for twice: for the offer, before the
   * successor starts, and when nothing more moves: then what has changed since the
   * offer is enough.
   */
  save(since?: "offer"): JsonValue;
  /** Ends what is under way, before the state is asked for a second time. Takes a bounded time. */
  settle?(): Promise<void>;
  /** What was too much for the offer, in parts, for successors that take it. Absent where nothing can be. */
  rest?(): Iterable<JsonValue>;
  /**
   * Takes over what `save` of another process gave, at first before this process
   * serves. `clockShiftMs` added to a time of the monotonic clock of that process
   * gives the time of this one. False when the value is not understood.
   */
  restore(value: JsonValue, clockShiftMs: number): boolean;
}

export function saveAll(carried: readonly CarriedState[], since?: "offer"): NamedState {
  return Object.fromEntries(carried.map((each) => [each.name, each.save(since)]));
}

/** What was too much for the offer, a message at a time. */
export function* saveRest(carried: readonly CarriedState[]): Iterable<NamedState> {
  for (const each of carried) for (const part of each.rest?.() ?? []) yield { [each.name]: part };
}

/** Restores what is there, and gives the names of what is not understood. Names that nobody knows are left alone. */
export function restoreAll(carried: readonly CarriedState[], state: NamedState, clockShiftMs: number): string[] {
  return carried.flatMap((each) => {
    const value = state[each.name];
    return value === undefined || each.restore(value, clockShiftMs) ? [] : [each.name];
  });
}

/** Where the configuration of a process is from. */
interface Source {
  /** Absolute; undefined when the defaults hold. */
  readonly file?: string;
  readonly setsNothing?: true;
}

/**
 * Where the configuration in use is from, so that the next process does not take
 * over with the defaults when that file is gone. `found` is told before that
 * process reads its own.
 */
export function carrySource(inUse: () => Source, found: (source: Source) => void = () => {}): CarriedState {
  return {
    name: "source",
    save() {
      const { file, setsNothing = false } = inUse();
      return { ...(file !== undefined && { file }), setsNothing };
    },
    restore(value) {
      const { file, setsNothing } = readObject(value) ?? {};
      if (typeof setsNothing !== "boolean" || (file !== undefined && typeof file !== "string")) return false;
      found({ ...(file !== undefined && { file }), ...(setsNothing && { setsNothing }) });
      return true;
    },
  };
}

const KEY_BYTES = 32;

/** The key of Digest nonces, and which counts were used. Without it every client would have to authenticate anew. */
export function carryDigestNonces(nonces: DigestNonces): CarriedState {
  return {
    name: "digestNonces",
    save() {
      const { key, clockMs, forgottenUntil, used } = nonces.save();
      return { key, clockMs, forgottenUntil, used: used.map((each) => [...each]) };
    },
    restore(value, clockShiftMs) {
      const saved = readNonces(value);
      if (saved === undefined) return false;
      nonces.restore({ ...saved, clockMs: saved.clockMs - clockShiftMs });
      return true;
    },
  };
}

function readNonces(value: JsonValue): SavedNonces | undefined {
  const { key, clockMs, forgottenUntil, used } = readObject(value) ?? {};
  const list = readListOf(used, (item) => {
    if (!Array.isArray(item)) return undefined;
    const [nonce, issuedAt, highest, bits] = item as readonly unknown[];
    return typeof nonce === "string" && isCount(issuedAt) && isCount(highest) && Number.isInteger(bits)
      ? ([nonce, issuedAt, highest, Number(bits)] as const)
      : undefined;
  });
  if (typeof key !== "string" || Buffer.from(key, "base64").length !== KEY_BYTES) return undefined;
  if (typeof clockMs !== "number" || typeof forgottenUntil !== "number" || !list) return undefined;
  return { key, clockMs, forgottenUntil, used: list };
}
