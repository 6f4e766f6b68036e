/** Longest text in a state: names of targets, users and rules are shorter. */
const MAX_TEXT = 64 * 1024;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * Reads the fields of an object that another process wrote. A field that is
 * missing or of another type makes `ok` false, and reading goes on with a
 * substitute: look at `ok` before anything is used. Unknown fields are ignored.
 */
export class StateReader {
  ok = true;
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(value: unknown) {
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    this.#fields = isObject ? (value as Record<string, unknown>) : {};
    if (!isObject) this.ok = false;
  }

  text(name: string): string {
    return this.optionalText(name) ?? this.#refuse("");
  }

  optionalText(name: string): string | undefined {
    const value = this.#get(name);
    if (value === undefined) return undefined;
    return typeof value === "string" && value.length <= MAX_TEXT ? value : this.#refuse(undefined);
  }

  number(name: string): number {
    return this.optionalNumber(name) ?? this.#refuse(0);
  }

  optionalNumber(name: string): number | undefined {
    const value = this.#get(name);
    if (value === undefined) return undefined;
    return typeof value === "number" && Number.isFinite(value) ? value : this.#refuse(undefined);
  }

  /** A whole number from 0 to `most`. */
  count(name: string, most = Number.MAX_SAFE_INTEGER): number {
    return this.optionalCount(name, most) ?? this.#refuse(0);
  }

  optionalCount(name: string, most = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.optionalNumber(name);
    if (value === undefined) return undefined;
    return Number.isSafeInteger(value) && value >= 0 && value <= most ? value : this.#refuse(undefined);
  }

  has(name: string): boolean {
    return this.#get(name) !== undefined;
  }

  flag(name: string): boolean {
    const value = this.#get(name) ?? false;
    return typeof value === "boolean" ? value : this.#refuse(false);
  }

  /** One of some words. */
  optionalWord<Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const value = this.#get(name);
    if (value === undefined) return undefined;
    return words.find((word) => word === value) ?? this.#refuse(undefined);
  }

  texts(name: string): readonly string[] {
    const value = this.#get(name) ?? [];
    const isList = Array.isArray(value) && value.length <= MAX_TEXT && value.every((item) => typeof item === "string");
    return isList ? value : this.#refuse([]);
  }

  /** Texts by name, without prototype. */
  optionalMap(name: string): Readonly<Record<string, string>> | undefined {
    return this.optionalObject(name, (inner) => {
      const map = Object.create(null) as Record<string, string>;
      for (const key of Object.keys(inner.#fields)) map[key] = inner.text(key);
      return map;
    });
  }

  /** Bytes, written as base64. */
  optionalBytes(name: string): Uint8Array | undefined {
    const value = this.#get(name);
    if (value === undefined) return undefined;
    if (typeof value !== "string" || !BASE64.test(value)) return this.#refuse(undefined);
    return Buffer.from(value, "base64");
  }

  /** Reads an object inside this one; what it makes of it counts only when `ok` stays true. */
  optionalObject<Value>(name: string, read: (fields: StateReader) => Value): Value | undefined {
    const value = this.#get(name);
    if (value === undefined) return undefined;
    const fields = new StateReader(value);
    const result = read(fields);
    if (!fields.ok) this.ok = false;
    return result;
  }

  /** Reads text with a parser that gives undefined for what it refuses. */
  parsed<Value>(name: string, parse: (text: string) => Value | undefined): Value | undefined {
    const text = this.optionalText(name);
    return text === undefined ? undefined : (parse(text) ?? this.#refuse(undefined));
  }

  #get(name: string): unknown {
    return Object.hasOwn(this.#fields, name) ? this.#fields[name] : undefined;
  }

  #refuse<Value>(substitute: Value): Value {
    this.ok = false;
    return substitute;
  }
}
