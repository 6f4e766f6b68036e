import type * as z from "zod";

import { UserNames, type UserParameters } from "../protocol/user-parameters.ts";
import { duration, either, hook, list, secret, settings, text, unquoted, word } from "./fields.ts";
import { ownLimitsSchema } from "./limits-schema.ts";
import { checked, MALFORMED, type Parts, readWhole } from "./parts.ts";
import { type Problem, quoteNamed, quoteValue } from "./problem.ts";
import { suggest } from "./suggest.ts";

/** Verifies a user. Throwing, or taking longer than `timeouts.hook`, denies. */
export type VerifyUser = (
  name: string,
  password: string,
  /** The parameters in the user name (`auth.parameters`), by name. */
  parameters: UserParameters,
) => boolean | Promise<boolean>;

/** RFC 7617 §2, and a length that fits into logs. */
export function findNameFault(name: string): string | undefined {
  if (name.includes(":")) return "has a colon, which ends a user name. Write a name without";
  if (/\p{Cc}/u.test(name)) return "has control characters. Write a name without";
  if (name.length > 255) return "is longer than 255 characters. Write a shorter name";
  return undefined;
}

// Many write "name:password" where a name or a map is wanted, so that messages quote nothing here.
const user = settings(
  {
    name: text("a user name", findNameFault, unquoted).describe("User name, without a colon."),
    password: secret().describe("An argon2id or bcrypt hash as `penstock passwd` prints it, or the password in plain."),
    limits: ownLimitsSchema,
  },
  "a map with name and password",
  unquoted,
);

function findDuplicates(users: readonly Parts<UserSettings>[]): Problem[] {
  const seen = new Set<string>();
  const problems: Problem[] = [];
  for (const [at, entry] of users.entries()) {
    if (entry === MALFORMED || entry.name === MALFORMED) continue;
    const { name } = entry;
    if (seen.has(name))
      problems.push({
        path: [at, "name"],
        message: `Found the ${quoteNamed("user", name)} twice. Write each user once.`,
      });
    seen.add(name);
  }
  return problems;
}

const wanted = 'a list of { name, password }, { file: "users.htpasswd" } or a function';

export const usersSchema = either(
  wanted,
  [
    checked(list(user, wanted, unquoted), findDuplicates),
    settings({
      file: text("the path of a file").describe(
        "Path of an htpasswd file with argon2id or bcrypt hashes, relative to the configuration file. The proxy reads it again when it changes.",
      ),
    }),
    hook<VerifyUser>(wanted, unquoted),
  ],
  unquoted,
)
  .describe(
    "Who may use the proxy: a list, an htpasswd file, or a function `(name, password, parameters) => boolean`, possibly async. Without it the proxy asks for no credentials.",
  )
  .optional();

/** Parameters at most: a user name has room for no more. */
const MAX_PARAMETERS = 16;

function findParameterFault(name: string): string | undefined {
  if (!/^[a-z][a-z0-9_]{0,31}$/.test(name))
    return "is no name of a parameter. Write up to 32 lower-case letters, digits or underscores, a letter first";
  return name === "user" ? "stands for the user itself. Choose another name" : undefined;
}

function findParameterConflicts(names: readonly Parts<string>[]): Problem[] {
  const problems = names.flatMap((name, at) =>
    name !== MALFORMED && names.indexOf(name) < at
      ? { path: [at], message: `Found ${quoteValue(name)} twice. Write each name once.` }
      : [],
  );
  const message = `Found ${names.length} names. Write at most ${MAX_PARAMETERS}.`;
  return names.length > MAX_PARAMETERS ? [...problems, { path: [], message }] : problems;
}

/**
 * Finds what contradicts the parameters of user names: nobody who could send them, and users whose
 * own name would be read as another user with parameters. Paths begin at the top.
 */
export function findParametersConflicts(users: Parts<UsersSettings>, auth: Parts<AuthSettings>): Problem[] {
  const parameters = auth === MALFORMED ? undefined : readWhole(auth.parameters);
  if (parameters === undefined || users === MALFORMED) return [];
  if (users === undefined)
    return [{ path: ["auth", "parameters"], message: 'The proxy asks nobody for a user name. Set "users" too.' }];
  if (!Array.isArray(users)) return [];
  const names = new UserNames(parameters);
  return users.flatMap((each, at) => {
    const fault = each === MALFORMED || each.name === MALFORMED ? undefined : findHiddenUser(names, each.name);
    return fault === undefined ? [] : [{ path: ["users", at, "name"], message: fault }];
  });
}

/** Says why no client can be the user of that name, when its name ends as one with parameters does. */
export function findHiddenUser(names: UserNames, name: string): string | undefined {
  const read = names.read(name);
  return read.ok && read.parameters === undefined
    ? undefined
    : 'The name ends in a parameter of "auth.parameters", so that it would be taken for another user. Change one of them.';
}

export const authSchema = settings({
  schemes: list(word(["basic", "digest"]), "a list of schemes")
    .describe(
      "Authentication schemes for HTTP clients, the preferred one first. `digest` (RFC 7616) works only for users whose password the configuration has in plain.",
    )
    .default(["basic"]),
  realm: text("a realm", (value) =>
    /^[\x20-\x7e]{1,128}$/.test(value) && !/["\\]/.test(value)
      ? undefined
      : "has characters that a realm cannot have. Write printable ASCII without quotes and backslashes",
  )
    .describe("The realm that clients show when they ask for a password.")
    .default("penstock"),
  parameters: checked(
    list(
      text("a name", findParameterFault).describe("A name: lower-case letters, digits and underscores."),
      'a list of names such as ["session", "country"]',
    ),
    findParameterConflicts,
  )
    .describe(
      'Names of parameters that clients may add to their user name: with `["session", "country"]`, `alice-session-a1-country-de` is the user `alice` with two parameters, for rules, functions and the `username` of upstreams. The password is that of `alice`. Values have up to 64 letters, digits, dots and underscores. A name that is not in this list is part of the user name. Default: none.',
    )
    .optional(),
  cacheTtl: duration({ zero: true })
    .describe(
      'How long the proxy keeps a verified password (as a keyed hash), which saves the costly hash of each connection; `"0"` for never.',
    )
    .default("5m"),
})
  .describe("Authentication of users.")
  .prefault({});

type AuthSettings = z.output<typeof authSchema>;

export type UserSettings = z.output<typeof user>;

export type UsersSettings = z.output<typeof usersSchema>;

/** A suggestion compares a name with every user. After this many the rest come without one. */
const MAX_SUGGESTIONS = 20;

/** Gives what is wrong with a name in the `users` of a rule; undefined for a known one, or when only a file or a function knows the users. */
export function explainUnknownUsers(users: Parts<UsersSettings>): (name: string) => string | undefined {
  if (users !== undefined && !Array.isArray(users)) return () => undefined;
  let known: ReadonlySet<string> | undefined;
  let suggested = 0;
  return (name) => {
    // Most configurations have no users in rules.
    const names = (known ??= new Set(
      (users ?? []).flatMap((each) => (each === MALFORMED || each.name === MALFORMED ? [] : each.name)),
    ));
    if (names.has(name)) return undefined;
    const missing = `There is no ${quoteNamed("user", name)}`;
    if (users === undefined) return `${missing}: the proxy asks for no credentials. Set "users".`;
    suggested++;
    return `${missing}.${suggested <= MAX_SUGGESTIONS ? suggest(name, names) : ""}`;
  };
}
