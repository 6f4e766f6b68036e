import { resolve } from "node:path";
import type * as z from "zod";

import { toAsciiHost } from "../address/host.ts";
import type { Secret } from "../secret.ts";
import type { TlsFiles } from "./compile-tls.ts";
import { count, list, secret, settings, text, unquoted, word } from "./fields.ts";
import { isLoopbackHost } from "./listener-address.ts";
import { type Binding, bindableHost } from "./listener-schema.ts";
import type { Materials } from "./materials.ts";
import { TOKEN_VARIABLE } from "./overrides.ts";
import { checked, MALFORMED, type Parts } from "./parts.ts";
import { formatPath, type Problem, quoteValue } from "./problem.ts";
import { pemTexts, type References, secretTexts } from "./references.ts";
import { findSecret } from "./secrets.ts";
import { compileSidecarTls, findSidecarTlsProblems, type SidecarTlsPlan, sidecarTlsSchema } from "./sidecar-tls.ts";

const hostName = () =>
  text('a name such as "penstock.example"', (value) =>
    toAsciiHost(value).ok
      ? undefined
      : 'is not the name of a host. Write one such as "penstock.example", without a port',
  );

/** What a token may allow, all of it. */
export const PERMISSIONS = ["read", "operate", "capture"] as const;

/** What a token may allow. */
export type Permission = (typeof PERMISSIONS)[number];

const tokenSettings = settings(
  {
    name: text('a name such as "grafana"', (value) =>
      /^[A-Za-z0-9._-]{1,64}$/.test(value)
        ? undefined
        : "is not a name for a token. Write at most 64 letters, digits, dots, hyphens and underscores",
    ).describe("Name of the token: answers that refuse it have it."),
    token: secret().describe("The bearer token itself."),
    may: list(word(PERMISSIONS), 'a list of "read", "operate" and "capture"').describe(
      "What the token allows, each by itself: `read` looks at the proxy, `operate` ends tunnels, disables members of pools, drains, reloads and hands over, `capture` records what clients and targets send.",
    ),
  },
  'a map such as { name: "grafana", token: { env: "NAME" }, may: ["read"] }',
  unquoted,
);

const sidecarFields = {
  port: count(0, 65535).describe("TCP port; 0 lets the system choose a free one. Either this or `unix`.").optional(),
  host: bindableHost()
    .describe("IP address to bind, or `localhost`. Beyond loopback it needs `token` or `tokens`. Default: `127.0.0.1`.")
    .optional(),
  unix: text("the path of a socket")
    .describe("Path of a Unix socket, relative to the configuration file. Either this or `port`.")
    .optional(),
  allowedHosts: list(hostName(), 'a list of names such as ["penstock.example"]')
    .describe(
      "Names that the Host field of a request to the sidecar may have, beside addresses, `localhost`, the name of the machine and those in the certificate of `tls`. Health is answered under any name.",
    )
    .optional(),
  token: secret()
    .describe(
      "Bearer token that may do everything. Without `token` and `tokens` only health is served, and `/proxy.pac`.",
    )
    .optional(),
  tokens: list(
    tokenSettings,
    'a list of maps such as { name: "grafana", token: { env: "NAME" }, may: ["read"] }',
    unquoted,
  )
    .describe(
      "More bearer tokens, each for what it is needed for. No two names, and no two tokens, may be the same. Whoever may not do something gets 403.",
    )
    .optional(),
  tls: sidecarTlsSchema.optional(),
};

const sidecarSettings = settings(sidecarFields, "a map such as { port: 9080 }", unquoted);

export const sidecarReferences: References = { texts: { ...secretTexts, ...pemTexts } };

export const sidecarSchema = checked(sidecarSettings, ({ host, port, unix, token, tokens, tls }) => {
  const problems: Problem[] = [];
  const tell = (path: PropertyKey[], message: string) => problems.push({ path, message });
  if (port === undefined && unix === undefined)
    tell([], 'Neither "port" nor "unix" is set. Write "port: 9080", or the path of a socket in "unix".');
  else if (port !== undefined && unix !== undefined) tell([], 'Both "port" and "unix" are set. Leave one of them out.');
  problems.push(...findNamesTwice(tokens));
  if (unix !== undefined && tls !== undefined)
    tell(["tls"], 'A Unix socket needs no TLS: only its owner can connect. Leave out "tls" or "unix".');
  if (host === undefined || host === MALFORMED) return problems;
  if (unix !== undefined) tell(["host"], 'A Unix socket has no host. Leave out "host" or "unix".');
  else if (!isLoopbackHost(host) && token === undefined && tokens === undefined)
    tell(
      ["host"],
      `Cannot bind ${quoteValue(host)}: the sidecar has no token. Set "sidecar.token", or bind it to 127.0.0.1.`,
    );
  return problems;
})
  .describe("Health, metrics, configuration and live tunnels over HTTP. Off unless set.")
  .optional();

type SidecarSettings = NonNullable<z.output<typeof sidecarSchema>>;

function findNamesTwice(tokens: Parts<SidecarSettings["tokens"]>): Problem[] {
  if (tokens === undefined || tokens === MALFORMED) return [];
  const names = tokens.map((entry) => (entry === MALFORMED || entry.name === MALFORMED ? undefined : entry.name));
  return names.flatMap((name, at) =>
    name === undefined || names.indexOf(name) === at
      ? []
      : {
          path: ["tokens", at, "name"],
          message: `Found ${quoteValue(name)} twice. Give each token a name of its own.`,
        },
  );
}

export function readSidecarPort(sidecar: Parts<SidecarSettings | undefined>): Binding | undefined {
  if (sidecar === undefined || sidecar === MALFORMED) return undefined;
  const { port, host = "127.0.0.1", unix } = sidecar;
  if (typeof port !== "number" || host === MALFORMED || unix !== undefined) return undefined;
  return { host, port, path: ["sidecar", "port"] };
}

/** A token of the sidecar, and what it allows. */
export interface TokenPlan {
  /** Undefined for the token that may do everything. */
  readonly name?: string;
  readonly token: Secret;
  readonly may: ReadonlySet<Permission>;
}

/** Where the sidecar listens, and what it asks for. */
export interface SidecarPlan {
  readonly at:
    | { readonly kind: "tcp"; readonly host: string; readonly port: number }
    /** `path` is absolute. */
    | { readonly kind: "unix"; readonly path: string };
  /** All tokens: the one that may do everything first. */
  readonly tokens: readonly TokenPlan[];
  /** Names that a Host field may have, beside those that it always may. */
  readonly allowedHosts: readonly string[];
  readonly tls?: SidecarTlsPlan;
}

/** Bytes of the path of a Unix socket: sun_path of unix(7) less its NUL. */
const MAX_SOCKET_PATH = 107;

/** Reports what only the files and variables show: a path that no system can bind, and tokens that nobody could tell apart or present. */
export function findSidecarProblems(sidecar: SidecarSettings | undefined, materials: Materials): Problem[] {
  if (sidecar === undefined) return [];
  const { unix, token, tokens = [] } = sidecar;
  const problems: Problem[] = [];
  if (unix !== undefined && Buffer.byteLength(resolve(materials.folder, unix)) > MAX_SOCKET_PATH) {
    const message = `The path is too long for a socket. Write one of at most ${MAX_SOCKET_PATH} bytes, its folder included.`;
    problems.push({ path: ["sidecar", "unix"], message });
  }
  if (sidecar.tls !== undefined) problems.push(...findSidecarTlsProblems(sidecar.tls, materials));
  const places = [
    ...(token === undefined || isShownToken(sidecar, materials) ? [] : [{ path: ["sidecar", "token"], source: token }]),
    ...tokens.map((entry, at) => ({ path: ["sidecar", "tokens", at, "token"], source: entry.token })),
  ];
  const seen = new Map<string, readonly PropertyKey[]>();
  for (const { path, source } of places) {
    const secretText = findSecret(source, materials)?.reveal();
    if (secretText === undefined) continue;
    const other = seen.get(secretText);
    if (other !== undefined)
      problems.push({ path, message: `Found the same token as in ${formatPath(other)}. Give each its own.` });
    else if (!/^[\x21-\x7e]+$/.test(secretText)) problems.push({ path, message: UNUSABLE_TOKEN });
    seen.set(secretText, path);
  }
  return problems;
}

const UNUSABLE_TOKEN =
  "The token has a space, a control character or one beyond ASCII, so no client can send it. Write one of visible ASCII characters.";

/** Whether `token` is one of `tokens` that the variable has for the commands: it must not become the one that may do everything. */
function isShownToken({ token, tokens = [] }: SidecarSettings, materials: Materials): boolean {
  const shown = materials.variables[TOKEN_VARIABLE];
  return token === shown && tokens.some((entry) => findSecret(entry.token, materials)?.reveal() === shown);
}

/** The sidecar, its certificates to follow, and warnings. */
export interface CompiledSidecar {
  readonly plan: SidecarPlan;
  readonly tlsFiles: readonly TlsFiles[];
  readonly warnings: readonly Problem[];
}

export function compileSidecar(sidecar: SidecarSettings, materials: Materials): CompiledSidecar {
  const tls = sidecar.tls && compileSidecarTls(sidecar.tls, materials);
  const isOpen = sidecar.host !== undefined && !isLoopbackHost(sidecar.host);
  return {
    plan: { ...compilePlan(sidecar, materials), ...(tls && { tls: tls.plan }) },
    tlsFiles: tls ? [tls.files] : [],
    warnings: tls
      ? tls.warnings
      : isOpen && sidecar.tls === undefined
        ? [{ path: ["sidecar", "host"], message: IN_CLEAR }]
        : [],
  };
}

const IN_CLEAR =
  'Beyond loopback the token and all answers travel in clear. Set "sidecar.tls", or put a server with TLS before it.';

function compilePlan(sidecar: SidecarSettings, materials: Materials): SidecarPlan {
  return {
    at:
      sidecar.unix === undefined
        ? { kind: "tcp", host: sidecar.host ?? "127.0.0.1", port: sidecar.port ?? 0 }
        : { kind: "unix", path: resolve(materials.folder, sidecar.unix) },
    tokens: compileTokens(sidecar, materials),
    allowedHosts: sidecar.allowedHosts ?? [],
  };
}

function compileTokens(sidecar: SidecarSettings, materials: Materials): TokenPlan[] {
  const all = isShownToken(sidecar, materials) ? undefined : findSecret(sidecar.token, materials);
  const named = (sidecar.tokens ?? []).flatMap(({ name, token, may }): TokenPlan[] => {
    const found = findSecret(token, materials);
    return found === undefined ? [] : [{ name, token: found, may: new Set(may) }];
  });
  return [...(all ? [{ token: all, may: new Set(PERMISSIONS) }] : []), ...named];
}

/** A token that may do something, for a program that has the configuration. */
export function pickToken({ tokens }: Pick<SidecarPlan, "tokens">, permission: Permission): Secret | undefined {
  return tokens.find(({ may }) => may.has(permission))?.token;
}
