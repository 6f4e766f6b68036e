import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { readTextFile } from "../config/read-file.ts";
import { formatJson } from "../escape-text.ts";
import { type Carried, describeCarried } from "../upgrade/carry-capabilities.ts";
import { type Origin, readOrigin } from "../upgrade/obtain.ts";
import { type Outcome, done, refuse, type Refusal } from "../upgrade/refusal.ts";
import { Leftovers, previousOf } from "../upgrade/replace-executable.ts";
import { Turn } from "../upgrade/turn.ts";
import { KEPT_KEY, readTrustedKeys, type TrustedKey } from "../upgrade/trusted-keys.ts";
import { obtainProven, type ProvenFile, type Replacing, type TriedCandidate } from "../upgrade/upgrade.ts";
import { tryNew, tryPrevious } from "../upgrade/upgrade.ts";
import { type CommandInput, createCommand } from "./command.ts";
import { sidecarArgs } from "./find-sidecar.ts";
import { exitCodes } from "./io.ts";
import { describeShare, showProgress } from "./progress.ts";
import { findTarget, findTriedFile } from "./upgrade-target.ts";
import { catchUp, type HandedOver, type Handover, findRunning, handOverTo } from "./upgrade-handover.ts";

/** `penstock upgrade`: another executable in the place of this one, and in the running proxy. */
export const upgrade = createCommand({
  name: "upgrade",
  description:
    "Replace this executable by another version, and have the running proxy hand over to it. The file must be signed with a key of your choice (minisign, or ssh-keygen -Y sign -n file), be for this platform, start, and accept the configuration. Nothing is looked for in the network but what --from names.",
  examples: [
    [
      "penstock upgrade --from penstock-linux-x64.tar.xz --key release.pub",
      "Verify a release, take it, and have the running proxy hand over to it.",
    ],
    ["penstock upgrade --rollback", "Go back to the executable before the last upgrade."],
  ],
  args: {
    from: {
      type: "string",
      valueHint: "FILE|URL",
      description: "The new version: a bare executable or a .tar.xz of a release; a path, or a URL with https://.",
    },
    key: {
      type: "string",
      valueHint: "FILE",
      description: `Public keys that are trusted: of minisign, or lines "ssh-ed25519 …". Default: ${KEPT_KEY}, if it is there.`,
    },
    signature: {
      type: "string",
      valueHint: "FILE|URL",
      description: "The signature. Default: the name of --from with .minisig or .sig, by the kind of the key.",
    },
    sha256: {
      type: "string",
      valueHint: "HEX|FILE",
      description: "The checksum that the file must have, or a file such as SHA256SUMS with a line for it.",
    },
    "insecure-unsigned": {
      type: "boolean",
      description: "Take a file without a signature. Whoever can change the file then runs programs here.",
    },
    "allow-downgrade": { type: "boolean", description: "Take a version that is older than the present one." },
    rollback: { type: "boolean", description: "Go back to the executable before the last upgrade, which is kept." },
    "dry-run": { type: "boolean", description: "Verify and try everything, and replace nothing." },
    "replace-only": {
      type: "boolean",
      description: "Replace the file, and have no proxy hand over: a running one goes on with the old file.",
    },
    executable: {
      type: "string",
      valueHint: "PATH",
      description: "The executable to replace. Default: this one. A link is followed.",
    },
    ca: {
      type: "string",
      valueHint: "FILE",
      description: "Certificates of the only authorities to trust for URLs, as PEM.",
    },
    json: { type: "boolean", description: "Print what was done, or why nothing was, as one JSON object." },
    ...sidecarArgs,
  },
  async run(input) {
    const stopped = Promise.withResolvers<Refusal>();
    const forget = input.io.onStopSignal((signal) =>
      stopped.resolve(refuse("replace", `${signal}: nothing was changed.`)),
    );
    const report = createReport(input);
    try {
      using turn = new Turn();
      await using leftovers = new Leftovers();
      const prepared = await Promise.race([prepare(input, report.say, leftovers, turn), stopped.promise]);
      return await report.end(prepared.ok ? await apply(prepared.value, input, report.say) : prepared);
    } finally {
      forget();
    }
  },
});

/** What is ready to be done, or was found to be unnecessary. */
interface Prepared {
  readonly replacing: Replacing;
  readonly running: Handover;
  readonly configuration: string | undefined;
  readonly proven: ProvenFile | undefined;
  readonly tried: TriedCandidate | "same";
}

/** What a program reads. */
interface Done {
  readonly executable: string;
  readonly replaced: boolean;
  readonly version?: TriedCandidate["versions"];
  /** The file that the new version accepts; null when there is none here, so that only the defaults were tried. */
  readonly configuration?: string | null;
  readonly previous?: string;
  /** The capabilities of the file before, where it has some. */
  readonly carried?: Carried;
  readonly sha256?: string;
  readonly signer?: string;
  readonly handedOver?: HandedOver;
  readonly dryRun?: true;
}

type Say = (line: string) => void;

async function prepare(input: CommandInput, say: Say, leftovers: Leftovers, turn: Turn): Promise<Outcome<Prepared>> {
  const target = await findTarget(input);
  if (!target.ok) return target;
  const other = turn.take(target.value);
  if (!other.ok) return other;
  const wrong = findContradiction(input);
  if (wrong !== undefined) return refuse("arguments", wrong);
  const running = await findRunning(input);
  if (!running.ok) return running;
  const configuration = await findTriedFile(input);
  if (!configuration.ok) return configuration;
  const replacing = describeReplacing(target.value, leftovers, configuration.value, input);
  const common = { replacing, configuration: configuration.value, running: running.value };
  if (input.has("rollback")) {
    const tried = await tryPrevious(replacing);
    if (!tried.ok) return tried;
    return done({ ...common, proven: undefined, tried: tried.value });
  }
  const order = await readOrder(input);
  if (!order.ok) return order;
  say(`Reading ${order.value.origin.text}.`);
  let share = "";
  const onBytes = (bytes: number, total: number | undefined): void => {
    share = `: ${describeShare(bytes, total)}`;
  };
  const proven = await showProgress(
    input.io,
    () => `Reading ${order.value.origin.text}${share}`,
    () => obtainProven({ ...order.value, onBytes }),
  );
  if (!proven.ok) return proven;
  const { sha256, signer, comment, executable } = proven.value;
  say(`SHA-256 ${sha256}.`);
  say(
    signer === undefined
      ? "Not signed: nobody vouches for it."
      : `Signed with the ${signer}${comment && ` (${comment})`}.`,
  );
  const tried = await showProgress(
    input.io,
    () => "Trying the new version here",
    () => tryNew(executable, replacing),
  );
  if (!tried.ok) return tried;
  return done({ ...common, proven: proven.value, tried: tried.value });
}

async function apply(
  { replacing, running, configuration, proven, tried }: Prepared,
  input: CommandInput,
  say: Say,
): Promise<Outcome<Done>> {
  const { target } = replacing;
  const facts = {
    executable: target,
    ...(proven && { sha256: proven.sha256 }),
    ...(proven?.signer !== undefined && { signer: proven.signer }),
  };
  if (tried === "same") {
    const caught = await catchUp(running, replacing, say);
    return caught.ok ? done({ ...facts, replaced: false, ...(caught.value && { handedOver: caught.value }) }) : caught;
  }
  const { candidate, versions } = tried;
  const accepted = configuration ?? "the defaults (no configuration was found here)";
  say(`Penstock ${versions.after} starts here and accepts ${accepted}. In use is ${versions.before}.`);
  const tested = { ...facts, version: versions, configuration: configuration ?? null };
  if (input.has("dry-run")) {
    say("--dry-run: nothing was replaced.");
    return done({ ...tested, replaced: false, dryRun: true });
  }
  const installed = await candidate.install();
  if (!installed.ok) return installed;
  const previous = previousOf(target);
  say(`Replaced ${target}. The one before is ${previous}.`);
  const { carried } = candidate;
  if (carried !== undefined) say(describeCarried(target, carried));
  const handed = await handOverTo(running, target, say);
  if (!handed.ok) {
    const undone = await installed.value.undo();
    return refuse(
      "handover",
      `${handed.message} ${undone.ok ? `${target} is as it was before.` : undone.message}`,
      handed.details,
    );
  }
  await installed.value.keep();
  const handedOver = handed.value;
  return done({ ...tested, replaced: true, previous, ...(carried && { carried }), ...(handedOver && { handedOver }) });
}

function findContradiction({ value, has }: CommandInput): string | undefined {
  const isBack = has("rollback");
  if (isBack && value("from") !== undefined) return "--rollback goes back to the kept file. --from is for another one.";
  if (!isBack && value("from") === undefined)
    return "Missing --from FILE or URL: what to upgrade to. There is no default.";
  if (has("insecure-unsigned") && (value("key") ?? value("signature")) !== undefined)
    return "--insecure-unsigned asks for no signature. Leave out --key and --signature, or it.";
  return undefined;
}

async function readOrder(input: CommandInput): Promise<Outcome<Parameters<typeof obtainProven>[0]>> {
  const { value, io } = input;
  const origin = readOrigin(value("from") ?? "", io.folder);
  if (!origin.ok) return origin;
  const named = value("signature");
  const signature: Outcome<Origin | undefined> = named === undefined ? done(undefined) : readOrigin(named, io.folder);
  if (!signature.ok) return refuse("arguments", signature.message.replace("--from", "--signature"));
  const keys = await readKeys(input);
  if (!keys.ok) return keys;
  const sums = await readNamed(input, "sha256");
  if (!sums.ok) return sums;
  const ca = await readNamed(input, "ca");
  if (!ca.ok) return ca;
  return done({
    origin: origin.value,
    signature: signature.value,
    keys: keys.value,
    sha256: sums.value,
    ca: ca.value === undefined ? undefined : [ca.value],
  });
}

async function readKeys({ value, has, io }: CommandInput): Promise<Outcome<readonly TrustedKey[] | undefined>> {
  if (has("insecure-unsigned")) return done(undefined);
  const named = value("key");
  if (named === undefined && !existsSync(KEPT_KEY))
    return refuse(
      "key",
      `Missing --key FILE: the public key that the file must be signed with. Keep it in ${KEPT_KEY}, and it is found there. To take a file that nobody signed: --insecure-unsigned`,
    );
  return readTrustedKeys(named === undefined ? KEPT_KEY : resolve(io.folder, named));
}

/** The text of the file that a flag names; a checksum stands for itself. */
async function readNamed({ value, io }: CommandInput, flag: "sha256" | "ca"): Promise<Outcome<string | undefined>> {
  const named = value(flag);
  if (named === undefined || (flag === "sha256" && /^[0-9a-f]{64}$/i.test(named))) return done(named);
  const path = resolve(io.folder, named);
  const read = await readTextFile(path, "pem");
  return read.ok ? done(read.text) : refuse("arguments", `Cannot read --${flag} ${path}: ${read.reason}.`);
}

function describeReplacing(
  target: string,
  leftovers: Leftovers,
  config: string | undefined,
  { has, io }: CommandInput,
): Replacing {
  return {
    target,
    leftovers,
    allowDowngrade: has("allow-downgrade"),
    configArgs: config === undefined ? [] : ["--config", config],
    around: { folder: io.folder, variables: io.variables },
  };
}

/** Tells a person, or prints for a program. */
function createReport({ has, io }: CommandInput): { say: Say; end: (outcome: Outcome<Done>) => Promise<number> } {
  const isJson = has("json");
  return {
    say: isJson ? () => undefined : io.tell,
    async end(outcome) {
      if (isJson) await io.print(`${formatJson(outcome.ok ? { ok: true, ...outcome.value } : outcome, 2)}\n`);
      else if (!outcome.ok) {
        io.tell(outcome.message);
        for (const line of outcome.details) io.tell(`  ${line}`);
      } else if (outcome.value.replaced) warnOfPackage(outcome.value.executable, io.tell);
      if (outcome.ok) return exitCodes.ok;
      if (outcome.step === "arguments" || outcome.step === "key") return exitCodes.usage;
      return outcome.step === "configuration" ? exitCodes.configuration : exitCodes.failure;
    },
  };
}

/** A package manager replaces its files without a question. */
function warnOfPackage(target: string, tell: Say): void {
  const program = Bun.which("dpkg-query");
  if (program === null) return;
  const found = Bun.spawnSync([program, "--search", target], { stdout: "ignore", stderr: "ignore" });
  if (found.exitCode === 0)
    tell(`Warning: ${target} belongs to a Debian package. The next version of the package replaces it.`);
}
