import { isPassword, isUserName } from "../proxy/auth/credential-text.ts";
import { createCommand } from "./command.ts";
import { type CliIo, exitCodes } from "./io.ts";

/** 19 MiB and two passes: what OWASP's Password Storage Cheat Sheet asks of Argon2id at least. */
const hashing = {
  algorithm: "argon2id",
  memoryCost: 19_456,
  timeCost: 2,
} as const;

/** `penstock passwd [NAME]`: the line for an htpasswd file, or the hash for the configuration. */
export const passwd = createCommand({
  name: "passwd",
  description: "Read a password, from the terminal or from standard input, and print its hash.",
  args: {
    name: {
      type: "positional",
      required: false,
      description: "User name. With it the output is a line for an htpasswd file, without it the hash alone.",
    },
  },
  async run({ value, io }) {
    const name = value("name");
    if (name !== undefined && !isUserName(name)) {
      io.tell(`${JSON.stringify(name)} is not a user name. Write up to 255 bytes without colon or control characters.`);
      return exitCodes.usage;
    }
    const password = await readNewPassword(io);
    if (password === undefined) return exitCodes.failure;
    const hash = await Bun.password.hash(password, hashing);
    await io.print(`${name === undefined ? "" : `${name}:`}${hash}\n`);
    return exitCodes.ok;
  },
});

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
  if (password === undefined) return "There is no password. Nothing was printed.";
  if (password === "") return "The password is empty. Write at least one character.";
  if (!isPassword(password)) return "The password has control characters, which no client can send. Write one without.";
  return undefined;
}
