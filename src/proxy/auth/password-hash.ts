/**
 * Bounds on what one verification may cost, so that a hash in a file cannot
 * stall the proxy: bcrypt at cost 14 takes about two seconds of a core, and
 * Argon2 with 256 MiB and ten passes about as much.
 */
const MAX_BCRYPT_COST = 14;
const MAX_ARGON2_MEMORY_KIB = 256 * 1024;
const MAX_ARGON2_PASSES = 10;
const MAX_ARGON2_LANES = 16;

const WANTED = 'Wanted is bcrypt ("htpasswd -B") or argon2id ("penstock passwd")';

/** What a stored password is. `problem` continues a sentence that begins with the user's name: it "has …". */
export type PasswordForm =
  { readonly kind: "bcrypt" | "argon2id" | "plain" } | { readonly kind: "refused"; readonly problem: string };

/**
 * Tells what a stored password is: a bcrypt hash (`$2a$`, `$2b$`, `$2y$`), an
 * Argon2id hash in PHC form, or plain text. A hash of another kind, a broken
 * one, and one that costs too much to verify are refused; so is the empty text.
 *
 * Passwords above 72 bytes never match a bcrypt hash made by Apache's
 * `htpasswd`, which truncates them: Bun hashes them with SHA-512 first.
 */
export function classifyPassword(stored: string): PasswordForm {
  if (stored === "") return refuse("has an empty password");
  if (/^\$2[aby]\$/.test(stored)) return classifyBcrypt(stored);
  if (stored.startsWith("$argon2id$")) return classifyArgon2id(stored);
  const other = /^(\$[A-Za-z0-9-]{1,16}\$|\{[A-Za-z0-9-]{1,16}\})/.exec(stored)?.[1];
  if (other === undefined) return isLikeHash(stored) ? refuse(DAMAGED) : { kind: "plain" };
  return refuse(`has a hash of the kind "${other}". ${WANTED}`);
}

const DAMAGED = "has what looks like a hash that lost its beginning";

/** Whether a text has the inner part of a hash: as a password in plain, the hash itself would let its reader in. */
function isLikeHash(stored: string): boolean {
  return /[0-9]\$[./A-Za-z0-9]{40,}$|argon2(?:id|i|d)?\$|v=19\$m=|m=[0-9]+,t=[0-9]+,p=[0-9]+\$/.test(stored);
}

/** 16 and 23 bytes in letters of 6 bits: the bits that are left over are 0, and Bun refuses others. */
const BCRYPT = /^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{30}[.CGKOSWaeimquy26]$/;

function classifyBcrypt(stored: string): PasswordForm {
  const cost = BCRYPT.exec(stored)?.[1];
  if (cost === undefined || Number(cost) < 4) return refuse("has a bcrypt hash that is cut short or damaged");
  if (Number(cost) > MAX_BCRYPT_COST)
    return refuse(`has a bcrypt hash of cost ${Number(cost)}. Wanted is at most ${MAX_BCRYPT_COST}`);
  return { kind: "bcrypt" };
}

function classifyArgon2id(stored: string): PasswordForm {
  const match =
    /^\$argon2id\$v=19\$m=([1-9][0-9]{0,9}),t=([1-9][0-9]{0,9}),p=([1-9][0-9]{0,9})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(
      stored,
    );
  if (match === null || !isCanonicalBase64(match[4], 8) || !isCanonicalBase64(match[5], 16)) {
    return refuse("has an argon2id hash that is cut short, damaged, or not of version 19");
  }
  const [memory, passes, lanes] = match.slice(1, 4).map(Number) as [number, number, number];
  if (memory > MAX_ARGON2_MEMORY_KIB || passes > MAX_ARGON2_PASSES || lanes > MAX_ARGON2_LANES) {
    return refuse(
      `has an argon2id hash with m=${memory},t=${passes},p=${lanes}. Wanted is at most m=${MAX_ARGON2_MEMORY_KIB} (256 MiB), t=${MAX_ARGON2_PASSES} and p=${MAX_ARGON2_LANES}`,
    );
  }
  // RFC 9106 §3.1: at least 8 KiB for each lane.
  if (memory < 8 * lanes)
    return refuse(`has an argon2id hash with m=${memory},p=${lanes}. Wanted is m of at least 8 times p`);
  return { kind: "argon2id" };
}

/** Unpadded, no stray bits at the end, between `atLeast` and 64 bytes. */
function isCanonicalBase64(text: string | undefined, atLeast: number): boolean {
  if (text === undefined) return false;
  const bytes = Buffer.from(text, "base64");
  return bytes.length >= atLeast && bytes.length <= 64 && bytes.toString("base64").replace(/=+$/, "") === text;
}

function refuse(problem: string): PasswordForm {
  return { kind: "refused", problem };
}
