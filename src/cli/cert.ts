import { mkdir, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join, relative, resolve } from "node:path";

import { describeHostError, toAsciiHost } from "../address/host.ts";
import { describeReadError, type FileText, readTextFile } from "../config/read-file.ts";
import { quoteSubject } from "../config/problem.ts";
import { escapeLines, formatJson } from "../escape-text.ts";
import { writeDurably } from "../state/durable-file.ts";
import { createCommand } from "./command.ts";
import { type CliIo, endWith, exitCodes } from "./io.ts";
import type { CertificateName, LocalAuthority } from "./local-authority.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** Clocks differ: certificates begin a little earlier than now. */
const LEEWAY_MS = 60 * 60 * 1000;
const AUTHORITY_DAYS = 3650;
/** Apple's systems accept no certificate of an authority that a person installed for longer (support.apple.com/102028: 825). */
const MAX_DAYS = 825;
const DEFAULT_DAYS = "397";

/** `penstock cert NAME…`: makes the certificate of an HTTPS proxy and a local authority. */
export const cert = createCommand({
  name: "cert",
  description: "Make a certificate for the names of this proxy, signed by an authority of your own.",
  examples: [["penstock cert proxy.example.org", "Make a certificate, and an authority when there is none."]],
  args: {
    folder: {
      type: "string",
      valueHint: "FOLDER",
      description: "Where the files are: ca.pem, ca.key, fullchain.pem, privkey.pem. Default: the working folder.",
    },
    days: {
      type: "string",
      valueHint: "DAYS",
      description: `How long the certificate is valid, from 1 to ${MAX_DAYS} days. Default: ${DEFAULT_DAYS}.`,
    },
    json: {
      type: "boolean",
      description: "Print JSON: the names, the paths, when it expires, whether the authority is new.",
    },
    name: {
      type: "positional",
      required: true,
      description:
        "Name or IP address by which clients reach the proxy. May be repeated; *.example.com is a name, too.",
    },
  },
  lists: ["name"],
  async run({ value, values, has, io }) {
    const names = readNames(values("name"));
    const days = readDays(value("days") ?? DEFAULT_DAYS);
    if (typeof names === "string" || typeof days === "string")
      return endWith(io, typeof names === "string" ? names : String(days), exitCodes.usage);
    const folder = resolve(io.folder, value("folder") ?? ".");
    const made = await makeCertificate(folder, names, days, Date.now());
    if (typeof made === "string") return endWith(io, made, exitCodes.failure);
    if (has("json")) {
      const [chain, key, authority] = ["fullchain.pem", "privkey.pem", "ca.pem"].map((file) => join(folder, file));
      const { expiresAt, authorityIsNew } = made;
      const expires = new Date(expiresAt).toISOString();
      const listed = names.map(({ text }) => text);
      await io.print(`${formatJson({ names: listed, cert: chain, key, authority, authorityIsNew, expires }, 2)}\n`);
    } else await tellMade(io, folder, names, made);
    return exitCodes.ok;
  },
});

// A text instead of a result says what is wrong.

type Names = readonly [CertificateName, ...CertificateName[]];

interface Made {
  readonly expiresAt: number;
  readonly authorityIsNew: boolean;
}

function readNames(texts: readonly string[]): Names | string {
  const names: CertificateName[] = [];
  for (const text of texts) {
    const wildcard = text.startsWith("*.");
    const parsed = toAsciiHost(wildcard ? text.slice(2) : text);
    if (!parsed.ok) return `${quoteSubject(text)} is no name: ${describeHostError(parsed.code)}.`;
    const { host } = parsed;
    if (wildcard && host.kind === "ip") return `${quoteSubject(text)} is no name: an address has no wildcard.`;
    const name: CertificateName =
      host.kind === "ip"
        ? { kind: "ip", text: host.text }
        : { kind: "dns", text: `${wildcard ? "*." : ""}${host.text}` };
    if (!names.some((each) => each.text === name.text)) names.push(name);
  }
  const [first, ...others] = names;
  return first === undefined ? "Missing NAME." : [first, ...others];
}

function readDays(text: string): number | string {
  const days = /^[1-9][0-9]{0,2}$/.test(text) ? Number(text) : 0;
  return days >= 1 && days <= MAX_DAYS
    ? days
    : `${quoteSubject(text)} is no number of days. Write one from 1 to ${MAX_DAYS}.`;
}

/** Makes or renews the certificate of a folder; makes the authority when there is none. */
async function makeCertificate(folder: string, names: Names, days: number, now: number): Promise<Made | string> {
  try {
    await mkdir(folder, { recursive: true });
    const authority = await takeAuthority(folder, now);
    if (typeof authority === "string") return authority;
    const { opened, isNew } = authority;
    const chain = join(folder, "fullchain.pem");
    const present = await readTextFile(chain, "pem");
    const unread = explainUnread(chain, present);
    if (unread !== undefined) return unread;
    if (present.ok && !(await opened.hasSigned(present.text)))
      return `Cannot write ${chain}: the one that is there is not signed by ca.pem. Remove it, or set --folder.`;
    const expiresAt = Math.min(now + days * DAY_MS, opened.expiresAt);
    const pair = await opened.issue(names, { from: now - LEEWAY_MS, to: expiresAt });
    // A running proxy follows these files: replace each at once, the key first.
    await writeDurably(join(folder, "privkey.pem"), pair.key);
    // With the authority in it, no handshake looks for the issuer in files of the system.
    await writeDurably(chain, pair.cert + opened.cert, 0o644);
    return { expiresAt, authorityIsNew: isNew };
  } catch (error) {
    if (!(error instanceof Error && "syscall" in error)) throw error;
    return `Cannot write into ${folder}: ${describeReadError(error)}.`;
  }
}

/** Opens the authority of the folder, or makes one. */
async function takeAuthority(
  folder: string,
  now: number,
): Promise<{ readonly opened: LocalAuthority; readonly isNew: boolean } | string> {
  const { makeAuthority, openAuthority } = await loadLocalAuthority();
  const paths = { cert: join(folder, "ca.pem"), key: join(folder, "ca.key") };
  const [certRead, keyRead] = await Promise.all([readTextFile(paths.cert, "pem"), readTextFile(paths.key, "pem")]);
  const unread = explainUnread(paths.cert, certRead) ?? explainUnread(paths.key, keyRead);
  if (unread !== undefined) return unread;
  if (!certRead.ok && !keyRead.ok) {
    const validity = { from: now - LEEWAY_MS, to: now + AUTHORITY_DAYS * DAY_MS };
    const pair = await makeAuthority(`Penstock on ${hostname()}`.slice(0, 48), validity);
    // "wx" keeps an authority that appeared meanwhile.
    await writeFile(paths.key, pair.key, { flag: "wx", mode: 0o600 });
    await writeFile(paths.cert, pair.cert, { flag: "wx", mode: 0o644 });
    const opened = await openAuthority(pair);
    if (opened === undefined) throw new Error("An authority that was just made cannot be opened");
    return { opened, isNew: true };
  }
  if (!certRead.ok || !keyRead.ok)
    return `Cannot use the authority in ${folder}: ${certRead.ok ? paths.key : paths.cert} is missing. Put it back, or remove the other file, too.`;
  const opened = await openAuthority({ cert: certRead.text, key: keyRead.text });
  if (opened === undefined)
    return `Cannot use ${paths.cert} and ${paths.key}: they are no authority that this command made. Set --folder.`;
  if (opened.expiresAt <= now)
    return `Cannot use ${paths.cert}: it has expired. Remove it and ca.key to make another authority.`;
  return { opened, isNew: false };
}

/** Loads the library for certificates, which takes time and which no other command needs. */
async function loadLocalAuthority() {
  // The library for certificates decorates its classes with it, and a bundle keeps no other order.
  await import("reflect-metadata");
  return import("./local-authority.ts");
}

/** Says why a file cannot be read; undefined when it was read, or when there is none. */
function explainUnread(path: string, read: FileText): string | undefined {
  return read.ok || read.missing === true ? undefined : `Cannot read ${path}: ${read.reason}.`;
}

async function tellMade(io: CliIo, folder: string, names: Names, { expiresAt, authorityIsNew }: Made): Promise<void> {
  const shown = (file: string): string => join(relative(io.folder, folder), file);
  const list = names.map(({ text }) => text).join(", ");
  const until = new Date(expiresAt).toISOString().slice(0, 10);
  if (authorityIsNew) io.tell(`Made an authority: ${shown("ca.pem")}. Keep its key, ${shown("ca.key")}, to yourself.`);
  io.tell(`Wrote ${shown("fullchain.pem")} and ${shown("privkey.pem")} for ${list}, valid until ${until}.`);
  await io.print(
    describeTrust({
      name: names[0].text,
      chain: shown("fullchain.pem"),
      key: shown("privkey.pem"),
      authority: shown("ca.pem"),
    }),
  );
}

interface CertificateFiles {
  /** Name or address by which clients reach the proxy, as the certificate names it. */
  readonly name: string;
  /** Paths, as a person would write them. */
  readonly chain: string;
  readonly key: string;
  readonly authority: string;
}

/** Says how to use the certificate in the configuration, and how clients come to trust it. */
function describeTrust({ name, chain, key, authority }: CertificateFiles): string {
  const host = name.includes(":") ? `[${name}]` : name.replace(/^\*/, "proxy");
  return escapeLines(`
Put this into the configuration (beyond loopback it needs "users", too):

  listen: [{ host: "0.0.0.0", port: 8443, tls: { cert: ${formatJson(chain)}, key: ${formatJson(key)} } }],

Clients have to trust ${authority}, never its key:

  curl              curl --proxy https://${host}:8443 --proxy-cacert ${authority} https://example.com
  this machine      sudo penstock trust ${authority}
  Debian, Ubuntu    sudo cp ${authority} /usr/local/share/ca-certificates/penstock.crt && sudo update-ca-certificates
  Fedora, RHEL      sudo cp ${authority} /etc/pki/ca-trust/source/anchors/penstock.pem && sudo update-ca-trust
  macOS             sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ${authority}
  Windows           certutil -addstore Root ${authority}   (as administrator)
  Chrome on Linux   certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n penstock -i ${authority}
  Firefox           Settings, Privacy & Security, View Certificates, Authorities, Import
  Node              NODE_EXTRA_CA_CERTS=${authority}
`);
}
