import { resolve } from "node:path";
import type { ArgsDef } from "citty";
import { quoteValue } from "../config/problem.ts";
import type { CompiledConfig } from "../config/compile.ts";
import { pickToken } from "../config/sidecar.ts";
import { isRecord } from "../config/plain-data.ts";
import { formatListener } from "../gate/listeners.ts";
import type { CommandInput } from "./command.ts";
import type { CliIo } from "./io.ts";

const DEFAULT_SIDECAR = "http://127.0.0.1:9080";
/** The variable that sets the token of the sidecar. */
export const TOKEN_VARIABLE = "PENSTOCK_SIDECAR_TOKEN";

/** The flags of every command that talks to a running proxy. */
export const sidecarArgs = {
  sidecar: {
    type: "string",
    valueHint: "URL",
    description: `Address of the sidecar, as http://host:port or unix:PATH. Default: ${DEFAULT_SIDECAR}.`,
  },
  token: {
    type: "string",
    valueHint: "TOKEN",
    description: `Token of the sidecar. The process list shows it: better in ${TOKEN_VARIABLE}.`,
  },
} satisfies ArgsDef;

/** How to reach a path of the sidecar. */
export interface SidecarAccess {
  /** With a Unix socket only the path of the request counts. */
  readonly url: URL;
  readonly unix: string | undefined;
  readonly token: string;
}

/** What the flags and the environment say about the sidecar, or what is wrong with that. */
export function readSidecarAccess(
  { value, io }: Pick<CommandInput, "value" | "io">,
  path: string,
): SidecarAccess | string {
  const token = value("token") ?? io.variables[TOKEN_VARIABLE];
  if (token === undefined || token === "") return `Missing the token of the sidecar. Set ${TOKEN_VARIABLE}.`;
  const sidecar = value("sidecar") ?? DEFAULT_SIDECAR;
  const unix = sidecar.startsWith("unix:") ? resolve(io.folder, sidecar.slice("unix:".length)) : undefined;
  const base = unix === undefined ? sidecar : "http://localhost";
  if (!/^https?:\/\/[^/?#]+\/?$/.test(base) || !URL.canParse(base))
    return `--sidecar is ${quoteValue(sidecar)}. Wanted is http://host:port or unix:PATH.`;
  return { url: new URL(path, base), unix, token };
}

/** The sidecar of a proxy that runs with this configuration, or an earlier version of it; or why it cannot be asked. */
export function findRunningSidecar({ sidecar }: CompiledConfig, io: CliIo, path: string): SidecarAccess | string {
  if (sidecar === undefined) return '"sidecar" is not set';
  const { at } = sidecar;
  if (at.kind === "tcp" && at.port === 0) return '"sidecar.port" is 0, so nobody knows where the running proxy has it';
  const token =
    io.variables[TOKEN_VARIABLE] ?? (pickToken(sidecar, "read") ?? sidecar.tokens[0]?.token)?.reveal() ?? "";
  if (token === "") return `Missing the token of the sidecar. Set "sidecar.token", or ${TOKEN_VARIABLE}`;
  const base = at.kind === "tcp" ? `http://${formatListener(at.host, at.port)}` : "http://localhost";
  return { url: new URL(path, base), unix: at.kind === "unix" ? at.path : undefined, token };
}

/** The answer, or why there is none. */
export function askSidecar(
  access: SidecarAccess,
  url: URL,
  method: string,
  signal?: AbortSignal,
): Promise<Response | string> {
  return requestSidecar(access, url, { method, ...(signal && { signal }) });
}

/** What a request is beside its address. */
interface RequestParts {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** As `askSidecar`, with fields of its own. */
export async function requestSidecar(
  { unix, token }: SidecarAccess,
  url: URL,
  { method = "GET", headers, signal }: RequestParts,
): Promise<Response | string> {
  try {
    return await fetch(url, {
      method,
      redirect: "manual",
      headers: { ...headers, Authorization: `Bearer ${token}` },
      // Ignores the proxy variables of the environment; an empty text does not.
      proxy: false,
      ...(signal && { signal }),
      ...(unix !== undefined && { unix }),
    });
  } catch (error) {
    return `Cannot reach the sidecar at ${unix ?? url.origin}: ${describeError(error)}.`;
  }
}

/** What an RFC 9457 problem says. */
export async function readDetail(answer: Response): Promise<string> {
  const detail = (await readJson(answer))["detail"];
  return typeof detail === "string" ? detail : "it does not say why.";
}

/** The members of a JSON object; none when the answer is none. */
export async function readJson(answer: Response): Promise<Readonly<Record<string, unknown>>> {
  try {
    const body: unknown = JSON.parse(await answer.text());
    return isRecord(body) ? body : {};
  } catch {
    // Not an answer of our sidecar.
    return {};
  }
}

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}
