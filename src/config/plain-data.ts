import { types } from "node:util";

import { isStep, type Steps } from "../steps.ts";
import type { Problem } from "./problem.ts";

/** Deeper than any configuration, and shallow enough for the stack. */
const MAX_DEPTH = 100;
/** More than a million names, and fewer than YAML aliases that multiply each other. */
const MAX_VALUES = 4_000_000;

type Path = readonly PropertyKey[];

/** Replaces a refused value in a copy: it is set, and no schema accepts it. */
const REFUSED = Symbol("refused");

/** A copy of the value of a file, and what could not be copied. */
export interface PlainData {
  readonly value: unknown;
  readonly problems: readonly Problem[];
}

/**
 * Copies the value of a configuration file and refuses everything but plain data.
 * The schema looks only at own enumerable fields: it would take a promise, a Map
 * or an object with inherited fields for an empty section and ignore its settings.
 * Functions pass: the schema knows where they may be. Lists of data, which no
 * program made, have their items and nothing else.
 */
export function* copyInSteps(value: unknown, from: "program" | "data" = "program"): Steps<PlainData> {
  const copier = new Copier(from === "program");
  return { value: yield* copier.copy(value, []), problems: copier.problems };
}

/** Leaves out problems of values that are refused already. */
export function withoutRefused(problems: readonly Problem[], refused: readonly Problem[]): Problem[] {
  if (refused.length === 0) return [...problems];
  return problems.filter(({ path }) => !refused.some((each) => each.path.every((key, at) => path[at] === key)));
}

class Copier {
  readonly problems: Problem[] = [];
  /** The objects around the present value. */
  readonly #open = new Set<object>();
  #values = 0;
  readonly #mayHaveExtra: boolean;

  constructor(mayHaveExtra: boolean) {
    this.#mayHaveExtra = mayHaveExtra;
  }

  *copy(value: unknown, path: Path): Steps<unknown> {
    this.#count(value, path);
    if (isStep(this.#values)) yield;
    if (typeof value !== "object" || value === null || this.#values >= MAX_VALUES) return value;
    const fault = findFault(value, this.#open, path.length);
    if (fault !== undefined) return this.#refuse(path, fault);
    this.#open.add(value);
    const copy = Array.isArray(value) ? yield* this.#copyList(value, path) : yield* this.#copyMap(value, path);
    this.#open.delete(value);
    return copy;
  }

  *#copyList(list: readonly unknown[], path: Path): Steps<unknown[]> {
    const copy: unknown[] = [];
    // Not entries(): the list may have replaced it, and it hides holes.
    for (let at = 0; at < list.length; at++) {
      if (isStep(at)) yield;
      if (Object.hasOwn(list, at)) {
        const field = this.#readField(list, at, path);
        copy.push(isNested(field) ? yield* this.copy(field, [...path, at]) : field);
      } else {
        this.#refuse([...path, at], "Found a hole in the list. Write a value, or close the gap.");
        break;
      }
    }
    if (!this.#mayHaveExtra) return copy;
    // This takes a millisecond for a thousand items, and is one step.
    const extra = Reflect.ownKeys(list).length - list.length - 1;
    if (extra > 0) this.#refuse(path, "Found a list that has other fields than its items. Write a plain list.");
    return copy;
  }

  *#copyMap(map: object, path: Path): Steps<Record<string, unknown>> {
    const copy: Record<string, unknown> = {};
    for (const key of Reflect.ownKeys(map)) {
      if (typeof key === "symbol")
        this.#refuse(path, "Found a field whose name is a symbol. Write settings under texts.");
      // The one name that would not become a field of the copy.
      else if (key === "__proto__") this.#refuse([...path, key], "There is no such setting.");
      else {
        const field = this.#readField(map, key, path);
        copy[key] = isNested(field) ? yield* this.copy(field, [...path, key]) : field;
      }
    }
    return copy;
  }

  /** The value of a field, to be copied when it is nested. */
  #readField(holder: object, key: string | number, path: Path): unknown {
    const field = Object.getOwnPropertyDescriptor(holder, key);
    if (field === undefined || !("value" in field))
      return this.#refuse([...path, key], "Found a getter. Write the value itself.");
    if (field.enumerable !== true)
      return this.#refuse([...path, key], "Found a hidden field. Write it as an ordinary one.");
    const value: unknown = field.value;
    if (typeof value === "function" && !isPlainFunction(value))
      return this.#refuse([...path, key], "Found a class or a generator. Write a function that gives its answer.");
    // Most values are texts of long lists: they need no path.
    return isNested(value) ? value : this.#count(value, path);
  }

  #count(value: unknown, path: Path): unknown {
    this.#values++;
    if (this.#values === MAX_VALUES) this.#refuse(path, "The configuration has too many values.");
    return value;
  }

  #refuse(path: Path, message: string): symbol {
    this.problems.push({ path, message });
    return REFUSED;
  }
}

function isNested(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Why an object is no plain map and no plain list. */
function findFault(value: object, open: ReadonlySet<object>, depth: number): string | undefined {
  if (types.isProxy(value)) return "Found a Proxy. Write a plain map or list.";
  if (open.has(value)) return "Found a value that is part of itself. Write each value out.";
  if (depth > MAX_DEPTH) return "The values are nested too deep.";
  const prototype: unknown = Object.getPrototypeOf(value);
  if (Array.isArray(value)) return prototype === Array.prototype ? undefined : describeClass(value);
  return prototype === Object.prototype || prototype === null ? undefined : describeClass(value);
}

/** Whether calling it gives an answer, or the promise of one. */
function isPlainFunction(value: Function): boolean {
  return !types.isGeneratorFunction(value) && !/^class\b/.test(Function.prototype.toString.call(value));
}

function describeClass(value: object): string {
  if (types.isPromise(value)) return 'Found a promise. Write "await" before it.';
  if (types.isMap(value)) return "Found a Map. Write a plain map of settings, as Object.fromEntries() makes it.";
  if (types.isSet(value)) return "Found a Set. Write a list, as in [...names].";
  // A date of TOML is one of Temporal.
  if (types.isDate(value) || Object.prototype.toString.call(value).startsWith("[object Temporal."))
    return "Found a date. Write a text, a number or a map of settings.";
  if (value instanceof URL) return "Found a URL object. Write the URL as a text, as its href is.";
  if (types.isRegExp(value)) return "Found a regular expression. Write a text.";
  return "Found an object of a class, or with inherited fields. Write a plain map or list.";
}

/** Whether `value` is a map of settings: no list, no null. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `value`, or an empty map when it is none. */
export function readRecord(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

/** `value`, or an empty list when it is none. */
export function readList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The text at `key` of a map; undefined for anything else. */
export function readText(value: unknown, key: string): string | undefined {
  const found = readRecord(value)[key];
  return typeof found === "string" ? found : undefined;
}
