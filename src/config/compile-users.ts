import { parseHtpasswdInSteps } from "../proxy/auth/htpasswd.ts";
import { askWebhook } from "../proxy/hook/webhook.ts";
import type { Secret } from "../secret.ts";
import { UserNames } from "../protocol/user-parameters.ts";
import {
  createFunctionStore,
  createStoreInSteps,
  type UserCheck,
  type UserEntry,
  type UserStore,
} from "../proxy/auth/user-store.ts";
import { isStep, runAtOnce, type Steps } from "../steps.ts";
import type { Materials } from "./materials.ts";
import { type Checked, type Problem, quoteNamed, quoteValue } from "./problem.ts";
import { findSecret } from "./secrets.ts";
import type { Config } from "./schema.ts";
import { compileTokenUsers } from "./token-users-schema.ts";
import { compileWebhook } from "./webhook-schema.ts";
import { findHiddenUser, type UserSettings } from "./users-schema.ts";

/** Compiles the users; undefined when the proxy asks for no credentials. `parameters` are those of user names. */
export function compileUsers(
  users: Config["users"],
  materials: Materials,
  parameters: readonly string[] = [],
  hookMs = 5000,
): Checked<UserStore | undefined> {
  return runAtOnce(compileUsersInSteps(users, materials, parameters, hookMs));
}

/** `compileUsers`, in steps. */
export function* compileUsersInSteps(
  users: Config["users"],
  materials: Materials,
  parameters: readonly string[] = [],
  hookMs = 5000,
): Steps<Checked<UserStore | undefined>> {
  if (users === undefined) return { ok: true, value: undefined };
  if (typeof users === "function") return { ok: true, value: createFunctionStore(users) };
  if ("jwks" in users) return compileTokenUsers(users, materials, parameters);
  if ("url" in users) {
    const { webhook, problems } = compileWebhook(users, { path: ["users"], timeoutMs: hookMs, materials });
    if (problems.length > 0) return { ok: false, problems };
    const check: UserCheck = (user, password, shown) => askWebhook(webhook, { user, password, parameters: shown });
    return { ok: true, value: createFunctionStore(check) };
  }
  if (Array.isArray(users)) return yield* compileUserList(users, materials);
  const text = materials.files.get(users.file);
  // A file that cannot be read is reported already. Without it the proxy admits nobody.
  return text === undefined ? { ok: false, problems: [] } : yield* compileFileInSteps(users.file, text, parameters);
}

/** Compiles the text of an htpasswd file. `file` is its path as written. */
export function compileUserFile(file: string, text: string, parameters: readonly string[] = []): Checked<UserStore> {
  return runAtOnce(compileFileInSteps(file, text, parameters));
}

function* compileFileInSteps(file: string, text: string, parameters: readonly string[]): Steps<Checked<UserStore>> {
  const parsed = yield* parseHtpasswdInSteps(text);
  const hidden = parsed.ok ? yield* findHiddenUsers(file, parsed.users, parameters) : [];
  if (hidden.length > 0) return { ok: false, problems: hidden };
  const result = parsed.ok ? yield* createStoreInSteps(parsed.users) : parsed;
  if (result.ok) return { ok: true, value: result.store };
  const problems = result.problems.map((problem): Problem => ({
    path: ["users", "file"],
    message: `${quoteValue(file)}${"line" in problem ? `, line ${problem.line}` : ""}: ${problem.message}`,
  }));
  return { ok: false, problems };
}

function* findHiddenUsers(file: string, users: readonly UserEntry[], parameters: readonly string[]): Steps<Problem[]> {
  const names = new UserNames(parameters);
  const problems: Problem[] = [];
  if (parameters.length === 0) return problems;
  for (const [at, { name }] of users.entries()) {
    if (isStep(at)) yield;
    const fault = findHiddenUser(names, name);
    if (fault === undefined) continue;
    problems.push({ path: ["users", "file"], message: `${quoteValue(file)}, ${quoteNamed("user", name)}: ${fault}` });
  }
  return problems;
}

function* compileUserList(users: readonly UserSettings[], materials: Materials): Steps<Checked<UserStore>> {
  const entries: { name: string; password: Secret }[] = [];
  const positions: number[] = [];
  const names = new Set<string>();
  for (const [at, { name, password: source }] of users.entries()) {
    if (isStep(at)) yield;
    const password = findSecret(source, materials);
    // A missing source of the password and a second user of one name are reported already.
    if (password === undefined || names.has(name)) continue;
    names.add(name);
    entries.push({ name, password });
    positions.push(at);
  }
  const result = yield* createStoreInSteps(entries);
  if (result.ok) return { ok: true, value: result.store };
  const problems = result.problems
    // The schema checks names; passwords are known only now.
    .map((problem): Problem => ({
      path: ["users", positions[problem.index] ?? 0, "password"],
      message: problem.message,
    }));
  return { ok: false, problems };
}
