import type { Hop } from "../proxy/route/hop.ts";
import { type TemplatePart, type TemplatePiece, USER_PLACEHOLDER, UserTemplate } from "../proxy/route/user-template.ts";
import { type Problem, quoteNamed, type Read, refuse } from "./problem.ts";
import { suggest } from "./suggest.ts";

const DOUBLE = "Write braces and brackets that mean themselves twice";

/**
 * Reads a user name for an upstream: `customer-{user}[-session-{session}]`. A part
 * in brackets is left out unless all of its values are there. Doubled braces and
 * brackets mean themselves. A name without placeholders is a text.
 */
export function parseUserTemplate(text: string): Read<string | UserTemplate> {
  const pieces: TemplatePiece[] = [];
  let optional: TemplatePart[] | undefined;
  const add = (part: TemplatePart): void => {
    (optional ?? pieces).push(part);
  };
  for (const [token] of text.matchAll(/\{\{|\}\}|\[\[|\]\]|\{[a-z0-9_]*\}|[{}[\]]|[^{}[\]]+/gs)) {
    if (token === "[") {
      if (optional !== undefined) return refuse(`has a "[" within brackets. ${DOUBLE}`);
      optional = [];
    } else if (token === "]") {
      if (optional === undefined) return refuse(`has a "]" without a "[". ${DOUBLE}`);
      if (!optional.some((part) => "placeholder" in part))
        return refuse(`has brackets without a placeholder in them. ${DOUBLE}`);
      pieces.push({ optional });
      optional = undefined;
    } else if (token === "{" || token === "}" || token === "{}") {
      return refuse(`has a brace that belongs to no placeholder such as "{session}". ${DOUBLE}`);
    } else if (token.startsWith("{") && token !== "{{") add({ placeholder: token.slice(1, -1) });
    else add({ text: isDoubled(token) ? token.slice(1) : token });
  }
  if (optional !== undefined) return refuse(`has a "[" without a "]". ${DOUBLE}`);
  const parts = pieces.flatMap((piece) => ("optional" in piece ? piece.optional : piece));
  const texts = parts.flatMap((part) => ("text" in part ? part.text : []));
  if (texts.length === parts.length) return { ok: true, value: texts.join("") };
  const touching = findTouching(pieces);
  if (touching !== undefined)
    return refuse(
      `has nothing between {${touching}} and what follows that tells where the value ends. Write a sign there, such as "-"`,
    );
  return { ok: true, value: new UserTemplate(text, pieces) };
}

function isDoubled(token: string): boolean {
  return token === "{{" || token === "}}" || token === "[[" || token === "]]";
}

/** A placeholder that something can follow which its value could contain, so that two clients could get one name. */
function findTouching(pieces: readonly TemplatePiece[]): string | undefined {
  for (const [at, piece] of pieces.entries()) {
    const parts = "optional" in piece ? piece.optional : [piece];
    for (const [within, part] of parts.entries()) {
      if (!("placeholder" in part)) continue;
      const followers = within + 1 < parts.length ? [parts[within + 1]] : listFollowers(pieces.slice(at + 1));
      if (followers.some((next) => next !== undefined && !separates(next))) return part.placeholder;
    }
  }
  return undefined;
}

/** Everything that can come first: parts in brackets can be left out. */
function listFollowers(pieces: readonly TemplatePiece[]): (TemplatePart | undefined)[] {
  const end = pieces.findIndex((piece) => !("optional" in piece));
  const reached = end < 0 ? pieces : pieces.slice(0, end + 1);
  return reached.map((piece) => ("optional" in piece ? piece.optional[0] : piece));
}

function separates(part: TemplatePart): boolean {
  return "text" in part && !/^[A-Za-z0-9]/.test(part.text);
}

/** Finds placeholders in the `username` of upstreams that stand for nothing. Paths begin at the upstreams. `known` are those that stand for something. */
export function findUnknownPlaceholders(upstreams: unknown, known: readonly string[]): Problem[] {
  if (typeof upstreams !== "object" || upstreams === null) return [];
  return Object.entries(upstreams).flatMap(([name, value]: [string, unknown]) => {
    const at = Array.isArray(upstreams) ? Number(name) : name;
    const problems =
      name === "username" && typeof value === "string"
        ? explainPlaceholders(value, known)
        : findUnknownPlaceholders(value, known);
    return problems.map((problem) => ({ ...problem, path: [at, ...problem.path] }));
  });
}

function explainPlaceholders(text: string, known: readonly string[]): Problem[] {
  const parsed = parseUserTemplate(text);
  if (!parsed.ok || typeof parsed.value === "string") return [];
  return parsed.value.placeholders.flatMap((name) => {
    if (known.includes(name)) return [];
    const advice =
      name === USER_PLACEHOLDER
        ? ' The proxy asks nobody for a user name. Set "users".'
        : suggest(name, known) || ' Add it to "auth.parameters".';
    return { path: [], message: `There is no ${quoteNamed("placeholder", name)}.${advice}` };
  });
}

/** Says that credentials have what no proxy takes, without repeating them. */
export function findControl({ user, password }: NonNullable<Hop["credentials"]>): string | undefined {
  const texts = (typeof user === "string" ? user : user.texts) + password.reveal();
  return /\p{Cc}/u.test(texts) ? "The user name or the password has a control character. Leave it out." : undefined;
}
