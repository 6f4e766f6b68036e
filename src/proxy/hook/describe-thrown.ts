import { cutText, escapeText } from "../../escape-text.ts";
import { redactSecrets } from "./redact-secrets.ts";

/** The longest message, in characters: enough to find the place, too short for a key. */
const MAX_MESSAGE = 200;

/** Characters of a thrown message that are read. */
const MAX_LOOK = 20_000;

/**
 * Describes in one line what a function of the configuration threw, and where.
 * Has no lines of source, no values, no `secrets` in any usual form and no user
 * information of URLs. Never throws.
 */
export function describeThrown(thrown: unknown, secrets: readonly string[] = []): string {
  try {
    if (!(thrown instanceof Error))
      return typeof thrown === "string" ? write(thrown, secrets) : `a value of type ${typeof thrown}`;
    const place = findPlace(thrown);
    const message = write(`${thrown.name}: ${thrown.message}`, secrets);
    return place === undefined ? message : `${message} (at ${redactSecrets(place, secrets)})`;
  } catch {
    // Even to look at it can throw.
    return "something that cannot be described";
  }
}

/** `file:line:column` of the innermost frame that has one; undefined for what has none. Never throws. */
export function findPlace(thrown: unknown): string | undefined {
  try {
    const stack = thrown instanceof Error ? thrown.stack : undefined;
    const found = /^ +at (?:async )?(?:.*\()?([^()]+:\d+:\d+)\)?$/m.exec(stack ?? "")?.[1];
    return found === undefined ? undefined : escapeText(cutText(found, MAX_MESSAGE));
  } catch {
    return undefined;
  }
}

function write(text: string, secrets: readonly string[]): string {
  return escapeText(cutText(redactSecrets(text.slice(0, MAX_LOOK), secrets), MAX_MESSAGE));
}
