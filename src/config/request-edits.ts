import * as z from "zod";

import { findFieldIdOf, hasFlag, HOP_BY_HOP } from "../protocol/http1/field-names.ts";
import {
  compileExchanges,
  type Exchanges,
  type FieldEdits,
  foldName,
  type HiddenText,
} from "../protocol/http1/edit-fields.ts";
import { isToken } from "../protocol/http1/octets.ts";
import type { RequestEdits, ResponseEdits } from "../proxy/policy/message-edits.ts";
import { Secret } from "../secret.ts";
import { flag, list, secretOf, type SecretSource, settings, text } from "./fields.ts";
import type { Materials } from "./materials.ts";
import { isRecord, readList, readRecord } from "./plain-data.ts";
import { type Problem, quoteValue } from "./problem.ts";
import { findSecret } from "./secrets.ts";
import { isEveryHost } from "./target-pattern.ts";

/** Where a placeholder is looked for, unless it says where. */
const CREDENTIAL_FIELDS = ["authorization", "x-api-key"] as const;

/** Fields that say where a message ends, whom it is for, or who passed it on: the proxy writes them itself. */
const OWN_FIELDS: ReadonlySet<string> = new Set(
  "content-length expect host http2-settings max-forwards trailer transfer-encoding via".split(" "),
);

const fieldNames = list(text('the name of a field, such as "cookie"', explainName), "a list of names of fields");

function fieldMap<Value extends z.ZodType>(value: Value, example: string) {
  return z.record(z.string(), value, { error: () => `Found something that is no map. Write one such as ${example}.` });
}

export const requestEdits = settings({
  set: fieldMap(
    secretOf({
      prefix: text('a text such as "Bearer "').describe('Text before the value, such as `"Bearer "`.').optional(),
    }),
    '{ authorization: { env: "API_TOKEN", prefix: "Bearer " } }',
  )
    .describe(
      "Fields by name, each with a secret: they take the place of all lines of that name. Everything here is redacted where the configuration is shown.",
    )
    .optional(),
  remove: fieldNames.describe("Fields that do not go on, in any case; `_` counts as `-`.").optional(),
  replace: fieldMap(
    secretOf({
      in: fieldNames.describe('Fields to look in. Default: `["authorization", "x-api-key"]`.').optional(),
    }),
    '{ "sk-placeholder": { env: "KEY" } }',
  )
    .describe(
      "Placeholders that clients send, of 8 characters or more, each with the secret that takes its place. Only values of named fields are looked at, the base64 of `Authorization: Basic` too; never the target or the body.",
    )
    .optional(),
  allowPlain: flag()
    .describe(
      "Send what `set` and `replace` add also to `http` URIs, where everybody on the way can read it. Default: false; such requests are refused with 403.",
    )
    .optional(),
})
  .describe(
    "Allow, and change the fields of forwarded requests (`http://` and `https://` in absolute-form) before they go on. What is inside tunnels is not changed. TRACE is refused when something is added.",
  )
  .optional();

export const responseEdits = settings({
  set: fieldMap(text('a value such as "no-store"', findValueFault), '{ "cache-control": "no-store" }')
    .describe("Fields by name, each with its value: they take the place of all lines of that name.")
    .optional(),
  remove: fieldNames.describe("Fields that the client does not get, in any case; `_` counts as `-`.").optional(),
})
  .describe(
    "Allow, and change the fields of responses to forwarded requests before the client gets them. Trailers lose the same fields, and nothing is set there. Refusals of the proxy itself are not changed.",
  )
  .optional();

type RequestSettings = NonNullable<z.output<typeof requestEdits>>;
type ResponseSettings = NonNullable<z.output<typeof responseEdits>>;

function explainName(name: string): string | undefined {
  if (!isToken(name) || name.length > 64) return "is no name of a field";
  const folded = foldName(name);
  return OWN_FIELDS.has(folded) || folded.startsWith("proxy") || hasFlag(findFieldIdOf(folded), HOP_BY_HOP)
    ? "is written by the proxy itself, or is for one hop only. Leave it out"
    : undefined;
}

function findValueFault(value: string): string | undefined {
  return isSendable(value)
    ? undefined
    : "cannot be sent. Write up to 8192 printable characters of ASCII, without a space at either end";
}

/** No control character, so that a value cannot break out of its line. */
function isSendable(value: string): boolean {
  return /^[\x21-\x7e](?:[\x20-\x7e]{0,8190}[\x21-\x7e])?$/.test(value);
}

/** What contradicts itself in the edits of a message, and in the rule that has them. Paths begin at the setting. */
export function findEditConflicts(edits: unknown, rule: Readonly<Record<string, unknown>>): Problem[] {
  const { set, remove, replace } = readRecord(edits);
  const placeholders = Object.entries(readRecord(replace));
  const problems: Problem[] = [];
  const seen = new Set<string>();
  const add = (name: unknown, path: PropertyKey[]): void => {
    if (typeof name !== "string" || explainName(name) !== undefined) return;
    const isNew = !seen.has(foldName(name));
    seen.add(foldName(name));
    if (!isNew) problems.push({ path, message: `Found the field ${quoteValue(name)} twice. Write it in one place.` });
  };
  for (const name of Object.keys(readRecord(set))) {
    const fault = explainName(name);
    // What is no name may be a value in the wrong place.
    const shown = isToken(name) && name.length <= 64 ? quoteValue(name) : "One of the names";
    if (fault !== undefined) problems.push({ path: ["set"], message: `${shown} ${fault}.` });
    add(name, ["set", name]);
  }
  for (const [at, name] of readList(remove).entries()) add(name, ["remove", at]);
  const looked = new Set(placeholders.flatMap(([, source]) => listLookedAt(source).map(foldName)));
  for (const name of looked) add(name, ["replace"]);
  for (const [placeholder] of placeholders)
    if (!/^[\x21-\x7e]{8,256}$/.test(placeholder))
      problems.push({
        path: ["replace"],
        message: "A placeholder is from 8 to 256 printable characters of ASCII, without spaces.",
      });
  if (isRecord(edits) && seen.size === 0 && problems.length === 0)
    problems.push({ path: [], message: "Nothing is changed. Leave it out, or write what is." });
  if (hasSecrets(edits) && isForEverybody(rule["to"]))
    problems.push({
      path: [],
      message: 'The rule would send a secret to every host. Name the hosts in "to".',
    });
  return problems;
}

function listLookedAt(source: unknown): string[] {
  const fields = isRecord(source) ? source["in"] : undefined;
  return fields === undefined
    ? [...CREDENTIAL_FIELDS]
    : readList(fields).filter((name): name is string => typeof name === "string");
}

/** Whether what a rule adds to requests comes from variables or files. */
export function hasSecrets(edits: unknown): boolean {
  const { set, replace } = readRecord(edits);
  return [set, replace].some((map) => Object.values(readRecord(map)).some(isRecord));
}

/** Whether the targets of a rule as written are every host. What is in lists is judged where they are read. */
function isForEverybody(to: unknown): boolean {
  return to === undefined || readList(to).some((target) => typeof target === "string" && isEveryHost(target));
}

/** Rules that change requests, and let tunnels through, in which they change nothing. */
export function findEditWarnings(rules: unknown): Problem[] {
  return readList(rules).flatMap((rule, at) => {
    const { request, response, methods, paths, protocols } = readRecord(rule);
    if ((request === undefined && response === undefined) || methods !== undefined || paths !== undefined) return [];
    if (Array.isArray(protocols)) return [];
    const message =
      'The rule lets tunnels through as well (CONNECT, SOCKS), in which nothing is changed. Set `paths: ["*"]` for forwarded requests alone, or "protocols" to say what tunnels may hold.';
    return [{ path: ["rules", at], message }];
  });
}

/** What only the files and variables show to be wrong. */
export function findEditProblems(rules: unknown, materials: Materials): Problem[] {
  return readList(rules).flatMap((rule, at) => {
    const { set, replace } = readRecord(readRecord(rule)["request"]);
    return Object.entries({ set, replace }).flatMap(([setting, map]) =>
      Object.entries(readRecord(map) as Readonly<Record<string, EditSource>>).flatMap(([name, source]) => {
        const value = findEditValue(source, materials)?.reveal();
        if (value === undefined || isSendable(value)) return [];
        const message =
          "The value cannot be sent. It must be up to 8192 printable characters of ASCII, without a space at either end.";
        return [{ path: ["rules", at, "request", setting, ...(setting === "set" ? [name] : [])], message }];
      }),
    );
  });
}

type EditSource = SecretSource & { readonly prefix?: string | undefined };

function findEditValue(source: EditSource, materials: Materials): Secret | undefined {
  const found = findSecret(source, materials);
  const prefix = typeof source === "string" ? undefined : source.prefix;
  return found === undefined || prefix === undefined ? found : new Secret(prefix + found.reveal());
}

/** A missing variable or file is reported already, and the configuration does not start. */
function readEditValue(source: EditSource, materials: Materials): HiddenText {
  return findEditValue(source, materials) ?? new Secret("");
}

export function compileRequestEdits(
  { set = {}, remove = [], replace = {}, allowPlain = false }: RequestSettings,
  materials: Materials,
): RequestEdits {
  const values = new Map<string, Map<string, HiddenText>>();
  for (const [placeholder, source] of Object.entries(replace))
    for (const name of new Set(listLookedAt(source).map(foldName))) {
      const known = values.get(name) ?? new Map<string, HiddenText>();
      known.set(placeholder, readEditValue(source, materials));
      values.set(name, known);
    }
  const exchanged: ReadonlyMap<string, Exchanges> = new Map(
    Array.from(values, ([name, texts]) => [name, compileExchanges(texts)]),
  );
  const fields = {
    ...compileSet(
      Object.entries(set).map(([name, source]) => ({ name, value: readEditValue(source, materials) })),
      remove,
    ),
    exchanged,
  };
  const adds = values.size > 0 || Object.keys(set).length > 0;
  const description = describeEdits(Object.keys(set), remove, [...values.keys()]);
  return { fields, adds, allowPlain, withoutAdded: dropAdded(fields, allowPlain), description };
}

/** Edits that drop the same fields, and add nothing. */
function dropAdded({ dropped }: FieldEdits, allowPlain: boolean): RequestEdits {
  const description = describeEdits([], [...dropped], []);
  return { fields: { set: [], dropped, exchanged: new Map() }, adds: false, allowPlain, description };
}

export function compileResponseEdits({ set = {}, remove = [] }: ResponseSettings): ResponseEdits {
  const lines = Object.entries(set).map(([name, value]) => ({ name, value: new Secret(value) }));
  const fields = { ...compileSet(lines, remove), exchanged: new Map<string, Exchanges>() };
  return { fields, interim: { ...fields, set: [] }, description: describeEdits(Object.keys(set), remove, []) };
}

function compileSet(set: FieldEdits["set"], remove: readonly string[]): Pick<FieldEdits, "set" | "dropped"> {
  return { set, dropped: new Set([...set.map(({ name }) => name), ...remove].map(foldName)) };
}

function describeEdits(set: readonly string[], remove: readonly string[], exchanged: readonly string[]): string {
  const parts = { sets: set, removes: remove, "exchanges in": exchanged };
  return Object.entries(parts)
    .flatMap(([verb, names]) => (names.length === 0 ? [] : `${verb} ${names.join(", ")}`))
    .join("; ");
}
