import { isStep, runAtOnce, type Steps } from "../../steps.ts";
import { classifyPassword } from "./password-hash.ts";
import { Secret } from "../../secret.ts";
import { isUserName, type UserEntry } from "./user-store.ts";

/** What is wrong with one line, counted from 1. The message never quotes a hash. */
export interface HtpasswdProblem {
  readonly line: number;
  readonly message: string;
}

/** The users of the file in its order, or everything that is wrong with it. */
export type HtpasswdResult =
  | { readonly ok: true; readonly users: readonly UserEntry[] }
  | { readonly ok: false; readonly problems: readonly HtpasswdProblem[] };

/**
 * Reads the text of an Apache password file: `name:hash` lines, empty lines and
 * lines that begin with `#`, ended by LF or CRLF. Hashes are bcrypt or argon2id.
 * A name that appears twice is refused: it is unclear which line was meant.
 */
export function parseHtpasswd(text: string): HtpasswdResult {
  return runAtOnce(parseHtpasswdInSteps(text));
}

/** `parseHtpasswd`, in steps. */
export function* parseHtpasswdInSteps(text: string): Steps<HtpasswdResult> {
  const users: UserEntry[] = [];
  const problems: HtpasswdProblem[] = [];
  const lineOf = new Map<string, number>();
  // A byte order mark is what some editors leave; it is no part of a name.
  const lines = text.replace(/^\ufeff/, "").split("\n");
  for (const [index, raw] of lines.entries()) {
    if (isStep(index)) yield;
    const content = raw.trim();
    if (content === "" || content.startsWith("#")) continue;
    const line = index + 1;
    const entry = parseEntry(content);
    if (typeof entry === "string") {
      problems.push({ line, message: entry });
      continue;
    }
    const earlier = lineOf.get(entry.name);
    if (earlier !== undefined) {
      problems.push({
        line,
        message: `${JSON.stringify(entry.name)} already has line ${earlier}. Remove one of them.`,
      });
      continue;
    }
    lineOf.set(entry.name, line);
    users.push(entry);
  }
  return problems.length === 0 ? { ok: true, users } : { ok: false, problems };
}

/** The user of a line, or what is wrong with it. */
function parseEntry(content: string): UserEntry | string {
  const colon = content.indexOf(":");
  // Without a colon the line may be a password: it is not quoted.
  if (colon < 0) return "There is no colon. Wanted is name:hash.";
  const name = content.slice(0, colon);
  if (!isUserName(name)) {
    // What stands there may be half of a hash: it is not quoted.
    return `What stands before the colon is not a user name. Wanted are 1 to 255 bytes without control characters before the colon.`;
  }
  const hash = content.slice(colon + 1);
  const form = classifyPassword(hash);
  if (form.kind === "refused") return `${JSON.stringify(name)} ${form.problem}.`;
  if (form.kind === "plain") {
    return `${JSON.stringify(name)} has no hash that is known here. Wanted is bcrypt ("htpasswd -B") or argon2id ("penstock passwd").`;
  }
  return { name, password: new Secret(hash) };
}
