import type { UserParameters } from "../../protocol/user-parameters.ts";

/** Whom a request is for, as far as the login at an upstream depends on it. */
export interface NamedRequester {
  readonly user?: string | undefined;
  /** The parameters in the user name. */
  readonly parameters?: UserParameters | undefined;
}

/** A piece of a template: a text that is sent as it is, or what stands for a value. */
export type TemplatePart = { readonly text: string } | { readonly placeholder: string };

export type TemplatePiece =
  | TemplatePart
  /** Left out unless each of its values is there. */
  | { readonly optional: readonly TemplatePart[] };

/** The user name; or the name of the value that it needs. */
export type TemplateResult =
  { readonly ok: true; readonly user: string } | { readonly ok: false; readonly missing: string };

/** The placeholder for the user. All others are parameters of its name. */
export const USER_PLACEHOLDER = "user";

/** Signs that may be in a value, unless the template itself has them: there they separate. The hyphen is last, as a class of characters needs it. */
const SIGNS = "._~@+-";

/**
 * A user name for an upstream that has places for the user and for the parameters
 * of a request. No value can be taken for more than itself: of its characters only
 * letters, digits and signs that the template does not use are sent as they are;
 * all others become `%XX`, in UTF-8.
 */
export class UserTemplate {
  /** As the configuration has it. */
  readonly source: string;
  /** The names of its placeholders. */
  readonly placeholders: readonly string[];
  /** All of its text that is sent as it is. */
  readonly texts: string;
  readonly #pieces: readonly TemplatePiece[];
  readonly #escaped: RegExp;

  constructor(source: string, pieces: readonly TemplatePiece[]) {
    this.source = source;
    this.#pieces = pieces;
    const parts = pieces.flatMap((piece) => ("optional" in piece ? piece.optional : piece));
    this.placeholders = parts.flatMap((part) => ("placeholder" in part ? part.placeholder : []));
    this.texts = parts.map((part) => ("text" in part ? part.text : "")).join("");
    const free = Array.from(SIGNS, (sign) => (this.texts.includes(sign) ? "" : sign)).join("");
    this.#escaped = new RegExp(`[^A-Za-z0-9${free}]`, "gu");
  }

  resolve(from: NamedRequester): TemplateResult {
    let user = "";
    for (const piece of this.#pieces) {
      if (!("optional" in piece)) {
        const written = this.#write(piece, from);
        if (written === undefined) return { ok: false, missing: "placeholder" in piece ? piece.placeholder : "" };
        user += written;
        continue;
      }
      const written = piece.optional.map((part) => this.#write(part, from));
      if (!written.includes(undefined)) user += written.join("");
    }
    return { ok: true, user };
  }

  /** A text that is the same only for requests whose values are all the same. It has no spaces. */
  identify(from: NamedRequester): string {
    return encodeURIComponent(JSON.stringify(this.placeholders.map((name) => findValue(name, from) ?? null)));
  }

  #write(part: TemplatePart, from: NamedRequester): string | undefined {
    if ("text" in part) return part.text;
    return findValue(part.placeholder, from)?.replace(this.#escaped, encodeCharacter);
  }
}

function findValue(placeholder: string, { user, parameters }: NamedRequester): string | undefined {
  return placeholder === USER_PLACEHOLDER ? user : parameters?.[placeholder];
}

function encodeCharacter(character: string): string {
  return Array.from(Buffer.from(character), (octet) => `%${octet.toString(16).padStart(2, "0").toUpperCase()}`).join(
    "",
  );
}
