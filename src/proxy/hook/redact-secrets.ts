const REDACTED = "[redacted]";

/** Characters of a part of base64 that are sure to be the secret's: fewer would be found in every word. */
const MIN_CORE = 3;

/**
 * Takes secrets out of a text that somebody else's code made: as they are, and as
 * they are written in URLs, in JSON, in source text and in base64, where another
 * text may stand before and after them (`user:password`). Also credentials that
 * are recognised by where they stand: before the `@` of a URL, after `Basic` and
 * `Bearer`.
 */
export function redactSecrets(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret === "") continue;
    for (const form of listForms(secret)) clean = clean.replaceAll(form, REDACTED);
    for (const core of listCores(secret))
      clean = clean.replaceAll(new RegExp(`[A-Za-z0-9+/_-]*${escapeRegExp(core)}[A-Za-z0-9+/_=-]*`, "g"), REDACTED);
  }
  return clean
    .replaceAll(/:\/\/[^\s"'<>]*@/g, `://${REDACTED}@`)
    .replaceAll(/\b(basic|bearer)(\s+|%20|\+)[A-Za-z0-9+/_.~=%-]+/gi, `$1 ${REDACTED}`);
}

/** Every spelling, the longest first: a short one may be a part of a long one. */
function listForms(secret: string): (string | RegExp)[] {
  const quoted = JSON.stringify(secret).slice(1, -1);
  const ascii = quoted.replaceAll(/[^\x20-\x7e]/g, escapeUnit);
  const texts = new Set([
    secret,
    quoted,
    ascii,
    // JSON in JSON, and what a JavaScript program shows.
    JSON.stringify(quoted).slice(1, -1),
    secret.replaceAll("\\", "\\\\").replaceAll("'", "\\'"),
    secret.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`),
    Buffer.from(secret).toString("hex"),
  ]);
  const sorted = [...texts].sort((a, b) => b.length - a.length);
  return [...sorted, matchPercentEncoded(secret)];
}

/** However much of it is percent-encoded, in either case, and with `+` for a space. */
function matchPercentEncoded(secret: string): RegExp {
  let pattern = "";
  for (const character of secret.toWellFormed()) {
    const encoded = [...Buffer.from(character)].map((octet) => `%${hexPattern(octet)}`).join("");
    const plain = character === " " ? "[ +]" : escapeRegExp(character);
    pattern += `(?:${plain}|${encoded})`;
  }
  return new RegExp(pattern, "g");
}

function hexPattern(octet: number): string {
  const digits = octet.toString(16).padStart(2, "0");
  return digits.replaceAll(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`);
}

/** What base64 makes of it wherever it begins in a group of three, without the ends that its neighbours have a part in. */
function listCores(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [0, 1, 2].flatMap((offset) => {
    const padded = Buffer.concat([Buffer.alloc(offset), bytes]);
    const whole = padded.toString("base64").replaceAll("=", "");
    const start = offset === 0 ? 0 : offset + 1;
    const end = Math.floor((padded.length * 8) / 6);
    const core = whole.slice(start, end);
    return core.length < MIN_CORE ? [] : [core, core.replaceAll("+", "-").replaceAll("/", "_")];
  });
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}
