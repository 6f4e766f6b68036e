import { EXCHANGE_SCRIPT } from "./exchange-script.ts";
import { readFault, type RedisFault } from "./redis-fault.ts";
import type { Reply } from "./redis-link.ts";

/** What a proxy tells of one key, and asks about it. */
export interface Entry {
  readonly kind: "share" | "spend" | "use" | "scan" | "tell" | "hear";
  /** Without the prefix. */
  readonly key: string;
  /** At most four. */
  readonly values: readonly string[];
  /** Takes the answer. */
  readonly settle: (first: unknown, second: unknown) => void;
}

/** Entries that are sent together, under a number that makes sure that they count once. */
export interface Batch {
  readonly number: number;
  readonly entries: readonly Entry[];
}

export interface Exchanged {
  /** Proxies that are alive, this one among them. */
  readonly proxies: number;
  /** Redis knew of this proxy before. */
  readonly known: boolean;
  /** Keys that Redis could not work with. */
  readonly faults: readonly { readonly key: string; readonly fault: RedisFault }[];
}

/** Values of each entry in the script. */
const VALUES = 4;

export type ExchangeOutcome = ({ readonly ok: true } & Exchanged) | { readonly ok: false; readonly fault: RedisFault };

export interface ExchangeLink {
  run(script: string, keys: readonly string[], args: readonly string[]): Promise<Reply>;
}

/** Sends a batch and gives each entry its answer. */
export async function exchange(
  link: ExchangeLink,
  { prefix, id, silenceMs }: { readonly prefix: string; readonly id: string; readonly silenceMs: number },
  { number, entries }: Batch,
): Promise<ExchangeOutcome> {
  const keys = [`${prefix}proxies`, `${prefix}number:${id}`, ...entries.map(({ key }) => prefix + key)];
  const args = [id, String(number), String(silenceMs)];
  for (const { kind, values } of entries)
    args.push(kind, ...Array.from({ length: VALUES }, (_, at) => values[at] ?? ""));
  const reply = await link.run(EXCHANGE_SCRIPT, keys, args);
  if (!reply.ok) return reply;
  const [proxies, known, answers] = Array.isArray(reply.value) ? (reply.value as readonly unknown[]) : [];
  if (typeof proxies !== "number" || !Array.isArray(answers) || answers.length !== entries.length)
    return { ok: false, fault: { kind: "error", why: "answered something that this version does not understand" } };
  const faults: { key: string; fault: RedisFault }[] = [];
  for (const [at, entry] of entries.entries()) {
    const answer: unknown = answers[at];
    const [first, second] = Array.isArray(answer) ? (answer as readonly unknown[]) : ["error", "ERR no answer"];
    if (first === "error") faults.push({ key: prefix + entry.key, fault: readFault(String(second)) });
    else if (isUnderstood(entry, first, second)) entry.settle(first, second);
  }
  return { ok: true, proxies, known: known === 1, faults };
}

/** Whoever can write to Redis can have a script answer anything: what is no number must not become a limit. */
function isUnderstood({ kind }: Entry, first: unknown, second: unknown): boolean {
  if (kind === "share" || kind === "use") return isAmount(first);
  return kind !== "spend" || (Number.isFinite(Number(first)) && isAmount(second) && Number(second) >= 1);
}

function isAmount(value: unknown): boolean {
  return Number.isFinite(Number(value)) && Number(value) >= 0;
}
