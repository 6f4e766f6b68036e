import { describeJsonSchema, isSecret, type JsonSchema } from "./json-schema.ts";
import { isRecord, readList, readRecord } from "./plain-data.ts";

/** Names of settings, by what a message may show of their values. */
export interface SettingNames {
  readonly all: ReadonlySet<string>;
  /** Nothing at or below them is shown. */
  readonly secret: ReadonlySet<string>;
  /** Their values are shown, in forms that cannot carry credentials. */
  readonly open: ReadonlySet<string>;
}

/** Settings whose values are not secrets by their type, and say who somebody is or how they get in. */
const personal = ["users", "user", "username", "logins", "headers", "redis", "env", "$schema"];

/** Collects the names from the schema. A name that is a secret anywhere is one everywhere. */
export function listSettingNames(): SettingNames {
  const all = new Set<string>();
  const secret = new Set<string>(personal);
  const visit = (schema: JsonSchema): void => {
    for (const [name, written] of Object.entries(readRecord(schema["properties"]))) {
      const setting = readRecord(written);
      all.add(name);
      const values = readRecord(setting["additionalProperties"]);
      const isRequest = name === "set" || name === "replace";
      if (isSecret(setting) || isSecret(values) || isRequest) secret.add(name);
      else visit(setting);
    }
    for (const inner of [schema["items"], schema["additionalProperties"], ...readList(schema["anyOf"])])
      if (isRecord(inner)) visit(inner);
  };
  visit(describeJsonSchema());
  return { all, secret, open: all.difference(secret) };
}
