import { X509Certificate } from "node:crypto";
import { resolve } from "node:path";

import { readErrorCode } from "../error-code.ts";
import { describeReadError, readTextFile } from "../config/read-file.ts";
import { formatJson } from "../escape-text.ts";
import { createCommand, type CommandInput } from "./command.ts";
import { endWith, exitCodes } from "./io.ts";
import { quoteWord } from "./shell-word.ts";
import {
  changeFile,
  planBrowsers,
  planSystem,
  type Step,
  type StorePlan,
  type TrustPlaces,
  type TrustWish,
} from "./trust-stores.ts";

/** `penstock trust`: has this machine trust the authority of `penstock cert`, or no longer. */
export const trust = createCommand({
  name: "trust",
  description:
    "Have this machine and its browsers trust the authority that penstock cert made, or no longer. Whoever has the key of an authority can pose as every site to those who trust it. Another certificate is trusted only after a question.",
  args: {
    file: {
      type: "positional",
      required: false,
      valueHint: "FILE",
      description: "The certificate of the authority. Default: ca.pem in the working folder.",
    },
    remove: { type: "boolean", description: "Take it out again." },
    "dry-run": { type: "boolean", description: "Print what would be done, and do nothing." },
    store: {
      type: "string",
      valueHint: "all|system|browsers",
      description: "Which stores: that of the system (as root), those of Chromium and Firefox, or all. Default: all.",
    },
    root: {
      type: "string",
      valueHint: "FOLDER",
      description: "Root of the system whose store is meant, such as that of an image. Default: /.",
    },
    yes: { type: "boolean", alias: "y", description: "Trust without asking what penstock cert has not made." },
    json: { type: "boolean", description: "Print what was done to each store as JSON." },
  },
  examples: [
    ["sudo penstock trust ca.pem --store system", "Have the programs of this machine trust it."],
    ["penstock trust ca.pem --store browsers", "The same for your own browsers."],
    ["sudo penstock trust ca.pem --remove", "Take it out everywhere."],
  ],
  async run(input) {
    const { io, value, has } = input;
    const store = value("store") ?? "all";
    if (!["all", "system", "browsers"].includes(store))
      return endWith(io, "--store is another one. Write all, system or browsers.", exitCodes.usage);
    const wish = await readWish(input);
    if (typeof wish === "string") return endWith(io, wish, exitCodes.failure);
    const places = findPlaces(input);
    const plans = [
      ...(store === "browsers" ? [] : [planSystem(wish, places)]),
      // An image has no browsers of this user.
      ...(store === "system" || value("root") !== undefined ? [] : planBrowsers(wish, places, chooseMaking(input))),
    ];
    if (plans.length === 0) io.tell(describeNoBrowsers(wish, places));
    const results = [];
    for (const plan of plans) results.push(await carryOut(plan, has("dry-run"), input));
    if (has("json"))
      await io.print(`${formatJson({ file: wish.file, fingerprint: wish.fingerprint, stores: results }, 2)}\n`);
    const isNothing = plans.length === 0 && !wish.remove;
    return !isNothing && results.every(({ done }) => done) ? exitCodes.ok : exitCodes.failure;
  },
});

/** Browsers of root are rare: their database is made only for who asks for it. */
function chooseMaking({ value, io }: CommandInput): "always" | "with certutil" | "never" {
  if (value("store") === "browsers") return "always";
  return io.machine.isRoot ? "never" : "with certutil";
}

function describeNoBrowsers({ remove }: TrustWish, { home, platform }: TrustPlaces): string {
  if (platform === "linux" && home !== undefined && remove)
    return `There is no database of a browser in ${home}: nothing to do.`;
  return platform === "linux"
    ? "HOME is not set, so that nobody knows whose browsers are meant. Set it."
    : "Browsers of this system trust what the system trusts: --store system. Firefox has a setting for that (security.enterprise_roots.enabled).";
}

function findPlaces({ io, value }: CommandInput): TrustPlaces {
  const path = `${io.variables["PATH"] ?? ""}:/usr/sbin:/sbin`;
  return {
    root: resolve(io.folder, value("root") ?? "/"),
    home: io.variables["HOME"],
    platform: process.platform,
    findProgram: (name) => Bun.which(name, { PATH: path }) ?? undefined,
    ask: (command) => Bun.spawnSync([...command], { stdin: "ignore", stdout: "ignore", stderr: "ignore" }).exitCode,
  };
}

/** The authority that the command line names, checked; or why it is not to be trusted. */
async function readWish({ io, value, has }: CommandInput): Promise<TrustWish | string> {
  const file = resolve(io.folder, value("file") ?? "ca.pem");
  const read = await readTextFile(file, "pem");
  if (!read.ok) return `Cannot read ${file}: ${read.reason}. "penstock cert" makes an authority.`;
  const blocks = read.text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const certificate = blocks.length === 1 ? parse(blocks[0] ?? "") : undefined;
  if (certificate === undefined) return `Cannot use ${file}: it is not one certificate in PEM form.`;
  const { ca, subject, validTo, fingerprint256 } = certificate;
  if (!ca) return `Cannot use ${file}: it is the certificate of a server, not of an authority. Name ca.pem.`;
  const fingerprint = fingerprint256.replaceAll(":", "").toLowerCase();
  // The certificate alone: a key that is in the same file must not be copied.
  const wish = { file, pem: `${blocks[0] ?? ""}\n`, fingerprint, remove: has("remove") };
  if (wish.remove) return wish;
  if (Date.parse(validTo) <= Date.now()) return `Cannot use ${file}: it has expired (${validTo}).`;
  if (isOurs(certificate) || has("yes") || has("dry-run")) return wish;
  const answer = await io.readAnswer(
    `${file} was not made by "penstock cert": ${subject.replaceAll("\n", ", ")}, SHA-256 ${fingerprint256}. Trust it for every site? [y/N] `,
  );
  if (/^y(?:es)?$/i.test(answer?.trim() ?? "")) return wish;
  return `${file} was not made by "penstock cert". Nothing was done.${io.interactive ? "" : " Add --yes to trust it without asking."}`;
}

function parse(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    // Not a certificate.
    return undefined;
  }
}

/** As `makeAuthority` makes it: signed by itself, and named so. */
function isOurs(certificate: X509Certificate): boolean {
  return (
    /^CN=Penstock on .+ [0-9a-f]{8}$/.test(certificate.subject) &&
    certificate.subject === certificate.issuer &&
    certificate.verify(certificate.publicKey)
  );
}

interface Result {
  readonly store: string;
  readonly done: boolean;
  readonly steps: readonly string[];
  readonly reason?: string;
}

/** Does what a store needs, or says it. The first step that fails is the last one. */
async function carryOut(
  { store, steps, obstacle }: StorePlan,
  isDry: boolean,
  { io, has }: CommandInput,
): Promise<Result> {
  const print = async (line: string) => void (has("json") || (await io.print(`${line}\n`)));
  const described = steps.map(describeStep);
  if (steps.length === 0 && obstacle === undefined) {
    await print(`${store}: nothing to do`);
    return { store, done: true, steps: [] };
  }
  if (isDry || obstacle !== undefined) {
    for (const step of described) await print(`${store}: ${obstacle === undefined ? "would" : "to be done:"} ${step}`);
    if (obstacle !== undefined) io.tell(`Did nothing to the store ${store}: ${obstacle}.`);
    return {
      store,
      done: obstacle === undefined,
      steps: described,
      ...(obstacle !== undefined && { reason: obstacle }),
    };
  }
  for (const [at, step] of steps.entries()) {
    const fault = await doStep(step);
    if (fault !== undefined) {
      io.tell(`Cannot ${described[at] ?? ""}: ${fault}`);
      return { store, done: false, steps: described.slice(0, at), reason: fault };
    }
    await print(`${store}: ${described[at] ?? ""}: done`);
  }
  return { store, done: true, steps: described };
}

function describeStep(step: Step): string {
  return step.kind === "run" ? `run ${step.command.map(quoteWord).join(" ")}` : `${step.kind} ${step.path}`;
}

/** Why a step failed. */
async function doStep(step: Step): Promise<string | undefined> {
  try {
    if (step.kind !== "run") {
      await changeFile(step);
      return undefined;
    }
    const child = Bun.spawn([...step.command], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
    const [told, code] = await Promise.all([child.stderr.text(), child.exited]);
    return code === 0 ? undefined : `it ended with ${code}. ${told.trim().split("\n").slice(-3).join(" ")}`;
  } catch (error) {
    const denied = ["EACCES", "EPERM"].includes(readErrorCode(error) ?? "");
    return `${describeReadError(error)}.${denied ? " Run it as root." : ""}`;
  }
}
