import type { X509Certificate } from "node:crypto";
import { dirname, relative, resolve } from "node:path";

import { parseIp } from "../address/ip.ts";
import type { CompiledConfig } from "../config/compile.ts";
import { nameReachable } from "../config/listener-address.ts";
import { isRecord, readList, readRecord } from "../config/plain-data.ts";
import { formatListener } from "../gate/listeners.ts";
import { readPemCertificates } from "../protocol/tls/read/pem-certificates.ts";

type Tried = Pick<CompiledConfig, "listeners" | "runtime" | "effective">;
type Listener = Tried["listeners"][number];

interface Bound {
  readonly host: string;
  readonly port: number;
}

/** Where the paths of the configuration begin, and where a person types the command. Both absolute. */
interface Folders {
  readonly home: string;
  readonly working: string;
}

/**
 * Command lines that try the listeners, in their order, for those that curl can try. `bound` is
 * where they listen, with the ports that the system chose.
 */
export function listTries(compiled: Tried, bound: readonly Bound[], folders: Folders): string[] {
  if (bound.length !== compiled.listeners.length) return [];
  return bound.flatMap((address, at) => {
    const listener = compiled.listeners[at];
    return (listener && writeTry(listener, address, compiled, folders)) ?? [];
  });
}

function writeTry(listener: Listener, bound: Bound, compiled: Tried, folders: Folders): string | undefined {
  const { protocols, tls, proxyFrom, acme } = listener;
  // Load balancers alone may connect; clients need a certificate and its key.
  if (!proxyFrom.isEmpty || tls?.clients?.required === true) return undefined;
  const spoken = protocols.has("http") ? "http" : protocols.has("socks5") ? "socks5h" : "socks4a";
  // curl speaks SOCKS only in clear.
  if (tls !== undefined && spoken !== "http") return undefined;
  const login = writeLogin(compiled, spoken);
  if (login === undefined) return undefined;
  const { host, port } = bound;
  const reachable = nameReachable(host);
  const [certificate] = tls?.certificates ?? [];
  const first = certificate && readPemCertificates(certificate.cert)?.[0];
  const name = tls === undefined || first === undefined ? (acme?.names[0] ?? reachable) : chooseName(first, reachable);
  const authority = certificate === undefined ? undefined : findAuthority(certificate, folders);
  return [
    `curl -x ${tls === undefined ? spoken : "https"}://${formatListener(name, port)}`,
    ...(authority === undefined ? [] : [`--proxy-cacert ${quote(authority)}`]),
    ...login,
    "https://example.com/",
  ].join(" ");
}

/** How curl shows who it is; it asks for the password: on the command line the process list would show it. */
function writeLogin({ runtime, effective }: Tried, spoken: string): string[] | undefined {
  if (!runtime.authenticator.required) return [];
  // SOCKS4 has no passwords.
  if (spoken === "socks4a") return undefined;
  const schemes = readList(readRecord(effective["auth"])["schemes"]);
  const isDigest = spoken === "http" && schemes.length > 0 && !schemes.includes("basic");
  // With tokens the password is a token.
  const { users } = effective;
  const user = isRecord(users) && users["jwks"] !== undefined ? "token" : "USER";
  return [...(isDigest ? ["--proxy-digest"] : []), `--proxy-user ${user}`];
}

/** The address, or else a name, that the certificate is for. */
function chooseName(certificate: X509Certificate, reachable: string): string {
  const isFor = parseIp(reachable) ? certificate.checkIP(reachable) : certificate.checkHost(reachable);
  if (isFor !== undefined) return reachable;
  const names = [...(certificate.subjectAltName ?? "").matchAll(/(?:^|, )DNS:([^",]+)/g)].map(([, name = ""]) => name);
  return names.find((name) => !name.startsWith("*")) ?? reachable;
}

/** The file of the certificate, where it holds a root that nobody else trusts; undefined for one of a public authority. */
function findAuthority(
  { file, cert }: { readonly file: string; readonly cert: string },
  { home, working }: Folders,
): string | undefined {
  const last = readPemCertificates(cert)?.at(-1);
  if (last === undefined || last.issuer !== last.subject) return undefined;
  const path = resolve(home, file);
  const near = relative(working, path);
  return near.startsWith("..") ? path : near;
}

/** A word for a POSIX shell. */
function quote(word: string): string {
  return /^[\w./@%+:,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** The folders for a configuration file, which is absolute, or for none. */
export function findFolders(file: string | undefined, working: string): Folders {
  return { home: file === undefined ? working : dirname(file), working };
}
