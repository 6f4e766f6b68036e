import type * as z from "zod";

import { duration, either, hook, list, secret, settings, text, unquoted, word } from "./fields.ts";

/** Decides whether a user may enter. Throwing, or taking longer than `timeouts.hook`, denies. */
export type VerifyUser = (name: string, password: string) => boolean | Promise<boolean>;

/** What RFC 7617 §2 lets a user name be, in a length that logs can bear. */
function findNameFault(name: string): string | undefined {
  if (name.includes(":")) return "has a colon, which ends a user name. Write a name without";
  if (/\p{Cc}/u.test(name)) return "has control characters. Write a name without";
  if (name.length > 255) return "is longer than 255 characters. Write a shorter name";
  return undefined;
}

// Users are often written as "name:password" first, wherever a name or a map is wanted: nothing here is quoted.
const user = settings(
  {
    name: text("a user name", findNameFault, unquoted).describe("User name, without a colon."),
    password: secret().describe("An argon2id or bcrypt hash as `penstock passwd` prints it, or the password in plain."),
  },
  "a map with name and password",
  unquoted,
);

const wanted = 'a list of { name, password }, { file: "users.htpasswd" } or a function';

export const usersSchema = either(
  wanted,
  [
    list(user, wanted, unquoted),
    settings({
      file: text("the path of a file").describe(
        "Path of an htpasswd file with argon2id or bcrypt hashes, relative to the configuration file. It is read again when it changes.",
      ),
    }),
    hook<VerifyUser>(wanted, unquoted),
  ],
  unquoted,
)
  .describe(
    "Who may use the proxy: a list, an htpasswd file, or a function `(name, password) => boolean`, possibly async. Without it nobody is asked for credentials.",
  )
  .optional();

export const authSchema = settings({
  schemes: list(word(["basic", "digest"]), "a list of schemes")
    .describe(
      "How HTTP clients may prove who they are, the preferred one first. `digest` (RFC 7616) works only for users whose password the configuration has in plain.",
    )
    .default(["basic"]),
  realm: text("a realm", (value) =>
    /^[\x20-\x7e]{1,128}$/.test(value) && !/["\\]/.test(value)
      ? undefined
      : "has characters that a realm cannot have. Write printable ASCII without quotes and backslashes",
  )
    .describe("The realm that clients show when they ask for a password.")
    .default("penstock"),
  cacheTtl: duration({ zero: true })
    .describe(
      'How long a verified password is remembered (as a keyed hash), so that its costly hash is not computed for each connection; `"0"` for never.',
    )
    .default("5m"),
})
  .describe("How users are asked.")
  .prefault({});

export type UserSettings = z.output<typeof user>;
