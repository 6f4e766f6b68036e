import { parseHtpasswd } from "../proxy/auth/htpasswd.ts";
import type { Secret } from "../secret.ts";
import { UserNames } from "../protocol/user-parameters.ts";
import { createFunctionStore, createUserStore, type UserEntry, type UserStore } from "../proxy/auth/user-store.ts";
import type { Materials } from "./materials.ts";
import { type Checked, type Problem, quoteNamed, quoteValue } from "./problem.ts";
import { findSecret } from "./secrets.ts";
import type { Config } from "./schema.ts";
import { findHiddenUser, type UserSettings } from "./users-schema.ts";

/** Compiles the users; undefined when the proxy asks for no credentials. `parameters` are those of user names. */
export function compileUsers(
  users: Config["users"],
  materials: Materials,
  parameters: readonly string[] = [],
): Checked<UserStore | undefined> {
  if (users === undefined) return { ok: true, value: undefined };
  if (typeof users === "function") return { ok: true, value: createFunctionStore(users) };
  if (Array.isArray(users)) return compileUserList(users, materials);
  const text = materials.files.get(users.file);
  // A file that cannot be read is reported already. Without it the proxy admits nobody.
  return text === undefined ? { ok: false, problems: [] } : compileUserFile(users.file, text, parameters);
}

/** Compiles the text of an htpasswd file. `file` is its path as written. */
export function compileUserFile(file: string, text: string, parameters: readonly string[] = []): Checked<UserStore> {
  const parsed = parseHtpasswd(text);
  const hidden = parsed.ok ? findHiddenUsers(file, parsed.users, parameters) : [];
  if (hidden.length > 0) return { ok: false, problems: hidden };
  const result = parsed.ok ? createUserStore(parsed.users) : parsed;
  if (result.ok) return { ok: true, value: result.store };
  const problems = result.problems.map((problem): Problem => ({
    path: ["users", "file"],
    message: `${quoteValue(file)}${"line" in problem ? `, line ${problem.line}` : ""}: ${problem.message}`,
  }));
  return { ok: false, problems };
}

function findHiddenUsers(file: string, users: readonly UserEntry[], parameters: readonly string[]): Problem[] {
  const names = new UserNames(parameters);
  return users.flatMap(({ name }) => {
    const fault = findHiddenUser(names, name);
    if (fault === undefined) return [];
    return { path: ["users", "file"], message: `${quoteValue(file)}, ${quoteNamed("user", name)}: ${fault}` };
  });
}

function compileUserList(users: readonly UserSettings[], materials: Materials): Checked<UserStore> {
  const entries: { name: string; password: Secret }[] = [];
  const positions: number[] = [];
  const names = new Set<string>();
  for (const [at, { name, password: source }] of users.entries()) {
    const password = findSecret(source, materials);
    // A missing source of the password and a second user of one name are reported already.
    if (password === undefined || names.has(name)) continue;
    names.add(name);
    entries.push({ name, password });
    positions.push(at);
  }
  const result = createUserStore(entries);
  if (result.ok) return { ok: true, value: result.store };
  const problems = result.problems
    // The schema checks names; passwords are known only now.
    .map((problem): Problem => ({
      path: ["users", positions[problem.index] ?? 0, "password"],
      message: problem.message,
    }));
  return { ok: false, problems };
}
