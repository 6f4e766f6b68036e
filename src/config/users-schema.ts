import type * as z from "zod";

import type { UserNames, UserParameters } from "../protocol/user-parameters.ts";
import { either, hook, list, secret, settings, text, unquoted } from "./fields.ts";
import { ownLimitsSchema } from "./limits-schema.ts";
import { checked, MALFORMED, type Parts } from "./parts.ts";
import { type Problem, quoteNamed } from "./problem.ts";
import { tokenUsersSchema } from "./token-users-schema.ts";
import { webhookSchema } from "./webhook-schema.ts";
import { namedSecrets, type References, serverReferences } from "./references.ts";
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

const wanted =
  'a list of { name, password }, { file: "users.htpasswd" }, { url: "https://…" }, { jwks: "https://…", issuer, audience } or a function';

export const usersSchema = either(
  wanted,
  [
    checked(list(user, wanted, unquoted), findDuplicates),
    webhookSchema,
    tokenUsersSchema,
    settings({
      file: text("the path of a file").describe(
        "Path of an htpasswd file with argon2id or bcrypt hashes, relative to the configuration file. The proxy reads it again when it changes.",
      ),
    }),
    hook<VerifyUser>("VerifyUser", wanted, unquoted),
  ],
  unquoted,
  [undefined, "url", "jwks", "file"],
)
  .describe(
    'Who may use the proxy: a list, an htpasswd file, a webhook, tokens, or a function `(name, password, parameters) => boolean`, possibly async. A webhook gets `{ "user", "password", "parameters" }` as JSON and answers with status 200 and `{ "allow": true }` or `{ "allow": false }`; anything else refuses the client (`hook_failed`). At most 64 are asked at once, shared fairly among clients. With `jwks` users show a signed token (JWT): as `Proxy-Authorization: Bearer TOKEN`, or as the password of Basic or SOCKS5 beside the user name of the token or `token`. Without it the proxy asks for no credentials.',
  )
  .optional();

/** A file of all users is no secret of one of them. */
export const usersReferences: References = {
  ...serverReferences,
  parts: { ...serverReferences.parts, file: "users", claims: namedSecrets },
};

/** Says why no client can be the user of that name, when its name ends as one with parameters does. */
export function findHiddenUser(names: UserNames, name: string): string | undefined {
  const read = names.read(name);
  return read.ok && read.parameters === undefined
    ? undefined
    : 'The name ends in a parameter of "auth.parameters", so that it would be taken for another user. Change one of them.';
}

export type UserSettings = z.output<typeof user>;

export type UsersSettings = z.output<typeof usersSchema>;

/** A suggestion compares a name with every user. After this many the rest come without one. */
const MAX_SUGGESTIONS = 20;

/** Gives what is wrong with a name in the `users` of a rule; undefined for a known one, or when only a file or a function knows the users. */
export function explainUnknownUsers(
  users: Parts<UsersSettings>,
  others: readonly string[] = [],
): (name: string) => string | undefined {
  if (users !== undefined && !Array.isArray(users)) return () => undefined;
  let known: ReadonlySet<string> | undefined;
  let suggested = 0;
  return (name) => {
    // Most configurations have no users in rules.
    const names = (known ??= new Set([
      ...others,
      ...(users ?? []).flatMap((each) => (each === MALFORMED || each.name === MALFORMED ? [] : each.name)),
    ]));
    if (names.has(name)) return undefined;
    const missing = `There is no ${quoteNamed("user", name)}`;
    if (users === undefined) return `${missing}: the proxy asks for no credentials. Set "users".`;
    suggested++;
    return `${missing}.${suggested <= MAX_SUGGESTIONS ? suggest(name, names) : ""}`;
  };
}
