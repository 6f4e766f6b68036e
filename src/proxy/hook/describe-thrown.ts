import { cutText, escapeText } from "../record/escape-text.ts";

/** Characters of a message that are told: enough to find the place, too few to print a key by mistake. */
const MAX_MESSAGE = 200;

/**
 * Says in one line what somebody else's code threw, and where. Neither `secrets`
 * nor the user information of URLs is in it.
 */
export function describeThrown(thrown: unknown, secrets: readonly string[] = []): string {
  try {
    if (!(thrown instanceof Error))
      return typeof thrown === "string" ? write(thrown, secrets) : `a value of type ${typeof thrown}`;
    const place = findPlace(thrown.stack);
    const message = write(`${thrown.name}: ${thrown.message}`, secrets);
    return place === undefined ? message : `${message} (at ${escapeText(place)})`;
  } catch {
    // Even to look at it can throw.
    return "something that cannot be described";
  }
}

function write(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) if (secret !== "") clean = clean.replaceAll(secret, "[redacted]");
  clean = clean.replaceAll(/:\/\/[^/?#\s]*@/g, "://[redacted]@");
  return escapeText(cutText(clean, MAX_MESSAGE));
}

/** `file:line:column` of the innermost frame that has one. */
function findPlace(stack: string | undefined): string | undefined {
  return /^ +at (?:async )?(?:.*\()?([^()]+:\d+:\d+)\)?$/m.exec(stack ?? "")?.[1];
}
