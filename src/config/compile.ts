import { resolve } from "node:path";

import { AddressSet } from "../address/address-set.ts";
import { type Authenticator, createAuthenticator } from "../proxy/auth/authenticate.ts";
import { CredentialCache } from "../proxy/auth/credential-cache.ts";
import { supportsDigest } from "../proxy/auth/digest-verifier.ts";
import type { Secret } from "../proxy/auth/secret.ts";
import type { UserStore } from "../proxy/auth/user-store.ts";
import type { ForwardSettings } from "../proxy/forward/forward-settings.ts";
import type { SplicePlan } from "../proxy/tunnel/engine.ts";
import type { Hop } from "../proxy/route/route.ts";
import type { EnvironmentRoutes, Limits, Runtime, Timeouts } from "../proxy/runtime.ts";
import { compileNat64 } from "./compile-dns.ts";
import { compileForward } from "./compile-forward.ts";
import { type CompiledListener, compileListeners } from "./compile-listener.ts";
import { asksEnvironment, compileCidrs, compilePolicy } from "./compile-policy.ts";
import type { TlsFiles } from "./compile-tls.ts";
import { compileUpstreams } from "./compile-upstream.ts";
import { compileUserFile, compileUsers } from "./compile-users.ts";
import { describeEffective } from "./effective.ts";
import { compileEnvironment } from "./environment.ts";
import { listenSchema } from "./listener-schema.ts";
import type { Materials } from "./materials.ts";
import type { Checked, Problem } from "./problem.ts";
import { parseDuration, parseSize } from "./quantity.ts";
import { readRecord } from "./raw.ts";
import { findSecret } from "./resolve-secret.ts";
import type { Config } from "./schema.ts";
import { upstreamsSchema } from "./upstream-schema.ts";
import { usersSchema } from "./users-schema.ts";

/** Where the sidecar listens, and what it asks for. */
interface SidecarPlan {
  readonly at:
    | { readonly kind: "tcp"; readonly host: string; readonly port: number }
    /** `path` is absolute. */
    | { readonly kind: "unix"; readonly path: string };
  readonly token?: Secret;
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
  readonly usersFile?: UsersFile;
  /** The certificates of each listener that speaks TLS, to be followed as their files change. */
  readonly tlsFiles: readonly TlsFiles[];
  /** The effective configuration for people: defaults filled in, secrets redacted. Plain JSON. */
  readonly effective: Readonly<Record<string, unknown>>;
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
  const { listeners, tlsFiles } = keep(compileListeners(config.listen, materials));
  const { upstreams } = keep(compileUpstreams(config, materials));
  const { forward } = keep(compileForward(config.forward, materials));
  const environment = asksEnvironment(config) ? keep(compileEnvironment(materials.variables)).routes : undefined;
  if (users.ok) problems.push(...findDigestProblems(config, users.value));
  if (problems.length > 0 || !users.ok) return { ok: false, problems };
  const access = config.log.access ?? (materials.terminal ? "text" : "json");
  // One cache for all users files to come, so that nobody is verified anew without a reason.
  const cache = new CredentialCache();
  const authenticator = compileAuthenticator(config, users.value, cache);
  const runtime = compileRuntime(config, authenticator, forward, upstreams, environment);
  const usersFile = compileUsersFile(config, materials, runtime, cache);
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
      ...(usersFile && { usersFile }),
      tlsFiles,
      effective: describeEffective(config, access),
    },
  };
}

/**
 * What only the materials show to be wrong with the listeners, the users and the
 * upstreams of a configuration that cannot be compiled, so that it is told with the rest.
 */
export function findMaterialProblems(raw: unknown, materials: Materials): Problem[] {
  const written = readRecord(raw);
  const users = usersSchema.safeParse(written["users"]);
  const compiled = users.success ? compileUsers(users.data, materials) : undefined;
  const upstreams = upstreamsSchema.safeParse(written["upstreams"]);
  const listen = listenSchema.safeParse(written["listen"]);
  return [
    ...(listen.success ? compileListeners(listen.data, materials).problems : []),
    ...(compiled?.ok === false ? compiled.problems : []),
    ...(upstreams.success
      ? compileUpstreams({ upstream: undefined, upstreams: upstreams.data }, materials).problems
      : []),
  ];
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
  cache: CredentialCache,
): UsersFile | undefined {
  const { users } = config;
  if (typeof users !== "object" || Array.isArray(users)) return undefined;
  return {
    path: resolve(materials.folder, users.file),
    text: materials.files.get(users.file) ?? "",
    recompile(text) {
      const store = compileUserFile(users.file, text);
      if (!store.ok) return store;
      const authenticator = compileAuthenticator(config, store.value, cache);
      return { ok: true, value: { ...runtime, authenticator } };
    },
  };
}

function compileRuntime(
  config: Config,
  authenticator: Authenticator,
  forward: ForwardSettings,
  upstreams: ReadonlyMap<string, Hop>,
  environment: EnvironmentRoutes | undefined,
): Runtime {
  return {
    authenticator,
    policy: compilePolicy(config),
    upstreams,
    ...(environment && { environment }),
    ...(config.dns.nat64 !== undefined && { nat64: compileNat64(config.dns.nat64) }),
    forward,
    inspect: config.inspect,
    timeouts: compileTimeouts(config.timeouts),
    limits: compileLimits(config.limits),
    ...(config.clients && { clients: new AddressSet(compileCidrs(config.clients)) }),
    agent: "penstock",
  };
}

/** Digest is computed from the password itself: hashes and functions cannot verify it. */
function findDigestProblems({ auth }: Config, users: UserStore | undefined): Problem[] {
  const path = ["auth", "schemes"];
  if (auth.schemes.length === 0) return [{ path, message: 'Found no scheme. Write "basic", "digest" or both.' }];
  if (!auth.schemes.includes("digest") || users === undefined || supportsDigest(users)) return [];
  const message = 'Digest needs a user whose password is in "users" in plain. Leave "digest" out, or add one.';
  return [{ path, message }];
}

function compileAuthenticator(config: Config, users: UserStore | undefined, cache: CredentialCache) {
  return createAuthenticator({
    ...(users && { users }),
    realm: config.auth.realm,
    schemes: config.auth.schemes,
    cacheTtlMs: readDuration(config.auth.cacheTtl),
    hookDeadlineMs: readDuration(config.timeouts.hook),
    cache,
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
    headBytes: readSize(limits.headBytes),
    headFields: limits.headFields,
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
  };
}

function readDuration(text: string): number {
  const parsed = parseDuration(text);
  if (!parsed.ok) throw new Error(`The duration ${text} is unchecked`);
  return parsed.value;
}

function readSize(text: string): number {
  const parsed = parseSize(text);
  if (!parsed.ok) throw new Error(`The size ${text} is unchecked`);
  return parsed.value;
}
