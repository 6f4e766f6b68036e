import * as z from "zod";

import { type Cidr, parseCidr } from "../address/cidr.ts";
import { parseIp } from "../address/ip.ts";
import { describeKind, quoteValue, writeSentence } from "./problem.ts";
import type { FunctionName } from "./functions.ts";
import { formatSize, parseBandwidth, parseDuration, parseRate, parseSize, quantityPatterns } from "./quantity.ts";
import { checked, isAccepted } from "./parts.ts";
import { isRecord, readRecord } from "./plain-data.ts";
import { suggest } from "./suggest.ts";

// A configuration is read a few times in the life of a process: compiled checks would only take memory.
z.config({ jitless: true });

/**
 * The kinds of value in the schema. Each message says what was found and what is
 * wanted. Values stay as they were written, so that the effective configuration
 * prints what the author wrote; `compile` reads them again.
 */

/** How a message names a value: by its text, or by its kind where it may be a secret. */
type Name = (value: unknown) => string;

/**
 * A text. `findFault` gives what is wrong with it, as the rest of a sentence that
 * begins with `name(text)`.
 */
export function text(wanted: string, findFault?: (value: string) => string | undefined, name: Name = quoteValue) {
  return z.string({ error: (issue) => describeWrong(issue.input, wanted, name) }).superRefine((value, context) => {
    const fault = value === "" ? "" : findFault?.(value);
    if (fault !== undefined)
      context.addIssue({
        code: "custom",
        message: value === "" ? `Found an empty text. Write ${wanted}.` : writeSentence(name(value), fault),
      });
  });
}

/** A text that `parse` can read, and whose meaning has no fault. */
export function parsed<Meaning extends { readonly ok: true }>(
  wanted: string,
  parse: (value: string) => Meaning | { readonly ok: false; readonly reason: string },
  findFault?: (meaning: Meaning) => string | undefined,
  name?: Name,
) {
  const find = (value: string) => {
    const meaning = parse(value);
    return meaning.ok ? findFault?.(meaning) : meaning.reason;
  };
  return text(wanted, find, name);
}

/** Forms of texts for the JSON Schema: every text that can be read has the form. */
export const textPatterns = {
  /** An address, alone or with a prefix length. */
  cidr: "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$",
  /** An IP address. */
  ip: "^[0-9A-Fa-f.:]+$",
  /** `kind://…`. */
  upstream: "^([Hh][Tt][Tt][Pp][Ss]?|[Ss][Oo][Cc][Kk][Ss](5|5[Hh]|4[Aa]))://.",
} as const;

/** A text that reads as milliseconds; 0 only where it means something. */
export function duration(options: { zero: boolean }) {
  return parsed('a duration such as "10s"', parseDuration, ({ value }) =>
    value === 0 && !options.zero ? 'would leave no time at all. Write a longer one, such as "10s"' : undefined,
  ).meta({ pattern: quantityPatterns.duration });
}

/** A text that reads as bytes, from `min` to `max`. */
export function size(min: number, max: number) {
  return parsed('a size such as "32KiB"', parseSize, ({ value }) =>
    value < min || value > max ? `is out of range. Write from ${formatSize(min)} to ${formatSize(max)}` : undefined,
  ).meta({ pattern: quantityPatterns.size });
}

/** A text that reads as a number for a span of time; never 0, which would refuse everything. */
export function rate() {
  return parsed('a rate such as "50/s"', parseRate, ({ value }) =>
    value.count === 0 ? 'would let nothing through. Write "1/h" or more, or leave it out for no limit' : undefined,
  ).meta({ pattern: quantityPatterns.rate });
}

/** A text that reads as bytes per second, at least as many as a slow line has. */
export function bandwidth() {
  return parsed('a bandwidth such as "20MB/s"', parseBandwidth, ({ value }) =>
    value < 1024 || value > 100e9
      ? 'is out of range. Write from "1KiB/s" to "100GB/s", or leave it out for no limit'
      : undefined,
  ).meta({ pattern: quantityPatterns.bandwidth });
}

export function count(min: number, max: number) {
  const wanted = `a whole number from ${min} to ${max}`;
  const error = ({ input }: { input?: unknown }) =>
    typeof input === "string"
      ? `${describeWrong(input, wanted, isDigits(input) ? quoteValue : unquoted)}${isDigits(input) ? " Leave out the quotes." : ""}`
      : describeWrong(input, wanted);
  return z.core._int(Whole, { error }).min(min, { error }).max(max, { error });
}

/**
 * A whole number. At a fraction the library's own one forbids all further checks, of
 * the maps around it, too: what contradicts itself there would not be told.
 */
const Whole = z.core.$constructor<z.ZodNumberFormat, z.core.$ZodNumberFormatDef>("Whole", (self, definition) => {
  z.ZodNumberFormat.init(self, definition);
  const check = self._zod.check.bind(self._zod);
  self._zod.check = (payload) => {
    const end = check(payload);
    for (const issue of payload.issues) if (issue.continue === false) Reflect.deleteProperty(issue, "continue");
    return end;
  };
});

/** A part of the whole. */
export function fraction() {
  const error = ({ input }: { input?: unknown }) => describeWrong(input, "a number from 0 to 1");
  return z.number({ error }).min(0, { error }).max(1, { error });
}

/** `true` or `false`. */
export function flag() {
  return z.boolean({
    error: (issue) => describeWrong(issue.input, "true or false"),
  });
}

/** One of a few words. */
export function word<const Words extends readonly [string, ...string[]]>(words: Words) {
  const wanted = words.map((each) => JSON.stringify(each)).join(", ");
  return z.enum(words, {
    error: ({ input }) =>
      describeWrong(input, words.length === 1 ? wanted : `one of ${wanted}`) +
      (typeof input === "string" ? suggest(input, words) : words.includes(String(input)) ? " Put it in quotes." : ""),
  });
}

/** One of a few numbers. */
export function choice<const Numbers extends readonly [number, ...number[]]>(numbers: Numbers) {
  return z.literal(numbers, { error: (issue) => describeWrong(issue.input, numbers.join(" or ")) });
}

/** An address or a range of addresses. */
export function cidr() {
  return parsed('an address or a range such as "10.0.0.0/8"', parseCidr).meta({ pattern: textPatterns.cidr });
}

/** Reads addresses and ranges that the schema has accepted. */
export function readCidrs(texts: Iterable<string>): Cidr[] {
  return Array.from(texts, (value) => {
    const range = parseCidr(value);
    if (!range.ok) throw new Error(`A range that the schema should have refused ${range.reason}`);
    return range.cidr;
  });
}

export function pemPath(example = "ca.pem") {
  return text(`the path of a PEM file, such as "${example}"`);
}

/** The path of a PEM file, or a list of them. */
export function pemPaths() {
  return either("the path of a PEM file, or a list of them", [
    pemPath(),
    list(pemPath(), "a list of paths of PEM files"),
  ]);
}

export function ipAddress() {
  return text('an IP address such as "192.0.2.1"', (value) =>
    parseIp(value) ? undefined : 'is not an IP address. Write one such as "192.0.2.1" or "2001:db8::1"',
  ).meta({ pattern: textPatterns.ip });
}

/** A list of `item`, not empty. */
export function list<Item extends z.ZodType>(item: Item, wanted: string, name: Name = quoteValue) {
  const error: z.core.$ZodErrorMap = ({ input }) =>
    describeWrong(input, wanted, name) + (typeof input === "string" ? " Put brackets around it." : "");
  const items = new List({ type: "array", element: item, error }) as unknown as z.ZodArray<Item>;
  return items.min(1, { error: `Found an empty list. Write ${wanted}, or leave it out.` });
}

/** A list whose items are not checked again when they were found right before. */
const List = z.core.$constructor<z.ZodArray>("List", (self, definition) => {
  z.ZodArray.init(self, definition);
  const parse = self._zod.parse.bind(self._zod);
  self._zod.parse = (payload, context) => (isAccepted(payload.value, context) ? payload : parse(payload, context));
});

/** A map of the settings in `shape` and no others. */
export function settings<Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
  wanted = "a map of settings",
  name: Name = quoteValue,
) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? // One line for each key: check.ts takes them apart again.
          issue.keys.map((key) => describeUnknown(key, known)).join("\n")
        : describeWrong(issue.input, wanted, name),
  });
}

/**
 * One of several forms that differ in their JavaScript type. The type of the value
 * chooses the form, and messages are the ones of that form. Forms that are maps
 * differ in a setting: `keys` has it at the index of its form, and a form without one
 * is for maps without any of them.
 */
export function either<const Forms extends readonly [z.ZodType, z.ZodType, ...z.ZodType[]]>(
  wanted: string,
  forms: Forms,
  name: Name = quoteValue,
  keys: readonly (string | undefined)[] = [],
) {
  const error: z.core.$ZodErrorMap = ({ input }) => `${describeWrong(input, wanted, name)}${suggestForm(input, keys)}`;
  const definition: ChoiceDefinition = { type: "union", options: forms, error, keys };
  return new Choice(definition) as unknown as z.ZodUnion<Forms>;
}

/** A misspelt setting by which a form would be chosen. */
function suggestForm(input: unknown, keys: readonly (string | undefined)[]): string {
  const known = keys.filter((key) => key !== undefined);
  const found = isRecord(input) ? Object.keys(input) : [];
  return found.map((key) => suggest(key, known)).find((hint) => hint !== "") ?? "";
}

interface ChoiceDefinition extends z.core.$ZodUnionDef {
  readonly keys: readonly (string | undefined)[];
}

function isOfForm(value: unknown, form: z.core.$ZodType, key: string | undefined): boolean {
  return isOfType(value, form._zod.def.type) && (key === undefined || (isRecord(value) && Object.hasOwn(value, key)));
}

const Choice = z.core.$constructor<z.ZodUnion, ChoiceDefinition>("Choice", (self, definition) => {
  z.ZodUnion.init(self, definition);
  self._zod.parse = (payload, context) => {
    const form = definition.options.find((option, at) => isOfForm(payload.value, option, definition.keys[at]));
    if (form !== undefined) return form._zod.run(payload, context);
    payload.issues.push({ code: "invalid_union", errors: [], input: payload.value, inst: self });
    return payload;
  };
});

/** Whether a value has the JavaScript type of a form, right or wrong. */
function isOfType(value: unknown, type: z.core.$ZodTypeDef["type"]): boolean {
  switch (type) {
    case "string":
    case "enum":
      return typeof value === "string";
    case "number":
      return typeof value === "number";
    case "array":
      return Array.isArray(value);
    case "object":
      return isRecord(value);
    case "custom":
      return typeof value === "function";
    default:
      throw new Error(`A form cannot be chosen by the type ${type}`);
  }
}

/** A function of the configuration file; only files in TypeScript or JavaScript have them. `type` names it for authors. */
export function hook<Hook extends (...args: never[]) => unknown>(
  type: FunctionName,
  wanted: string,
  name: Name = quoteValue,
) {
  return z
    .custom<Hook>((value) => typeof value === "function", {
      error: (issue) => describeWrong(issue.input, wanted, name),
    })
    .meta({ [FUNCTION_MARK]: type });
}

/** Marks a function in the JSON Schema, where it is left out; the value is the name of its type. */
export const FUNCTION_MARK = "x-function";

/**
 * A secret, or where to find it. Messages never repeat the value.
 */
export function secret() {
  return secretOf({});
}

/** A secret, or where to find it with `more` settings about its use. */
export function secretOf<More extends z.core.$ZodLooseShape>(more: More) {
  const wanted = 'a text, { env: "NAME" } or { file: "path" }';
  const place = settings({
    env: text("the name of an environment variable")
      .describe("Name of the environment variable that holds it.")
      .optional(),
    file: text("the path of a file")
      .describe(
        "Path of the file that holds it, relative to the configuration file. A line break at its end is not part of it.",
      )
      .optional(),
    ...more,
  });
  return either(
    wanted,
    [
      z.string().min(1, { error: `Found an empty text. Write ${wanted}.` }),
      checked(place, (parts) => {
        const { env, file } = readRecord(parts);
        if ((env === undefined) !== (file === undefined)) return [];
        const found = env === undefined ? 'neither "env" nor "file"' : 'both "env" and "file"';
        return [{ path: [], message: `Found ${found}. Write one of them.` }];
      }),
    ],
    () => "something that is no secret",
  );
}

/** A secret as the schema gives it. */
export type SecretSource = string | { env?: string | undefined; file?: string | undefined };

function describeWrong(found: unknown, wanted: string, name: Name = quoteValue): string {
  return found === undefined ? `Required. Write ${wanted}.` : `Found ${name(found)}. Write ${wanted}.`;
}

/** Names a value by its kind: for settings where a secret may stand. */
export const unquoted: Name = describeKind;

function isDigits(value: string): boolean {
  return /^\d{1,9}$/.test(value);
}

function describeUnknown(key: string, known: readonly string[]): string {
  const hint = suggest(key, known);
  const all = known.map((each) => JSON.stringify(each)).join(", ");
  return `There is no such setting.${hint === "" ? ` Known here: ${all}.` : hint}`;
}
