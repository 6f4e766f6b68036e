import type * as z from "zod";

import { UserNames } from "../protocol/user-parameters.ts";
import { exemptSchema } from "./exempt-schema.ts";
import { duration, list, settings, text, word } from "./fields.ts";
import { checked, MALFORMED, type Parts, readWhole } from "./parts.ts";
import { type Problem, quoteValue } from "./problem.ts";
import { findHiddenUser, type UsersSettings } from "./users-schema.ts";

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
  exempt: exemptSchema,
  cacheTtl: duration({ zero: true })
    .describe(
      'How long the proxy keeps a verified password (as a keyed hash), which saves the costly hash of each connection; `"0"` for never.',
    )
    .default("5m"),
})
  .describe("Authentication of users.")
  .prefault({});

type AuthSettings = z.output<typeof authSchema>;
