/** One element of a WWW-Authenticate, Proxy-Authenticate or Proxy-Authorization value (RFC 9110 §11.2 to §11.4). */
export interface AuthElement {
  /** Lower case. */
  readonly scheme: string;
  /** By lower-case name; values without quotes and escapes, one character for each octet. */
  readonly params: ReadonlyMap<string, string>;
}

/** Characters of a value that are looked at, and how many elements and parameters of an element. */
const MAX_LENGTH = 8192;
const MAX_ELEMENTS = 16;
const MAX_PARAMS = 32;

// Each alternative inside the quotes begins with another character: the time is linear.
const PARAM =
  /([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*=[ \t]*(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)|"((?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)")[ \t]*(?=,|$)/y;
const SCHEME = /([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?: +|[ \t]*(?=,|$))/y;
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*[ \t]*(?=,|$)/y;
const END = /,|$/y;
const SEPARATOR = /[ \t]*(?:,[ \t]*)*/y;

/**
 * Reads schemes, each with its parameters, from one field value. Undefined when
 * it is malformed, too long, has too many parts, or names a parameter twice. A
 * token68 in place of parameters is passed over.
 */
export function parseAuthElements(value: string): AuthElement[] | undefined {
  if (value.length > MAX_LENGTH) return undefined;
  const elements: { scheme: string; params: Map<string, string> }[] = [];
  const scan = createScan(value);
  for (scan(SEPARATOR); !scan.done(); scan(SEPARATOR)) {
    const current = elements.at(-1);
    const param = current && scan(PARAM);
    if (param) {
      const [, name = "", token, quoted = ""] = param;
      const key = name.toLowerCase();
      if (current.params.has(key) || current.params.size === MAX_PARAMS) return undefined;
      current.params.set(key, token ?? quoted.replace(/\\(.)/g, "$1"));
      continue;
    }
    const scheme = scan(SCHEME)?.[1];
    if (scheme === undefined || elements.length === MAX_ELEMENTS) return undefined;
    elements.push({ scheme: scheme.toLowerCase(), params: new Map() });
    if (!scan.ahead(PARAM) && !scan(TOKEN68) && !scan.ahead(END)) return undefined;
  }
  return elements;
}

/** A quoted-string (RFC 9110 §5.6.4). `text` is one character for each octet, without control characters. */
export function quoteString(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** A cursor over `text`: calling it with a sticky pattern moves it past the match. */
function createScan(text: string) {
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  const scan = (pattern: RegExp): RegExpExecArray | null => {
    const found = match(pattern);
    if (found) at += found[0].length;
    return found;
  };
  return Object.assign(scan, {
    done: () => at === text.length,
    ahead: (pattern: RegExp) => match(pattern) !== null,
  });
}
