/**
 * Walks JavaScript, TypeScript and JSON without a grammar: it knows texts, comments
 * and brackets, which is enough to skip whole values. It never throws; in an
 * unusual text it skips too much or too little.
 */

/** The offset of the next character that is neither space nor part of a comment. */
export function skipSpace(text: string, from: number): number {
  let at = from;
  for (;;) {
    while (/\s/.test(text[at] ?? "x")) at++;
    if (text.startsWith("//", at)) at = findAfter(text, "\n", at);
    else if (text.startsWith("/*", at)) at = findAfter(text, "*/", at + 2);
    else return at;
  }
}

/** The offset after the value at `from`: that of the comma, semicolon or closing bracket that ends it, or of the end. */
export function skipValue(text: string, from: number): number {
  let at = skipSpace(text, from);
  while (at < text.length) {
    const character = text[at] ?? "";
    if (",;)]}".includes(character)) return at;
    at = skipSpace(text, skipToken(text, at, from));
  }
  return at;
}

/** The offset after one token; a pair of brackets with its content is one. `from` is where its value begins. */
export function skipToken(text: string, at: number, from = at): number {
  const character = text[at] ?? "";
  if (character === '"' || character === "'") return skipQuoted(text, at, character);
  if (character === "`") return skipTemplate(text, at);
  if ("([{".includes(character)) return skipBrackets(text, at);
  if (character === "/" && beginsPattern(text, at, from)) return skipPattern(text, at);
  const word = readWord(text, at);
  return at + Math.max(1, word.length);
}

/** The name or number at `at`; empty for none. */
export function readWord(text: string, at: number): string {
  const pattern = /[\p{L}\p{N}_$]+/uy;
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? "";
}

/** The text of the literal in quotes at `at`; undefined for one with escapes that JSON does not know. */
export function readQuoted(text: string, at: number): string | undefined {
  const inner = text.slice(at + 1, skipQuoted(text, at, text[at] ?? "") - 1);
  if (!inner.includes("\\")) return inner;
  try {
    return String(JSON.parse(`"${inner.replace(/\\'/g, "'")}"`));
  } catch {
    return undefined;
  }
}

function skipBrackets(text: string, open: number): number {
  let at = skipSpace(text, open + 1);
  while (at < text.length && !")]}".includes(text[at] ?? "")) at = skipSpace(text, skipToken(text, at, open));
  return at + 1;
}

function skipQuoted(text: string, open: number, quote: string): number {
  let at = open + 1;
  while (at < text.length && text[at] !== quote && text[at] !== "\n") at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

function skipTemplate(text: string, open: number): number {
  let at = open + 1;
  while (at < text.length && text[at] !== "`") {
    if (text.startsWith("${", at)) at = skipBrackets(text, at + 1);
    else at += text[at] === "\\" ? 2 : 1;
  }
  return at + 1;
}

/** Whether a slash begins a regular expression: it does where a value begins, and divides after one. */
function beginsPattern(text: string, at: number, from: number): boolean {
  const before = text.slice(Math.min(from, at), at).trimEnd();
  return before === "" || /[=(,:[!&|?{};+*%<>~^-]$|\b(?:return|typeof|in|of)$/.test(before);
}

function skipPattern(text: string, open: number): number {
  let inClass = false;
  let at = open + 1;
  for (; at < text.length && text[at] !== "\n"; at += text[at] === "\\" ? 2 : 1) {
    if (text[at] === "[") inClass = true;
    else if (text[at] === "]") inClass = false;
    else if (text[at] === "/" && !inClass) break;
  }
  return at + 1;
}

function findAfter(text: string, part: string, from: number): number {
  const at = text.indexOf(part, from);
  return at < 0 ? text.length : at + part.length;
}
