import { encodeFields, type Field, type Fields } from "./fields.ts";

/** A value that is not to be printed. */
export interface HiddenText {
  reveal(): string;
}

/** Texts that are exchanged in the values of one field. */
export interface Exchanges {
  /** Matches each of them, the longer ones first; global. */
  readonly pattern: RegExp;
  readonly values: ReadonlyMap<string, HiddenText>;
}

/** Changes to the fields of a message. */
export interface FieldEdits {
  /** One line each, in place of all lines of that name. */
  readonly set: readonly { readonly name: string; readonly value: HiddenText }[];
  /** Fields whose lines are left out, those that are set among them; by `foldName`. */
  readonly dropped: ReadonlySet<string>;
  /** By `foldName` of the field. */
  readonly exchanged: ReadonlyMap<string, Exchanges>;
}

/** Octets that exchanged texts may add to one message: a short text that is repeated must not become megabytes. */
export const MAX_GROWTH = 32 * 1024;

/** Gives a field name as edits compare it. CGI and its heirs read `_` and `-` alike. */
export function foldName(name: string): string {
  return name.toLowerCase().replaceAll("_", "-");
}

/** Compiles texts to be exchanged in one field. */
export function compileExchanges(values: ReadonlyMap<string, HiddenText>): Exchanges {
  const texts = [...values.keys()].toSorted((a, b) => b.length - a.length);
  return { pattern: new RegExp(texts.map(escapeRegExp).join("|"), "g"), values };
}

/** Changes fields. They are exact then. Undefined when exchanged texts would add more than `MAX_GROWTH` octets. */
export function editFields(fields: Fields, { set, dropped, exchanged }: FieldEdits): Fields | undefined {
  const lines: Field[] = [];
  let room = MAX_GROWTH;
  let changed = set.length > 0;
  for (const field of fields) {
    const name = foldName(field.name);
    const exchanges = exchanged.get(name);
    if (dropped.has(name)) {
      changed = true;
      continue;
    }
    const value = exchanges === undefined ? field.value : exchange(name, field.value, exchanges, room);
    if (value === undefined) return undefined;
    room -= Math.max(0, value.length - field.value.length);
    changed ||= value !== field.value;
    lines.push({ ...field, value });
  }
  if (!changed) return fields;
  for (const { name, value } of set) lines.push({ name, value: value.reveal() });
  return encodeFields(lines);
}

/** The scheme in which a text is in base64 (RFC 7617). */
const basic = /^(basic +)([A-Za-z0-9+/]+={0,2})$/i;

function exchange(name: string, value: string, exchanges: Exchanges, room: number): string | undefined {
  const [, scheme, encoded] = (name === "authorization" && basic.exec(value)) || [];
  if (scheme === undefined || encoded === undefined) return exchangeTexts(value, exchanges, room);
  const credentials = Buffer.from(encoded, "base64").toString("latin1");
  const known = exchangeTexts(credentials, exchanges, room);
  if (known === undefined || known === credentials) return known === undefined ? undefined : value;
  return scheme + Buffer.from(known, "latin1").toString("base64");
}

/** What came in place of a text is not looked at again. */
function exchangeTexts(value: string, { pattern, values }: Exchanges, room: number): string | undefined {
  let left = room;
  const text = value.replace(pattern, (found) => {
    const known = left < 0 ? "" : (values.get(found)?.reveal() ?? "");
    left -= Math.max(0, known.length - found.length);
    return known;
  });
  return left < 0 ? undefined : text;
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}
