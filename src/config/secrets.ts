import { isStep, runAtOnce, type Steps } from "../steps.ts";
import { Secret } from "../secret.ts";
import type { SecretSource } from "./fields.ts";
import type { Materials } from "./materials.ts";
import { isRecord } from "./plain-data.ts";
import { hideUserinfo } from "./problem.ts";

/** Settings whose value is a secret, or says where it is. */
const secretSettings: ReadonlySet<string> = new Set(["password", "token", "hmac"]);
/** Maps from names to secrets. */
const secretMaps: ReadonlySet<string> = new Set(["headers"]);

/** What the values of a map are called in this place: by their own names, unless each of them is a secret. */
export function nameEntry(map: string, name: string): string {
  // Of a rule: values for fields are often credentials.
  if (map === "request" && (name === "set" || name === "replace")) return "headers";
  return secretMaps.has(map) ? "token" : name;
}

/** The secret itself; undefined when there is none, or when its variable or file is missing, which is reported already. */
export function findSecret(source: SecretSource | undefined, materials: Materials | undefined): Secret | undefined {
  const text = findSecretText(source, materials);
  return text === undefined || text === "" ? undefined : new Secret(text);
}

function findSecretText(source: SecretSource | undefined, materials: Materials | undefined): string | undefined {
  if (source === undefined || typeof source === "string") return source;
  if (source.env !== undefined) return materials?.variables[source.env];
  if (source.file === undefined) return undefined;
  return materials?.files.get(source.file)?.replace(/\r?\n$/, "");
}

/**
 * Finds, in steps, every secret of a checked configuration: values of settings that
 * hold one, and passwords in URLs, those of conventional variables included.
 */
export function* listSecrets(config: object, materials: Materials): Steps<string[]> {
  const found = new Set<string>();
  function* visit(value: unknown, setting: string): Steps<void> {
    if (secretSettings.has(setting) && (typeof value === "string" || isRecord(value))) {
      const secret = findSecret(value, materials)?.reveal();
      if (secret !== undefined) found.add(secret);
    } else if (typeof value === "string") {
      for (const secret of listPasswords(value)) found.add(secret);
    } else if (Array.isArray(value)) {
      for (const [at, element] of value.entries()) {
        if (isStep(at)) yield;
        yield* visit(element, setting);
      }
    } else if (isRecord(value)) {
      for (const [name, element] of Object.entries(value)) yield* visit(element, nameEntry(setting, name));
    }
  }
  yield* visit(config, "");
  yield* visit(materials.variables, "");
  return [...found].filter((secret) => secret !== "");
}

/** The password of a URL as it is written, and as it is meant. */
function listPasswords(url: string): string[] {
  const [, password] = /^[a-z][a-z0-9+.-]*:\/\/[^:/]*:(.*)@/is.exec(url) ?? [];
  if (password === undefined) return [];
  try {
    return [password, decodeURIComponent(password)];
  } catch {
    return [password];
  }
}

/** A value for people, as plain JSON: secrets as `[redacted]`, functions as `[function]`. */
export function redact(value: unknown, setting = ""): unknown {
  return runAtOnce(redactInSteps(value, setting));
}

/** `redact`, in steps. */
export function* redactInSteps(value: unknown, setting = ""): Steps<unknown> {
  if (typeof value === "function") return "[function]";
  if (typeof value === "string") {
    // A user with a colon may have been written with the password.
    const isSecret = secretSettings.has(setting) || (setting === "username" && value.includes(":"));
    return isSecret ? "[redacted]" : hideInUrl(value);
  }
  if (Array.isArray(value)) {
    const list: unknown[] = [];
    for (const element of value) {
      list.push(typeof element === "string" ? hideInUrl(element) : yield* redactInSteps(element));
      if (isStep(list.length)) yield;
    }
    return list;
  }
  if (!isRecord(value)) return value;
  const map: [string, unknown][] = [];
  for (const [name, element] of Object.entries(value))
    map.push([name, yield* redactInSteps(element, nameEntry(setting, name))]);
  return Object.fromEntries(map);
}

/** Hides what may be a secret in a URL: credentials, and the query, where signed URLs have theirs. */
function hideInUrl(text: string): string {
  return hideUserinfo(text).replace(/^(https?:\/\/[^?#]*\?).+/is, "$1[redacted]");
}
