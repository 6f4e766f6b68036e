import { stat } from "node:fs/promises";
import { readTextFile } from "../config/read-file.ts";
import { isMinisignSignature, type MinisignKey, readMinisignKey, type Verified, verifyMinisign } from "./minisign.ts";
import { type Outcome, done, refuse } from "./refusal.ts";
import { isSshSignature, readSshKey, type SshKey, verifySsh } from "./ssh-signature.ts";

/** Where the operator keeps the key that upgrades must be signed with. */
export const KEPT_KEY = "/etc/penstock/upgrade.pub";

export type TrustedKey = MinisignKey | SshKey;

/**
 * Reads a file of public keys: that of minisign, and lines of OpenSSH, with or
 * without the principals of an `allowed_signers` file. A key in a line that is
 * not understood must not be trusted less or more than that line says, so such a
 * line is an error.
 */
export async function readTrustedKeys(path: string): Promise<Outcome<readonly TrustedKey[]>> {
  const read = await readTextFile(path, "secret");
  if (!read.ok) return refuse("key", `Cannot read the key ${path}: ${read.reason}.`);
  const { mode } = await stat(path);
  if (process.platform !== "win32" && (mode & 0o002) !== 0)
    return refuse("key", `Everybody may write to the key ${path}. Run: chmod o-w ${path}`);
  const keys = parseTrustedKeys(read.text);
  if (typeof keys === "string") return refuse("key", `Cannot use the key ${path}: ${keys}.`);
  return done(keys);
}

/** The keys in a text, or what is wrong with it; continues a sentence. */
export function parseTrustedKeys(text: string): readonly TrustedKey[] | string {
  const keys: TrustedKey[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#") || line.startsWith("untrusted comment:")) continue;
    const key = readMinisignKey(line) ?? readSshLine(line);
    if (key === undefined)
      return `line ${index + 1} is neither a public key of minisign (RW…) nor "ssh-ed25519 AAAA…" without options`;
    keys.push(key);
  }
  return keys.length === 0 ? "there is no key in it" : keys;
}

/** `ssh-ed25519 KEY COMMENT`, or `PRINCIPALS ssh-ed25519 KEY COMMENT`. */
function readSshLine(line: string): SshKey | undefined {
  const words = line.split(/[ \t]+/);
  const at = words.indexOf("ssh-ed25519");
  return at === 0 || at === 1 ? readSshKey(words[at + 1] ?? "") : undefined;
}

/** Verifies a signature of either kind with the keys of its kind. */
export function verifySignature(text: string, content: Uint8Array, keys: readonly TrustedKey[]): Verified {
  if (isMinisignSignature(text))
    return verifyMinisign(
      text,
      content,
      keys.filter((key) => key.kind === "minisign"),
    );
  if (isSshSignature(text))
    return verifySsh(
      text,
      content,
      keys.filter((key) => key.kind === "ssh"),
    );
  return { ok: false, reason: "is of neither minisign nor ssh-keygen" };
}

/** How the signatures of these keys are customarily named: what comes after the name of the file. */
export function listSignatureSuffixes(keys: readonly TrustedKey[]): readonly string[] {
  const kinds = new Set(keys.map(({ kind }) => kind));
  return [...(kinds.has("minisign") ? [".minisig"] : []), ...(kinds.has("ssh") ? [".sig"] : [])];
}
