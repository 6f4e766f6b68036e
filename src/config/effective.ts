import { hideUserinfo } from "./problem.ts";
import { isRecord } from "./raw.ts";
import type { Config } from "./schema.ts";

const REDACTED = "[redacted]";

/**
 * The configuration as it holds, for people: defaults filled in, secrets as
 * `[redacted]`, functions as `[function]`. Plain JSON.
 */
export function describeEffective(config: Config, access: string): Readonly<Record<string, unknown>> {
  const { $schema: _, ...settings } = config;
  const filled = {
    ...settings,
    default: config.default ?? nameDefault(config.upstream),
    log: { ...config.log, access },
  };
  return redact(filled) as Readonly<Record<string, unknown>>;
}

/** Settings whose value is a secret wherever they are. Where it comes from is none. */
const secretSettings = ["password", "token"];

/** Whether a text is a secret at that setting: a user with a colon may be written with the password. */
function isSecret(key: string, text: string): boolean {
  return secretSettings.includes(key) || (key === "username" && text.includes(":"));
}

function redact(value: unknown): unknown {
  if (typeof value === "function") return "[function]";
  if (typeof value === "string") return hideUserinfo(value);
  if (Array.isArray(value)) return value.map(redact);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [
      key,
      typeof entry === "string" && isSecret(key, entry) ? REDACTED : redact(entry),
    ]),
  );
}

function nameDefault(upstream: Config["upstream"]): string {
  if (upstream === undefined) return "direct";
  return upstream === "environment" ? upstream : "upstream";
}
