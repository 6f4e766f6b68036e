/** Printable ASCII: what nearly every value is, and what needs no second look. */
const plain = /^[\x20-\x7e]*$/;

/**
 * What must not reach a terminal or a log reader as it is: control characters
 * (C0, DEL, C1), format characters (bidirectional controls, zero-width ones,
 * tags), the line and paragraph separators, and surrogates without a partner.
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Writes unsafe characters as `\uXXXX`. The text may be JSON already: the escapes are JSON's own. */
export function escapeText(text: string): string {
  return plain.test(text) ? text : text.replaceAll(unsafe, escapeCharacter);
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
