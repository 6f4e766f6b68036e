import { resolve } from "node:path";

import { createAuthenticator } from "../proxy/auth/authenticate.ts";
import { CredentialCache } from "../proxy/auth/credential-cache.ts";
import { createCheckQueue, type VerifierOptions } from "../proxy/auth/password-verifier.ts";
import { supportsDigest } from "../proxy/auth/digest-verifier.ts";
import { parseHtpasswd } from "../proxy/auth/htpasswd.ts";
import type { Secret } from "../secret.ts";
import type { UserStore } from "../proxy/auth/user-store.ts";
import type { SplicePlan } from "../proxy/flow/engine.ts";
import type { Limits, Runtime, Timeouts } from "../proxy/runtime.ts";
import { writeEstablished } from "../proxy/read/reply.ts";
import { type CompiledListener, compileListeners } from "./compile-listener.ts";
import { asksEnvironment, compileAddressSet, compilePolicy, readRules } from "./compile-policy.ts";
import type { TlsFiles } from "./compile-tls.ts";
import { compileUpstreams } from "./compile-upstream.ts";
import { compileUserFile, compileUsers } from "./compile-users.ts";
import { compileNat64 } from "./dns.ts";
import { compileEnvironment } from "./environment.ts";
import type { FileGroup } from "./follow-files.ts";
import { compileForward } from "./forward.ts";
import { followTrustFiles, type RenewTrust } from "./follow-trust.ts";
import { findUnreachableRules } from "./find-unreachable-rules.ts";
import type { Materials } from "./materials.ts";
import { MALFORMED, type Parts, readWhole } from "./parts.ts";
import type { Checked, Problem } from "./problem.ts";
import { readDuration, readSize } from "./quantity.ts";
import { findSecret, listSecrets, redact } from "./secrets.ts";
import type { Config } from "./schema.ts";
import type { EnvironmentRoutes } from "../proxy/route/route.ts";

/** Where the sidecar listens, and what it asks for. */
interface SidecarPlan {
  readonly at:
    | { readonly kind: "tcp"; readonly host: string; readonly port: number }
    /** `path` is absolute. */
    | { readonly kind: "unix"; readonly path: string };
  readonly token?: Secret;
  /** Names that a Host field may have, beside those that it always may. */
  readonly allowedHosts: readonly string[];
}

/** What the access log looks like. */
type AccessForm = "json" | "text" | "off";

/** A configuration, ready to run. */
export interface CompiledConfig {
  readonly listeners: readonly CompiledListener[];
  readonly runtime: Runtime;
  readonly sidecar?: SidecarPlan;
  readonly log: { readonly access: AccessForm };
  /** Milliseconds that tunnels get to end by themselves after the program is told to stop. */
  readonly drainMs: number;
  /** Who drives connections in clear. */
  readonly sockets: "auto" | "runtime";
  readonly splice: SplicePlan;
  /** `auto`: run tunnels over a socket pair before the first client comes, so that their code is compiled. */
  readonly warmUp: "auto" | "off";
  readonly usersFile?: UsersFile;
  /** The certificates of each listener that speaks TLS, to be followed as their files change. */
  readonly tlsFiles: readonly TlsFiles[];
  /** The certificates for upstreams and origins, to be followed in the same way. */
  readonly trustFiles?: FileGroup<RenewTrust>;
  /** What the operator should know, though it is no error. */
  readonly warnings: readonly Problem[];
  /** The effective configuration for people: defaults filled in, secrets redacted. Plain JSON. */
  readonly effective: Readonly<Record<string, unknown>>;
  /** Every secret of it in plain, to be taken out of messages that are not our own. Not to be printed. */
  readonly secrets: readonly string[];
}

/**
 * Makes what the proxy runs on of a configuration that the schema has accepted.
 * Pure: files and variables have been read into `materials`. Tells of what can
 * only be judged with them: hashes, certificates, conventional variables.
 */
export function compileConfig(config: Config, materials: Materials): Checked<CompiledConfig> {
  const problems: Problem[] = [];
  const keep = <T>(part: { problems: readonly Problem[] } & T): T => {
    problems.push(...part.problems);
    return part;
  };
  const users = compileUsers(config.users, materials);
  if (!users.ok) keep(users);
  const { listeners, tlsFiles, warnings } = keep(compileListeners(config.listen, materials));
  const { upstreams } = keep(compileUpstreams(config, materials));
  const { forward } = keep(compileForward(config.forward, materials));
  const environment = asksEnvironment(config) ? keep(compileEnvironment(materials.variables)).routes : undefined;
  if (users.ok) problems.push(...findDigestProblems(config, users.value));
  problems.push(...findSocketProblems(config.sidecar?.unix, materials.folder));
  if (problems.length > 0 || !users.ok) return { ok: false, problems };
  const access = config.log.access ?? (materials.terminal ? "text" : "json");
  // One memory and one queue for all users files to come: nobody is verified anew without a reason, and bounds hold for all.
  const checks = { cache: new CredentialCache(), queue: createCheckQueue(users.value?.kind ?? "list") };
  const authenticator = compileAuthenticator(config, users.value, checks);
  const rules = readRules(config.rules);
  const policy = compilePolicy(config, rules);
  const runtime = compileRuntime(config, { authenticator, policy, forward, upstreams, environment });
  const usersFile = compileUsersFile(config, materials, runtime, checks);
  const trustFiles = followTrustFiles(config, materials);
  return {
    ok: true,
    value: {
      listeners,
      runtime,
      ...(config.sidecar && {
        sidecar: compileSidecar(config.sidecar, materials),
      }),
      log: { access },
      drainMs: readDuration(config.timeouts.drain),
      sockets: config.sockets,
      splice: { mode: config.splice, afterBytes: readSize(config.spliceAfter) },
      warmUp: config.warmUp,
      ...(usersFile && { usersFile }),
      tlsFiles,
      ...(trustFiles && { trustFiles }),
      warnings: [...warnings, ...(usersFile ? findUserWarnings(usersFile) : []), ...findUnreachableRules(rules)],
      effective: describeEffective(config, access),
      secrets: listSecrets(config, materials),
    },
  };
}

/**
 * What only the materials show to be wrong with the parts of a configuration that
 * cannot be compiled as a whole, so that it is told with the rest.
 */
export function findMaterialProblems(parts: Parts<Config>, materials: Materials): Problem[] {
  if (parts === MALFORMED) return [];
  const listen = readWhole(parts.listen);
  const users = compileUsers(readWhole(parts.users), materials);
  const upstreams = readWhole(parts.upstreams);
  return [
    ...(listen ? compileListeners(listen, materials).problems : []),
    ...(users.ok ? [] : users.problems),
    ...(upstreams ? compileUpstreams({ upstream: undefined, upstreams }, materials).problems : []),
  ];
}

/** The configuration as it holds, for people. */
function describeEffective(config: Config, access: AccessForm): Readonly<Record<string, unknown>> {
  const { $schema: _, ...settings } = config;
  const { upstream } = config;
  const implied = upstream === undefined ? "direct" : upstream === "environment" ? upstream : "upstream";
  const filled = { ...settings, default: config.default ?? implied, log: { ...config.log, access } };
  return redact(filled) as Readonly<Record<string, unknown>>;
}

function findUserWarnings({ path, text }: UsersFile): Problem[] {
  const parsed = parseHtpasswd(text);
  if (!parsed.ok || parsed.users.length > 0) return [];
  return [{ path: ["users", "file"], message: `${path} has no users: nobody can use the proxy until it has.` }];
}

/** An htpasswd file to watch. */
interface UsersFile {
  /** Absolute. */
  readonly path: string;
  /** The text that is in use. */
  readonly text: string;
  /** The runtime with the users of a new `text` of the file and everything else as it was; or why it cannot be used. */
  recompile(text: string): Checked<Runtime>;
}

function compileUsersFile(
  config: Config,
  materials: Materials,
  runtime: Runtime,
  checks: Checks,
): UsersFile | undefined {
  const { users } = config;
  if (typeof users !== "object" || Array.isArray(users)) return undefined;
  return {
    path: resolve(materials.folder, users.file),
    text: materials.files.get(users.file) ?? "",
    recompile(text) {
      const store = compileUserFile(users.file, text);
      if (!store.ok) return store;
      const authenticator = compileAuthenticator(config, store.value, checks);
      return { ok: true, value: { ...runtime, authenticator } };
    },
  };
}

/** The name of this proxy in `Proxy-Agent`, `Proxy-Status` and `Via`. */
const AGENT = "penstock";

/** What is compiled from more than its own section, or may be wrong by itself. */
type RuntimeParts = Pick<Runtime, "authenticator" | "policy" | "forward" | "upstreams"> & {
  readonly environment: EnvironmentRoutes | undefined;
};

function compileRuntime(config: Config, { environment, ...parts }: RuntimeParts): Runtime {
  return {
    ...parts,
    ...(environment && { environment }),
    ...(config.dns.nat64 !== undefined && { nat64: compileNat64(config.dns.nat64) }),
    inspect: config.inspect,
    timeouts: compileTimeouts(config.timeouts),
    limits: compileLimits(config.limits),
    ...(config.clients && { clients: compileAddressSet(config.clients) }),
    agent: AGENT,
    established: writeEstablished(AGENT),
  };
}

/** Bytes of the path of a Unix socket: sun_path of unix(7) less its NUL. */
const MAX_SOCKET_PATH = 107;

function findSocketProblems(unix: string | undefined, folder: string): Problem[] {
  if (unix === undefined || Buffer.byteLength(resolve(folder, unix)) <= MAX_SOCKET_PATH) return [];
  const message = `The path is too long for a socket. Write one of at most ${MAX_SOCKET_PATH} bytes, its folder included.`;
  return [{ path: ["sidecar", "unix"], message }];
}

/** Digest is computed from the password itself: hashes and functions cannot verify it. */
function findDigestProblems({ auth }: Config, users: UserStore | undefined): Problem[] {
  const path = ["auth", "schemes"];
  if (auth.schemes.length === 0) return [{ path, message: 'Found no scheme. Write "basic", "digest" or both.' }];
  if (!auth.schemes.includes("digest") || users === undefined || supportsDigest(users)) return [];
  const message = 'Digest needs a user whose password is in "users" in plain. Leave "digest" out, or add one.';
  return [{ path, message }];
}

/** What outlives a change of the users. */
type Checks = Required<Pick<VerifierOptions, "cache" | "queue">>;

function compileAuthenticator(config: Config, users: UserStore | undefined, checks: Checks) {
  return createAuthenticator({
    ...(users && { users }),
    realm: config.auth.realm,
    schemes: config.auth.schemes,
    cacheTtlMs: readDuration(config.auth.cacheTtl),
    hookDeadlineMs: readDuration(config.timeouts.hook),
    ...checks,
  });
}

function compileTimeouts(timeouts: Config["timeouts"]): Timeouts {
  return {
    handshakeMs: readDuration(timeouts.handshake),
    connectMs: readDuration(timeouts.connect),
    responseMs: readDuration(timeouts.response),
    idleMs: readDuration(timeouts.idle),
    hookMs: readDuration(timeouts.hook),
  };
}

function compileLimits(limits: Config["limits"]): Limits {
  return {
    connections: limits.connections,
    connectionsPerUser: limits.perUser.connections,
    connectionsPerClient: limits.perClient.connections,
    clientPrefix: limits.perClient.prefix,
    head: { maxBytes: readSize(limits.headBytes), maxFields: limits.headFields },
  };
}

function compileSidecar(sidecar: NonNullable<Config["sidecar"]>, materials: Materials): SidecarPlan {
  const token = findSecret(sidecar.token, materials);
  return {
    at:
      sidecar.unix === undefined
        ? {
            kind: "tcp",
            host: sidecar.host ?? "127.0.0.1",
            port: sidecar.port ?? 0,
          }
        : { kind: "unix", path: resolve(materials.folder, sidecar.unix) },
    ...(token && { token }),
    allowedHosts: sidecar.allowedHosts ?? [],
  };
}
