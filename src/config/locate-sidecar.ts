import { dirname, resolve } from "node:path";

import { completeVariables, findConfigFile, type FoundConfig } from "./find-config-file.ts";
import type { LoadOptions } from "./load.ts";
import { listVariables } from "./gather-materials.ts";
import { applyOverrides } from "./overrides.ts";
import { readList, readRecord } from "./plain-data.ts";
import type { Problem } from "./problem.ts";
import { readConfigFile } from "./read-config-file.ts";
import { readTextFile } from "./read-file.ts";
import { PERMISSIONS, type SidecarPlan } from "./sidecar.ts";
import { readSidecarTrust, type SidecarTrust } from "./sidecar-tls.ts";

/** A token that was found, and what it allows. */
interface LocatedToken {
  readonly token: string;
  readonly may: readonly unknown[];
}

/** Where the sidecar of a configuration listens, and its tokens. */
export interface LocatedSidecar {
  /** The configuration file, absolute; undefined where there is none. */
  readonly file: string | undefined;
  /** Why nobody knows whether the system folder has one. */
  readonly unseen: string | undefined;
  /** Undefined where it cannot be found. */
  readonly at: SidecarPlan["at"] | undefined;
  /** Those that can be found, the one that may do everything first. */
  readonly tokens: readonly LocatedToken[];
  /** Why others cannot be found: whole sentences. */
  readonly missing: readonly string[];
  /** How to verify it; undefined where it speaks no TLS. */
  readonly trust: SidecarTrust | undefined;
  /** Those that may hide the address. */
  readonly problems: readonly Problem[];
}

/**
 * Finds where the sidecar of a configuration listens, and looks at nothing else:
 * a proxy runs on when the file on disk has become invalid, and is asked then, too.
 */
export async function locateSidecar(options: Omit<LoadOptions, "terminal">): Promise<LocatedSidecar> {
  const { folder, flags } = options;
  const found = await findConfigFile(options);
  const { file, unseen }: Partial<FoundConfig> = found.ok ? found.value : {};
  const variables = completeVariables(options, file);
  const read = file === undefined ? undefined : await readConfigFile(file, options);
  const value = read?.ok ? read.value.value : {};
  const over = applyOverrides(value, variables, flags, folder, listVariables(value));
  const problems = [found, read].flatMap((each) => (each === undefined || each.ok ? [] : each.problems));
  const sidecar = readRecord(over.raw)["sidecar"];
  const home = file === undefined ? folder : dirname(file);
  const at = readAddress(sidecar, home);
  if (at === undefined && sidecar !== undefined)
    problems.push({ path: ["sidecar"], message: 'Found neither a port nor the path of a socket. Write "port: 9080".' });
  const { tokens, missing } = await readTokens(readRecord(sidecar), variables, home);
  const trust = await readTrust(readRecord(sidecar)["tls"], home);
  return { file, unseen, at, tokens, missing, trust, problems: [...problems, ...over.problems] };
}

async function readTokens(
  { token, tokens }: Readonly<Record<string, unknown>>,
  variables: LoadOptions["variables"],
  home: string,
): Promise<Pick<LocatedSidecar, "tokens" | "missing">> {
  const written = [{ token, may: PERMISSIONS }, ...readList(tokens).map(readRecord)];
  const found = await Promise.all(written.map((entry) => readToken(entry["token"], variables, home)));
  return {
    tokens: found.flatMap(({ text = "" }, at) =>
      text === "" ? [] : [{ token: text, may: readList(written[at]?.["may"]) }],
    ),
    missing: found.flatMap(({ missing }) => missing ?? []),
  };
}

/** A token that is written there, or in the variable or the file that is named there; or why it is not known. */
async function readToken(
  source: unknown,
  variables: LoadOptions["variables"],
  home: string,
): Promise<{ readonly text?: string | undefined; readonly missing?: string }> {
  if (typeof source === "string") return { text: source };
  const { env, file } = readRecord(source);
  if (typeof env === "string") {
    const text = variables[env];
    // A name that is not one may be the token itself.
    const name = /^[A-Z_][A-Z0-9_]{0,63}$/.test(env) ? `${env}, which` : "a variable that";
    return text === undefined ? { missing: `The configuration has it in ${name} is not set here.` } : { text };
  }
  if (typeof file !== "string") return {};
  const path = resolve(home, file);
  const read = await readTextFile(path, "secret");
  return read.ok ? { text: read.text.replace(/\r?\n$/, "") } : { missing: `Cannot read ${path}: ${read.reason}.` };
}

/** Files that cannot be read are left out: whom they let trust is not trusted. */
async function readTrust(written: unknown, home: string): Promise<SidecarTrust | undefined> {
  if (written === undefined) return undefined;
  const { cert, ca, client } = readRecord(written);
  const { cert: clientCert, key: clientKey } = readRecord(client);
  const ours = readText(cert);
  const authorities = typeof ca === "string" ? [ca] : readList(ca).flatMap((each) => readText(each) ?? []);
  const pair = { cert: readText(clientCert), key: readText(clientKey) };
  const texts = new Map<string, string>();
  for (const file of [ours, ...authorities, pair.cert, pair.key]) {
    const read = file === undefined ? undefined : await readTextFile(resolve(home, file), "pem");
    if (file !== undefined && read?.ok === true) texts.set(file, read.text);
  }
  const settings = {
    ...(ours !== undefined && { cert: ours }),
    ...(ca !== undefined && { ca: authorities }),
    ...(pair.cert !== undefined && pair.key !== undefined && { client: { cert: pair.cert, key: pair.key } }),
  };
  return readSidecarTrust(settings, (file) => texts.get(file));
}

function readText(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function readAddress(sidecar: unknown, home: string): SidecarPlan["at"] | undefined {
  const { unix, port, host = "127.0.0.1" } = readRecord(sidecar);
  if (typeof unix === "string") return { kind: "unix", path: resolve(home, unix) };
  return typeof port === "number" && typeof host === "string" ? { kind: "tcp", host, port } : undefined;
}
