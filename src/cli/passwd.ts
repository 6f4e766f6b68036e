import { resolve } from "node:path";

import { formatJson } from "../escape-text.ts";
import { putUserLine } from "./change-users-file.ts";
import { createCommand } from "./command.ts";
import { type CliIo, endWith, exitCodes } from "./io.ts";
import { findUnread } from "./judge-files.ts";
import { showProgress } from "./progress.ts";
import { isPassword, isUserName } from "../proxy/auth/user-store.ts";

/** 19 MiB and two passes: what OWASP's Password Storage Cheat Sheet asks of Argon2id at least. */
const hashing = {
  algorithm: "argon2id",
  memoryCost: 19_456,
  timeCost: 2,
} as const;

/** `penstock passwd [NAME]`: the line for an htpasswd file, in it or printed, or the hash for the configuration. */
export const passwd = createCommand({
  name: "passwd",
  description: "Read a password, from the terminal or from standard input, and print its hash or put it into a file.",
  examples: [["penstock passwd --file users.htpasswd alice", "Set the password of a user."]],
  args: {
    file: {
      type: "string",
      valueHint: "FILE",
      description: "htpasswd file to put the line of the user into, in the place of the one that is there.",
    },
    json: { type: "boolean", description: "Print JSON: name and hash, or name, file and whether a line was replaced." },
    name: {
      type: "positional",
      required: false,
      description: "User name. With it the output is a line for an htpasswd file, without it the hash alone.",
    },
  },
  async run({ value, has, io }) {
    const name = value("name");
    const file = value("file");
    const wrong = name === undefined ? undefined : findNameFault(name);
    if (wrong !== undefined || (file !== undefined && name === undefined))
      return endWith(io, wrong ?? "--file needs the NAME of a user.", exitCodes.usage);
    const password = await readNewPassword(io);
    if (password === undefined) return exitCodes.failure;
    const hash = await showProgress(
      io,
      () => "Hashing the password",
      () => Bun.password.hash(password, hashing),
    );
    if (file !== undefined && name !== undefined) return putIntoFile({ file, name, hash, json: has("json") }, io);
    if (has("json")) {
      await io.print(`${formatJson({ ...(name !== undefined && { name }), hash }, 2)}\n`);
      return exitCodes.ok;
    }
    await io.print(`${name === undefined ? "" : `${name}:`}${hash}\n`);
    return exitCodes.ok;
  },
});

interface Line {
  readonly file: string;
  readonly name: string;
  readonly hash: string;
  readonly json: boolean;
}

async function putIntoFile({ file, name, hash, json }: Line, io: CliIo): Promise<number> {
  const path = resolve(io.folder, file);
  const put = await putUserLine(path, name, `${name}:${hash}`);
  const unread = put.ok ? findUnread(path, io.machine) : undefined;
  if (unread !== undefined) io.tell(`Warning: ${unread}`);
  if (put.ok && json) {
    await io.print(`${formatJson({ name, file, replaced: put.replaced }, 2)}\n`);
    return exitCodes.ok;
  }
  io.tell(
    put.ok ? `${put.replaced ? "Replaced the" : "Added a"} line of ${JSON.stringify(name)} in ${file}.` : put.message,
  );
  return put.ok ? exitCodes.ok : exitCodes.failure;
}

/** Why a name cannot begin a line of an htpasswd file. It may be a password in the wrong place: it is not repeated. */
function findNameFault(name: string): string | undefined {
  if (!isUserName(name)) return "That is not a user name. Write up to 255 bytes without colon or control characters.";
  return name.startsWith("#") || name.trim() !== name
    ? 'A line of an htpasswd file cannot begin with that name. Write one without "#" or a space at its beginning or end.'
    : undefined;
}

/** Asks once, or twice where a person can mistype. Undefined, and told why, when there is none to use. */
async function readNewPassword(io: CliIo): Promise<string | undefined> {
  const password = await io.readPassword("Password: ");
  const fault = findFault(password);
  if (fault !== undefined) {
    io.tell(fault);
    return undefined;
  }
  if (!io.interactive) return password;
  if ((await io.readPassword("Again: ")) === password) return password;
  io.tell("The two passwords differ. Run the command again.");
  return undefined;
}

function findFault(password: string | undefined): string | undefined {
  if (password === undefined) return "There is no password. Nothing was done.";
  if (password === "") return "The password is empty. Write at least one character.";
  if (!isPassword(password)) return "The password has control characters, which no client can send. Write one without.";
  return undefined;
}
