import { resolve } from "node:path";
import type { ArgsDef } from "citty";
import type { CompiledConfig } from "../config/compile.ts";
import { isLoopbackHost, nameReachable, parseListenerAddress } from "../config/listener-address.ts";
import { type LocatedSidecar, locateSidecar } from "../config/locate-sidecar.ts";
import { formatProblem, quoteValue } from "../config/problem.ts";
import { TOKEN_VARIABLE } from "../config/overrides.ts";
import type { Permission, SidecarPlan } from "../config/sidecar.ts";
import type { SidecarTrust } from "../config/sidecar-tls.ts";
import { formatListener } from "../gate/listeners.ts";
import { createFetchTls } from "../net/http/fetch-tls.ts";
import type { CommandInput } from "./command.ts";
import type { CliIo } from "./io.ts";
import { configArgs, describeSearch } from "./config-args.ts";

const DEFAULT_SIDECAR: SidecarPlan["at"] = { kind: "tcp", host: "127.0.0.1", port: 9080 };

/** The flag of every command that asks a running proxy. */
export const sidecarFlag = {
  sidecar: {
    type: "string",
    valueHint: "URL|SOCKET",
    description:
      "The sidecar to ask, as http://host:port, https://host:port, host:port or the path of a Unix socket. Default: that of the configuration, or else http://127.0.0.1:9080.",
  },
} satisfies ArgsDef;

/** The flags of the commands that ask a running proxy, and need its token. */
export const sidecarArgs = {
  ...sidecarFlag,
  token: {
    type: "string",
    valueHint: "TOKEN",
    description: `Token of the sidecar. The process list shows it: better in ${TOKEN_VARIABLE}. Default: that of the configuration, for a sidecar on this machine.`,
  },
  config: {
    ...configArgs.config,
    description:
      "Configuration file that says where the sidecar is. Default: that of the working folder, or else of /etc/penstock.",
  },
} satisfies ArgsDef;

/** Where requests to a sidecar go. */
export interface SidecarPlace {
  /** With a Unix socket only the path of the request counts. */
  readonly url: URL;
  readonly unix: string | undefined;
  /** Options of `fetch`, for `https`. */
  readonly tls?: BunFetchRequestInitTLS;
}

/** How to reach a path of the sidecar. */
export interface SidecarAccess extends SidecarPlace {
  readonly token: string;
}

type Asking = Pick<CommandInput, "value" | "io">;

/**
 * How to ask the sidecar that the flags, the environment or the configuration
 * name; or what is wrong with that. `needs` is what the token should allow, the
 * most important first: a configuration can have several.
 */
export async function findSidecar(
  input: Asking,
  path: string,
  needs: readonly [Permission, ...Permission[]] = ["read"],
): Promise<SidecarAccess | string> {
  const { value, io } = input;
  const place = await locate(input, path);
  if (typeof place === "string") return place;
  // Another proxy must not be asked because the configuration of this one cannot be read.
  const problem = place.at === undefined ? (await place.located()).problems[0] : undefined;
  if (problem !== undefined) return `${formatProblem(problem)} Name the sidecar with --sidecar.`;
  const given = value("token") ?? io.variables[TOKEN_VARIABLE];
  // A sidecar that showed the certificate of the configuration may have its token, too.
  const isOurs = isOnThisMachine(place) || (value("sidecar") === undefined && place.tls !== undefined);
  io.note?.(`Asking the sidecar at ${place.unix ?? place.url.origin}.`);
  const token = given ?? (isOurs ? pickToken((await place.located()).tokens, needs) : "");
  if (token === "")
    return place.at === undefined
      ? describeUnset(await place.located(), io)
      : describeMissing(isOurs && (await place.located()));
  return { url: place.url, unix: place.unix, ...(place.tls && { tls: place.tls }), token };
}

function describeMissing(located: LocatedSidecar | false): string {
  const [why] = located === false ? [] : located.missing;
  return `Missing the token of the sidecar.${why === undefined ? "" : ` ${why}`} Set ${TOKEN_VARIABLE}.`;
}

/** Nothing names a sidecar, and there is no token for the default one. */
function describeUnset({ file, unseen }: LocatedSidecar, { folder, machine }: CliIo): string {
  if (unseen !== undefined)
    return `There is no configuration file in ${folder}. ${unseen} Run this as root, or name the configuration with --config.`;
  const none = [folder, ...(machine.configFolder === undefined ? [] : [machine.configFolder])].join(" and none in ");
  if (file !== undefined)
    return `"sidecar" is not set in ${file}, so that the running proxy cannot be asked. Set it, such as { "port": 9080, "token": { "file": "sidecar.token" } }, and reload; or name another sidecar with --sidecar, and its token in ${TOKEN_VARIABLE}.`;
  return `There is no configuration file in ${none}, so that no sidecar is known. Name the configuration with --config, or the sidecar with --sidecar and its token in ${TOKEN_VARIABLE}.`;
}

/** Where the sidecar is for a request that needs no token. `isNamed`: by a flag, the environment or the configuration. */
export async function findSidecarPlace(
  input: Asking,
  path: string,
): Promise<(SidecarPlace & Pick<LocatedSidecar, "problems"> & { readonly isNamed: boolean }) | string> {
  const place = await locate(input, path);
  if (typeof place === "string") return place;
  const problems = input.value("sidecar") === undefined ? (await place.located()).problems : [];
  return { ...place, problems, isNamed: place.at !== undefined };
}

/** The token that allows most of what is needed; any other one has the sidecar say what it lacks. */
function pickToken(tokens: Iterable<{ token: string; may: Iterable<unknown> }>, needs: readonly Permission[]): string {
  const all = [...tokens].map(({ token, may }) => ({ token, may: new Set(may) }));
  const [first] = needs;
  const best = all.find(({ may }) => needs.every((need) => may.has(need))) ?? all.find(({ may }) => may.has(first));
  return (best ?? all[0])?.token ?? "";
}

interface Place extends SidecarPlace {
  /** What names it; undefined for the default. */
  readonly at: SidecarPlan["at"] | URL | undefined;
  /** What the configuration says, which is read when somebody asks. */
  readonly located: () => Promise<LocatedSidecar>;
}

/** Where the sidecar is, or what is wrong with its address. */
async function locate({ value, io }: Asking, path: string): Promise<Place | string> {
  let found: Promise<LocatedSidecar> | undefined;
  const located = (): Promise<LocatedSidecar> => (found ??= readLocated({ value, io }));
  const given = value("sidecar");
  const at = given === undefined ? (await located()).at : readAddress(given, io.folder);
  if (typeof at === "string") return at;
  const trust = at instanceof URL || at?.kind === "tcp" ? (await located()).trust : undefined;
  const place = reach(at ?? DEFAULT_SIDECAR, path, trust);
  return place === undefined ? `${UNKNOWN_PORT} Name it with --sidecar HOST:PORT.` : { ...place, at, located };
}

async function readLocated(input: Asking): Promise<LocatedSidecar> {
  const located = await locateSidecar({ ...describeSearch(input), flags: {} });
  if (located.file !== undefined) input.io.note?.(`Configuration from ${located.file}.`);
  return located;
}

/**
 * The sidecar of a proxy that runs with this configuration, or an earlier version
 * of it, or the one that a flag names; or why it cannot be asked.
 */
export function findRunningSidecar(
  { sidecar }: CompiledConfig,
  { value, io }: Asking,
  path: string,
): SidecarAccess | string {
  const given = value("sidecar");
  const at = given === undefined ? sidecar?.at : readAddress(given, io.folder);
  if (at === undefined) return '"sidecar" is not set';
  if (typeof at === "string") return at.replace(/\.$/, "");
  const place = reach(at, path, sidecar?.tls?.trust);
  if (place === undefined) return UNKNOWN_PORT.replace(/\.$/, "");
  const isOurs = given === undefined || isOnThisMachine(place);
  const own = isOurs ? (sidecar?.tokens ?? []).map(({ token, may }) => ({ token: token.reveal(), may })) : [];
  const token = io.variables[TOKEN_VARIABLE] ?? pickToken(own, ["read"]);
  return token === ""
    ? `Missing the token of the sidecar. Set "sidecar.token", or ${TOKEN_VARIABLE}`
    : { ...place, token };
}

/** The input of a command whose `--sidecar` is the one to ask, and not a setting. */
export function withoutSidecar(input: CommandInput): CommandInput {
  return { ...input, value: (name) => (name === "sidecar" ? undefined : input.value(name)) };
}

const UNKNOWN_PORT = '"sidecar.port" is 0, so nobody knows where the running proxy has it.';

/** Where `--sidecar` points to, or what is wrong with it. */
function readAddress(text: string, folder: string): SidecarPlan["at"] | URL | string {
  if (text.startsWith("unix:")) return { kind: "unix", path: resolve(folder, text.slice("unix:".length)) };
  if (/^https?:\/\/[^/?#@]+\/?$/.test(text) && URL.canParse(text)) return new URL(text);
  if (!text.includes("://") && /[/]|\.sock(?:et)?$/.test(text)) return { kind: "unix", path: resolve(folder, text) };
  const parsed = parseListenerAddress(text);
  if (parsed.ok) return { kind: "tcp", ...parsed.value };
  if (/^[a-z\d](?:[a-z\d.-]*[a-z\d])?:\d{1,5}$/i.test(text) && URL.canParse(`http://${text}`))
    return new URL(`http://${text}`);
  return `--sidecar is ${quoteValue(text)}. Wanted is http://host:port, host:port or the path of a Unix socket.`;
}

/** Where a request for `path` goes; undefined when the system chose the port. */
function reach(at: SidecarPlan["at"] | URL, path: string, trust: SidecarTrust | undefined): SidecarPlace | undefined {
  const tls = trust && createFetchTls(trust);
  if (at instanceof URL)
    return { url: new URL(path, at), unix: undefined, ...(tls && at.protocol === "https:" && { tls }) };
  if (at.kind === "unix") return { url: new URL(path, "http://localhost"), unix: at.path };
  if (at.port === 0) return undefined;
  const base = `${tls ? "https" : "http"}://${formatListener(nameReachable(at.host), at.port)}`;
  return { url: new URL(path, base), unix: undefined, ...(tls && { tls }) };
}

/** Whether a token of a configuration of this machine goes to nobody else. */
function isOnThisMachine({ url, unix }: SidecarPlace): boolean {
  return unix !== undefined || isLoopbackHost(url.hostname.replace(/^\[(.*)\]$/, "$1"));
}
