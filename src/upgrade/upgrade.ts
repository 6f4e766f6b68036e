import { readFile } from "node:fs/promises";
import { compareVersions } from "./compare-versions.ts";
import { describeExecutable } from "./executable-format.ts";
import { addSuffix, nameOrigin, obtain, type Origin } from "./obtain.ts";
import { type Outcome, done, refuse } from "./refusal.ts";
import { type Candidate, type Leftovers, removeStale, takePrevious, writeCandidate } from "./replace-executable.ts";
import { listSignatureSuffixes, type TrustedKey, verifySignature } from "./trusted-keys.ts";
import { checkConfiguration, readVersion, type Surroundings } from "./try-executable.ts";
import { MAX_EXECUTABLE_BYTES, unpackExecutable } from "./unpack.ts";

/** What to upgrade to, and what it must be. */
export interface UpgradeOrder {
  readonly origin: Origin;
  /** Where the signature is, when not beside the file. */
  readonly signature: Origin | undefined;
  /** Undefined: no signature is asked for. */
  readonly keys: readonly TrustedKey[] | undefined;
  /** 64 hexadecimal digits, or the text of a SHA256SUMS. */
  readonly sha256: string | undefined;
  readonly ca: readonly string[] | undefined;
  /** Hears how much of the file has come. */
  readonly onBytes?: (bytes: number, total: number | undefined) => void;
}

/** What is to be replaced, and under which conditions. */
export interface Replacing {
  /** The file, links followed. */
  readonly target: string;
  /** Takes what has to be removed when nothing comes of it. */
  readonly leftovers: Leftovers;
  readonly allowDowngrade: boolean;
  /** The flags that select the configuration for `penstock check`. */
  readonly configArgs: readonly string[];
  readonly around: Surroundings;
}

/** A file whose origin is proven. */
export interface ProvenFile {
  readonly executable: Buffer;
  readonly sha256: string;
  /** Whose signature it has; undefined when none was asked for. */
  readonly signer: string | undefined;
  /** The trusted comment of minisign. */
  readonly comment: string;
}

/** An executable that may take the place of the present one. */
export interface TriedCandidate {
  readonly candidate: Candidate;
  readonly versions: { readonly before: string; readonly after: string };
}

const DOWNLOAD_MS = 600_000;
const SIGNATURE_MS = 30_000;
const MAX_SIGNATURE_BYTES = 64 * 1024;

/** Fetches the file, verifies its checksum and its signature, and only then looks into it. */
export async function obtainProven(order: UpgradeOrder): Promise<Outcome<ProvenFile>> {
  const { origin, ca, onBytes } = order;
  const got = await obtain(origin, { maxBytes: MAX_EXECUTABLE_BYTES, ms: DOWNLOAD_MS, ca, onBytes });
  if (!got.ok) return got;
  const file = got.value;
  const sha256 = new Bun.CryptoHasher("sha256").update(file).digest("hex");
  const summed = compareSum(order, sha256);
  if (!summed.ok) return summed;
  const signed = await verify(order, file);
  if (!signed.ok) return signed;
  const unpacked = await unpackExecutable(file);
  return unpacked.ok ? done({ executable: unpacked.value, sha256, ...signed.value }) : unpacked;
}

function compareSum({ origin, sha256: wanted }: UpgradeOrder, found: string): Outcome<undefined> {
  if (wanted === undefined) return done(undefined);
  const sum = findSum(wanted, nameOrigin(origin));
  if (sum === undefined)
    return refuse(
      "arguments",
      `--sha256 is neither 64 hexadecimal digits nor a file of checksums with a line for ${nameOrigin(origin)}.`,
    );
  return sum === found
    ? done(undefined)
    : refuse("checksum", `The SHA-256 of ${origin.text} is ${found}. Wanted is ${sum}.`);
}

/** The sum for a name in a text of `sha256sum`, or the one that the text is. */
function findSum(text: string, name: string): string | undefined {
  const lines = text.trim().split(/\r?\n/);
  if (lines.length === 1 && /^[0-9a-f]{64}$/i.test(lines[0] ?? "")) return lines[0]?.toLowerCase();
  for (const line of lines) {
    const [, sum, named] = /^([0-9a-f]{64}) [ *](.+)$/i.exec(line) ?? [];
    if (named?.slice(named.lastIndexOf("/") + 1) === name) return sum?.toLowerCase();
  }
  return undefined;
}

async function verify(
  { origin, signature, keys, ca }: UpgradeOrder,
  file: Buffer,
): Promise<Outcome<Pick<ProvenFile, "signer" | "comment">>> {
  if (keys === undefined) return done({ signer: undefined, comment: "" });
  const places = signature ? [signature] : listSignatureSuffixes(keys).map((suffix) => addSuffix(origin, suffix));
  const failures: string[] = [];
  for (const place of places) {
    const got = await obtain(place, { maxBytes: MAX_SIGNATURE_BYTES, ms: SIGNATURE_MS, ca });
    if (!got.ok) {
      failures.push(got.message);
      continue;
    }
    const verified = verifySignature(got.value.toString("utf8"), file, keys);
    if (verified.ok) return done({ signer: verified.signer, comment: verified.comment });
    return refuse("signature", `The signature ${place.text} ${verified.reason}.`);
  }
  return refuse("signature", `There is no signature: ${failures.join(" ")} Name it with --signature.`);
}

/** Writes the executable beside the present one, and tries it there: platform, start, version, configuration. */
export async function tryNew(executable: Buffer, replacing: Replacing): Promise<Outcome<TriedCandidate | "same">> {
  const { target } = replacing;
  const present = await readPresent(target);
  if (!present.ok) return present;
  if (present.value.equals(executable)) return done("same");
  const [wanted, found] = [describeExecutable(present.value), describeExecutable(executable)];
  if (found === undefined)
    return refuse("platform", "The file is not an executable of a platform that Penstock runs on.");
  if (wanted !== found)
    return refuse("platform", `The executable is for ${found}. ${target} is for ${String(wanted)}.`);
  await removeStale(target);
  const written = await writeCandidate(target, executable);
  return written.ok ? tryCandidate(written.value, replacing) : written;
}

/** The same for the executable before the last upgrade. */
export async function tryPrevious(replacing: Replacing): Promise<Outcome<TriedCandidate>> {
  await removeStale(replacing.target);
  const taken = await takePrevious(replacing.target);
  return taken.ok ? tryCandidate(taken.value, { ...replacing, allowDowngrade: true }) : taken;
}

/** Asks the file that is there for its version. */
export async function readPresentVersion({ target, around }: Replacing): Promise<Outcome<string>> {
  const read = await readVersion(target, around);
  if (read.ok) return read;
  return refuse("start", `${target} cannot be asked for its version. ${read.message}`, read.details);
}

async function tryCandidate(candidate: Candidate, replacing: Replacing): Promise<Outcome<TriedCandidate>> {
  const { allowDowngrade, configArgs, around, leftovers } = replacing;
  leftovers.add(candidate);
  const after = await readVersion(candidate.path, around);
  if (!after.ok) return after;
  const before = await readPresentVersion(replacing);
  if (!before.ok) return before;
  if (compareVersions(after.value, before.value) < 0 && !allowDowngrade)
    return refuse(
      "version",
      `${after.value} is older than ${before.value}, which is in use. An old version may have holes that are mended since. If that is wanted: --allow-downgrade`,
    );
  const checked = await checkConfiguration(candidate.path, configArgs, around);
  if (!checked.ok) return checked;
  return done({ candidate, versions: { before: before.value, after: after.value } });
}

async function readPresent(target: string): Promise<Outcome<Buffer>> {
  try {
    return done(await readFile(target));
  } catch {
    return refuse("replace", `Cannot read ${target}, which is to be replaced.`);
  }
}
