const REDACTED = "[redacted]";

/** The shortest part of base64 that identifies a secret: shorter ones occur in any word. */
const MIN_CORE = 3;

/**
 * Removes secrets from a text that a function of the configuration made: as they
 * are, and in the forms of URLs, JSON, source text and base64, also in the middle
 * of a longer text (`user:password`). Removes credentials by their place, too:
 * before the `@` of a URL, after `Basic` and `Bearer`.
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

/** All spellings, the longest first: a short one can be a part of a long one. */
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

/** Any characters of it percent-encoded, in either case, and `+` for a space. */
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

/** Its base64 at each offset in a group of three, without the ends that depend on its neighbours. */
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
