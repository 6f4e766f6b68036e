import { VIA } from "../../protocol/http1/field-names.ts";
import type { Fields } from "../../protocol/http1/fields.ts";

/** Gives our own element of a Via field (RFC 9110 §7.6.3): the version in which the message came, and our name. */
export function formatVia(version: "1.0" | "1.1", name: string): string {
  return `${version} ${name}`;
}

/** Tells whether a request has been here before: whether Via has an element that says `name`. */
export function hasPassed(fields: Fields, name: string): boolean {
  for (const value of fields.has(VIA) ? fields.getAll(VIA) : []) {
    if (!value.includes(name)) continue;
    // Whatever is in a comment was not written by us.
    const elements = removeComments(value).split(",");
    if (elements.some((element) => element.trim().split(/[ \t]+/)[1] === name)) return true;
  }
  return false;
}

/** Comments nest (RFC 9110 §5.6.5); one without an end reaches to the end. */
function removeComments(value: string): string {
  let text = "";
  let depth = 0;
  for (let index = 0; index < value.length; index++) {
    const character = value[index] as string;
    if (depth > 0 && character === "\\") index++;
    else if (character === "(") depth++;
    else if (character === ")" && depth > 0) depth--;
    else if (depth === 0) text += character;
  }
  return text;
}
