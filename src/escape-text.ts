/** Printable ASCII: what nearly every value is, and what needs no second look. */
const plain = /^[\x20-\x7e]*$/;

/**
 * What must not reach a terminal or a log reader as it is: control characters
 * (C0, DEL, C1), format characters (bidirectional controls, zero-width ones,
 * tags), the line and paragraph separators, surrogates without a partner, and
 * what is not shown at all (fillers, variation selectors).
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/** Writes unsafe characters as `\uXXXX`. The text may be JSON already: the escapes are JSON's own. */
export function escapeText(text: string): string {
  return plain.test(text) ? text : text.replaceAll(unsafe, escapeCharacter);
}

/** Writes a value as JSON in which every unsafe character is escaped. */
export function formatJson(value: unknown, indent?: number): string {
  return escapeLines(JSON.stringify(value, null, indent) ?? "null");
}

/** As `escapeText`, for a text of several lines: its line ends are meant. */
export function escapeLines(text: string): string {
  return text.split("\n").map(escapeText).join("\n");
}

/** Cuts `text` to `limit` UTF-16 code units; a cut text ends in `…` and stays within the limit. */
export function cutText(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const last = text.charCodeAt(limit - 2);
  const splitsPair = last >= 0xd800 && last <= 0xdbff;
  return `${text.slice(0, splitsPair ? limit - 2 : limit - 1)}…`;
}

function escapeCharacter(character: string): string {
  let escaped = "";
  for (let at = 0; at < character.length; at += 1) {
    escaped += `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`;
  }
  return escaped;
}

/** A time for people: `2026-11-22 06:00:00 UTC`. */
export function formatTime(time: number | Date): string {
  return `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
