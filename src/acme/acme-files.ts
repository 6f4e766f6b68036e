import { createPrivateKey, X509Certificate } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ifPresent } from "../error-code.ts";
import { makePrivateFolder, writeDurably } from "../state/durable-file.ts";
import type { AccountFile, KeptAccount } from "./account.ts";
import { type AcmePlan, identifyCertificate } from "./acme-plan.ts";
import { listCertificateNames } from "./check-chain.ts";

/** A certificate in its file. */
export interface KeptCertificate {
  /** PEM: the certificate, then those of its issuers. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
}

/** A certificate that was ordered for other names. */
export interface OtherCertificate extends KeptCertificate {
  readonly file: string;
  /** All of its names. */
  readonly names: readonly string[];
}

/** Orders that failed since the last one that did not. */
export interface Attempts {
  readonly failures: number;
  /** Milliseconds since the epoch before which no other order may begin. */
  readonly notBefore: number;
  /** The same, for one that the operator asks for: what the server asked to wait. */
  readonly askedUntil: number;
}

export const NO_ATTEMPTS: Attempts = { failures: 0, notBefore: 0, askedUntil: 0 };

/**
 * The files of one certificate in the state folder. Each is for the user of the
 * proxy alone, and is written whole: a reader sees the old one or the new one.
 */
export class AcmeFiles {
  /** Absolute path of the certificate, with its key in front. */
  readonly certificate: string;
  /** Held while an order is under way. */
  readonly lock: string;
  readonly account: AccountFile;
  readonly #attempts: string;
  /** What was read last. */
  #read: { readonly text: string; readonly certificate: KeptCertificate | undefined } | undefined;

  constructor(stateFolder: string, plan: Pick<AcmePlan, "directory" | "names" | "profile" | "ca">) {
    const authority = join(stateFolder, "acme", `${new URL(plan.directory).hostname}-${shorten(plan.directory)}`);
    // In whatever order they are written.
    const [first = ""] = plan.names.toSorted();
    const key = identifyCertificate({ ...plan, email: undefined, eab: undefined });
    const name = join(authority, `${first.replace("*", "_")}-${shorten(key)}`);
    this.certificate = `${name}.pem`;
    this.#attempts = `${name}.attempts.json`;
    // One for the authority: two certificates share the account.
    this.lock = join(authority, "lock");
    const file = join(authority, "account.json");
    this.account = {
      read: () => readJson(file).then(readAccount),
      write: (account) => writeDurably(file, `${JSON.stringify(account, null, 2)}\n`),
    };
  }

  /** Makes the folder. */
  async prepare(): Promise<void> {
    await makePrivateFolder(dirname(this.certificate));
  }

  /** The certificate that is kept; undefined for none, or for one that cannot be used. */
  readCertificate(): KeptCertificate | undefined {
    let text: string;
    try {
      text = readFileSync(this.certificate, "utf8");
    } catch {
      return undefined;
    }
    // It is looked at often, and changes seldom.
    if (this.#read?.text !== text) this.#read = { text, certificate: readKept(text) };
    return this.#read.certificate;
  }

  /**
   * Of the certificates of this authority for other names, the one that has most
   * of these and ends last; undefined when none has any, and is valid at `now`.
   */
  readOther(names: readonly string[], now: number): OtherCertificate | undefined {
    const folder = dirname(this.certificate);
    let files: readonly string[];
    try {
      files = readdirSync(folder).filter((name) => name.endsWith(".pem"));
    } catch {
      return undefined;
    }
    const others = files.flatMap((name): OtherCertificate[] => {
      const file = join(folder, name);
      const kept = file === this.certificate ? undefined : readCertificateFile(file);
      if (kept === undefined || now < kept.from || now >= kept.to) return [];
      return [{ ...kept, file, names: listCertificateNames(new X509Certificate(kept.cert).raw) }];
    });
    const count = (other: OtherCertificate): number => names.filter((name) => other.names.includes(name)).length;
    const [best] = others.toSorted((one, other) => count(other) - count(one) || other.to - one.to);
    return best !== undefined && count(best) > 0 ? best : undefined;
  }

  async writeCertificate({ cert, key }: Pick<KeptCertificate, "cert" | "key">): Promise<void> {
    await writeDurably(this.certificate, key + cert);
  }

  async readAttempts(): Promise<Attempts> {
    const { failures, notBefore, askedUntil } = (await readJson(this.#attempts)) ?? {};
    const isKept = typeof failures === "number" && typeof notBefore === "number" && typeof askedUntil === "number";
    return isKept ? { failures, notBefore, askedUntil } : NO_ATTEMPTS;
  }

  async writeAttempts(attempts: Attempts): Promise<void> {
    await writeDurably(this.#attempts, `${JSON.stringify(attempts)}\n`);
  }
}

function readCertificateFile(path: string): KeptCertificate | undefined {
  try {
    return readKept(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

function readKept(text: string): KeptCertificate | undefined {
  const begin = text.indexOf("-----BEGIN CERTIFICATE-----");
  if (begin < 0) return undefined;
  const [key, cert] = [text.slice(0, begin), text.slice(begin)];
  try {
    const leaf = new X509Certificate(cert);
    if (!leaf.checkPrivateKey(createPrivateKey(key))) return undefined;
    return { cert, key, from: leaf.validFromDate.getTime(), to: leaf.validToDate.getTime() };
  } catch {
    // Damaged: another one is ordered.
    return undefined;
  }
}

function readAccount(kept: Readonly<Record<string, unknown>> | undefined): KeptAccount | undefined {
  const { key, url, email } = kept ?? {};
  if (typeof key !== "object" || key === null) return undefined;
  return {
    key,
    ...(typeof url === "string" && { url }),
    ...(typeof email === "string" && { email }),
  };
}

/** The map in a file; undefined for none, and for a damaged one. Throws when there is a file that cannot be read. */
async function readJson(path: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  // One that cannot be read is not taken for none: it would be replaced, and the key of an account would be lost.
  const text = await ifPresent(readFile(path, "utf8"));
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

function shorten(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, 8);
}
