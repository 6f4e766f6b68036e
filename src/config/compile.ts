import { type AccessForm, compileLog, findLogWarnings, type LogPlan } from "./log.ts";
import { resolve } from "node:path";

import { createAuthenticator } from "../proxy/auth/authenticate.ts";
import { supportsDigest } from "../proxy/auth/digest-verifier.ts";
import { parseHtpasswd } from "../proxy/auth/htpasswd.ts";
import type { UserStore } from "../proxy/auth/user-store.ts";
import type { SplicePlan } from "../proxy/flow/engine.ts";
import type { Runtime, Timeouts } from "../proxy/runtime.ts";
import { writeEstablished } from "../proxy/read/reply.ts";
import { findAcmeProblems, findAcmeWarnings } from "./compile-acme.ts";
import { type ApprovalsPlan, compileApprovals, findApprovalWarnings } from "./approvals-schema.ts";
import { type BrowserPac, compileBrowserPac } from "./browser-pac.ts";
import { type CompiledListener, compileListeners } from "./compile-listener.ts";
import { asksEnvironment, compileAddressSet, compilePolicy, readRules } from "./compile-policy.ts";
import type { TlsFiles } from "./compile-tls.ts";
import { compilePacs, findPacProblems } from "./compile-pac.ts";
import { compileUpstreams, findUpstreamProblems } from "./compile-upstream.ts";
import { compileUserFile, compileUsers, compileUsersInSteps } from "./compile-users.ts";
import { compileNat64 } from "./dns.ts";
import { compileEnvironment } from "./environment.ts";
import type { FileGroup } from "./follow-files.ts";
import { takeFingerprintsInSteps } from "./fingerprints.ts";
import { compileForward } from "./forward.ts";
import { followTrustFiles, type RenewTrust } from "./follow-trust.ts";
import { compileExempt, listExemptNames } from "./exempt-schema.ts";
import { findRuleWebhookProblems, findRuleWebhookWarnings } from "./rule-webhook-schema.ts";
import { findTokenWarnings } from "./token-users-schema.ts";
import { findWebhookWarnings, type WebhookSettings } from "./webhook-schema.ts";
import { findUnreachableInSteps } from "./find-unreachable-rules.ts";
import { compileListsInSteps } from "./compile-lists.ts";
import type { ListsPlan } from "../lists/list-source.ts";
import { compileLimits, fillInConnections, findIdleLimits } from "./limits-schema.ts";
import { hasCertifiedUsers } from "./listener-schema.ts";
import type { Materials } from "./materials.ts";
import { MALFORMED, type Parts, readWhole } from "./parts.ts";
import type { Checked, Problem } from "./problem.ts";
import { readDuration, readSize } from "./quantity.ts";
import { compileRedis, findRedisProblems, findUnshared } from "./redis-schema.ts";
import { findEditProblems, findEditWarnings } from "./request-edits.ts";
import { findReportWarnings } from "./report-mode.ts";
import { listSecrets, redactInSteps } from "./secrets.ts";
import { compileSidecar, findSidecarProblems, type SidecarPlan } from "./sidecar.ts";
import type { Config } from "./schema.ts";
import { compileTelemetry } from "./telemetry.ts";
import type { TelemetryPlan } from "../telemetry/telemetry-plan.ts";
import { compileCalendar, compileState, findForgottenQuotas } from "./state.ts";
import type { EnvironmentRoutes } from "../proxy/route/route.ts";
import type { RedisPlan } from "../state/redis/redis-plan.ts";
import type { CalendarPlan } from "../proxy/limit/calendar.ts";
import type { StateFolderPlan } from "../state/state-folder.ts";
import { runAtOnce, type Steps } from "../steps.ts";
import type { PacPlan } from "../proxy/pac/pac-plan.ts";
import type { PacSource } from "../pac/followed-pac.ts";

/** A configuration, ready to run. */
export interface CompiledConfig {
  readonly listeners: readonly CompiledListener[];
  readonly runtime: Runtime;
  readonly sidecar?: SidecarPlan;
  /** Where things are kept across restarts. */
  readonly state?: StateFolderPlan;
  /** The server through which counts are shared with other proxies. */
  readonly redis?: RedisPlan;
  /** What rules that ask need. */
  readonly approvals: ApprovalsPlan;
  /** Who is told of traces and metrics; absent for nobody. */
  readonly telemetry?: TelemetryPlan;
  /** How days and months of use are counted. */
  readonly calendar: CalendarPlan;
  readonly log: LogPlan;
  /** Milliseconds for which connections are still accepted after a signal to stop. */
  readonly lameDuckMs: number;
  /** Milliseconds that tunnels get to end after accepting has stopped. */
  readonly drainMs: number;
  /** Milliseconds for connections that cannot move to a new process. */
  readonly handoverMs: number;
  /** `auto`: epoll for plain TCP on Linux; `runtime`: the sockets of the runtime. */
  readonly sockets: "auto" | "runtime";
  readonly splice: SplicePlan;
  /** `auto`: run tunnels over a socket pair before the first client comes, so that their code is compiled. */
  readonly warmUp: "auto" | "off";
  readonly usersFile?: UsersFile;
  /** The lists that rules use, to be followed as they change; absent for none. */
  readonly lists?: ListsPlan;
  /** The certificates of each listener that speaks TLS, to be followed as their files change. */
  readonly tlsFiles: readonly TlsFiles[];
  /** What `/proxy.pac` tells browsers. */
  readonly browserPac: BrowserPac;
  /** Where the PAC files are that choose upstreams. */
  readonly pacs: readonly PacSource[];
  /** The certificates for upstreams and origins, to be followed in the same way. */
  readonly trustFiles?: FileGroup<RenewTrust>;
  /** Warnings for the operator. */
  readonly warnings: readonly Problem[];
  /** Settings without a value, whose default is less where the process has no room for it. */
  readonly derived: readonly "limits.connections"[];
  /** The effective configuration for people: defaults filled in, secrets redacted. Plain JSON. */
  readonly effective: Readonly<Record<string, unknown>>;
  /** Hashes of what `effective` does not show. */
  readonly fingerprints: ReadonlyMap<string, string>;
  readonly reload: { readonly endDenied: boolean };
  /** Whether a change of the file, of what it imports or of the files that it names is a reload. */
  readonly watch: boolean;
  /** Every secret of it in plain, to be taken out of messages that are not our own. Not to be printed. */
  readonly secrets: readonly string[];
}

/**
 * Compiles a configuration that the schema has accepted into the runtime of the
 * proxy. Pure: `materials` holds files and variables. Reports what only they can
 * show: wrong hashes, certificates and conventional variables. `ownName` is for
 * `Via`, when it names none.
 */
export function compileConfig(config: Config, materials: Materials, ownName?: string): Checked<CompiledConfig> {
  return runAtOnce(compileInSteps(config, materials, ownName));
}

/** `compileConfig`, in steps. */
export function* compileInSteps(
  config: Config,
  materials: Materials,
  ownName?: string,
): Steps<Checked<CompiledConfig>> {
  const problems: Problem[] = [];
  const keep = <T>(part: { problems: readonly Problem[] } & T): T => {
    problems.push(...part.problems);
    return part;
  };
  const hookMs = readDuration(config.timeouts.hook);
  const users = yield* compileUsersInSteps(config.users, materials, config.auth.parameters, hookMs);
  if (!users.ok) keep(users);
  const { listeners, tlsFiles, warnings } = keep(compileListeners(config.listen, materials));
  const { upstreams } = keep(compileUpstreams(config, materials));
  const { pacs, sources, warnings: pacWarnings } = keep(compilePacs(config, materials));
  const { forward } = keep(compileForward(config.forward, materials, ownName));
  const environment = asksEnvironment(config) ? keep(compileEnvironment(materials.variables)).routes : undefined;
  if (users.ok) problems.push(...findDigestProblems(config, users.value));
  problems.push(...findSidecarProblems(config.sidecar, materials), ...findRedisProblems(config.state, materials));
  const state = compileState(config.state, materials);
  const { telemetry, warnings: telemetryWarnings } = keep(compileTelemetry(config.telemetry, materials));
  problems.push(...findEditProblems(config.rules, materials), ...findRuleWebhookProblems(config.rules, materials));
  const { plan: approvals } = keep(compileApprovals(config.approvals, materials, state, hookMs));
  const { redis, warnings: redisWarnings } = compileRedis(config.state, materials);
  const lists = keep(yield* compileListsInSteps(config, materials, state));
  problems.push(...findForgottenQuotas(config, [state, redis]));
  problems.push(...findAcmeProblems(listeners, state, config.sidecar?.port));
  if (problems.length > 0 || !users.ok) return { ok: false, problems };
  const log = compileLog(config.log, materials);
  const authenticator = compileAuthenticator(config, users.value);
  const rules = readRules(config, materials, lists.plan?.texts);
  const policy = yield* compilePolicy(config, rules);
  const limits = fillInConnections(config.limits);
  const runtime = compileRuntime(config, {
    limits: compileLimits(limits, listOwnLimits(config.users)),
    authenticator,
    policy,
    forward,
    upstreams,
    pacs,
    environment,
  });
  const webhook = findUsersWebhook(config.users);
  const usersFile = compileUsersFile(config, materials, runtime);
  const trustFiles = followTrustFiles(config, materials);
  const sidecar = config.sidecar && compileSidecar(config.sidecar, materials);
  const unreachable = yield* findUnreachableInSteps(rules, lists.rules);
  return {
    ok: true,
    value: {
      listeners,
      runtime,
      ...(sidecar && { sidecar: sidecar.plan }),
      ...(state && { state }),
      ...(redis && { redis }),
      approvals,
      ...(telemetry && { telemetry }),
      calendar: compileCalendar(config.state),
      log,
      lameDuckMs: readDuration(config.timeouts.lameDuck),
      drainMs: readDuration(config.timeouts.drain),
      handoverMs: readDuration(config.timeouts.handover),
      sockets: config.sockets,
      splice: { mode: config.splice, afterBytes: readSize(config.spliceAfter) },
      warmUp: config.warmUp,
      ...(usersFile && { usersFile }),
      ...(lists.plan && { lists: lists.plan }),
      tlsFiles: [...tlsFiles, ...(sidecar?.tlsFiles ?? [])],
      pacs: sources,
      browserPac: compileBrowserPac(config.pac),
      ...(trustFiles && { trustFiles }),
      warnings: [
        ...warnings,
        ...findAcmeWarnings(listeners, config.clients),
        ...pacWarnings,
        ...redisWarnings,
        ...findUnshared(config),
        ...findIdleLimits(
          limits,
          Array.from(listOwnLimits(config.users), ([, own]) => own),
          hasUsers(config),
        ),
        ...telemetryWarnings,
        ...findLogWarnings(config.log),
        ...lists.warnings,
        ...(sidecar?.warnings ?? []),
        ...(usersFile ? findUserWarnings(usersFile) : []),
        ...(webhook ? findWebhookWarnings(webhook, ["users"]) : []),
        ...(typeof config.users === "object" && "jwks" in config.users ? findTokenWarnings(config.users) : []),
        ...unreachable,
        ...findEditWarnings(config.rules),
        ...findRuleWebhookWarnings(config.rules),
        ...findApprovalWarnings(config.approvals),
        ...findReportWarnings(config),
      ],
      derived: config.limits.connections === undefined ? ["limits.connections"] : [],
      effective: yield* describeEffective({ ...config, limits }, log.access),
      reload: config.reload,
      watch: config.watch,
      fingerprints: yield* takeFingerprintsInSteps(config, materials),
      secrets: yield* listSecrets(config, materials),
    },
  };
}

/**
 * What only the materials show to be wrong in the parts of a configuration that
 * cannot be compiled as a whole, so that it is reported with the rest.
 */
export function findMaterialProblems(parts: Parts<Config>, materials: Materials): Problem[] {
  if (parts === MALFORMED) return [];
  const listen = readWhole(parts.listen);
  const users = compileUsers(readWhole(parts.users), materials, findParameters(parts.auth));
  const upstreams = readWhole(parts.upstreams);
  return [
    ...(listen ? compileListeners(listen, materials).problems : []),
    ...(users.ok ? [] : users.problems),
    ...(upstreams ? findUpstreamProblems(upstreams, materials) : []),
    ...(upstreams ? findPacProblems(upstreams, materials) : []),
    ...findEditProblems(readWhole(parts.rules), materials),
  ];
}

function findParameters(auth: Parts<Config["auth"]>): readonly string[] {
  const parameters = auth === MALFORMED || auth.parameters === undefined ? [] : auth.parameters;
  return readWhole<readonly string[]>(parameters) ?? [];
}

/** The configuration with its defaults, for people. */
function* describeEffective(config: Config, access: AccessForm): Steps<Readonly<Record<string, unknown>>> {
  const { $schema: _, ...settings } = config;
  const { upstream } = config;
  const implied = upstream === undefined ? "direct" : upstream === "environment" ? upstream : "upstream";
  const filled = { ...settings, default: config.default ?? implied, log: { ...config.log, access } };
  return (yield* redactInSteps(filled)) as Readonly<Record<string, unknown>>;
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

function compileUsersFile(config: Config, materials: Materials, runtime: Runtime): UsersFile | undefined {
  const { users } = config;
  if (typeof users !== "object" || !("file" in users)) return undefined;
  return {
    path: resolve(materials.folder, users.file),
    text: materials.files.get(users.file) ?? "",
    recompile(text) {
      const store = compileUserFile(users.file, text, config.auth.parameters);
      if (!store.ok) return store;
      const authenticator = compileAuthenticator(config, store.value);
      return { ok: true, value: { ...runtime, authenticator } };
    },
  };
}

/** The name of this proxy in `Proxy-Agent`, `Proxy-Status` and `Via`. */
const AGENT = "penstock";

type RuntimeParts = Pick<Runtime, "authenticator" | "policy" | "forward" | "upstreams" | "limits"> & {
  readonly pacs: ReadonlyMap<string, PacPlan>;
  readonly environment: EnvironmentRoutes | undefined;
};

function compileRuntime(config: Config, { environment, pacs, ...parts }: RuntimeParts): Runtime {
  return {
    ...parts,
    ...(pacs.size > 0 && { pacs }),
    ...(environment && { environment }),
    ...(config.dns.nat64 !== undefined && { nat64: compileNat64(config.dns.nat64) }),
    inspect: config.inspect,
    timeouts: compileTimeouts(config.timeouts),
    ...(config.clients && { clients: compileAddressSet(config.clients) }),
    agent: AGENT,
    established: writeEstablished(AGENT),
  };
}

/** Digest is computed from the password itself: hashes and functions cannot verify it. */
function findDigestProblems({ auth }: Config, users: UserStore | undefined): Problem[] {
  if (!auth.schemes.includes("digest") || users === undefined || supportsDigest(users)) return [];
  const message = 'Digest needs a user whose password is in "users" in plain. Leave "digest" out, or add one.';
  return [{ path: ["auth", "schemes"], message }];
}

function findUsersWebhook(users: Config["users"]): WebhookSettings | undefined {
  return typeof users === "object" && "url" in users ? users : undefined;
}

function compileAuthenticator(config: Config, users: UserStore | undefined) {
  const webhook = findUsersWebhook(config.users);
  return createAuthenticator({
    ...(users && { users }),
    realm: config.auth.realm,
    schemes: config.auth.schemes,
    ...(config.auth.parameters && { parameters: config.auth.parameters }),
    ...(config.auth.exempt && { exempt: compileExempt(config.auth.exempt) }),
    cacheTtlMs: readDuration(webhook?.cache ?? config.auth.cacheTtl),
    // A webhook keeps its time itself, and tells why it failed.
    hookDeadlineMs: readDuration(webhook?.timeout ?? config.timeouts.hook) + (webhook === undefined ? 0 : 1000),
  });
}

function compileTimeouts(timeouts: Config["timeouts"]): Timeouts {
  return {
    handshakeMs: readDuration(timeouts.handshake),
    connectMs: readDuration(timeouts.connect),
    responseMs: readDuration(timeouts.response),
    idleMs: readDuration(timeouts.idle),
    hookMs: readDuration(timeouts.hook),
    askMs: readDuration(timeouts.ask),
  };
}

function hasUsers({ users, auth, listen }: Config): boolean {
  return users !== undefined || hasCertifiedUsers(listen) || listExemptNames(auth.exempt).length > 0;
}

/** The limits of users that have limits of their own. */
function* listOwnLimits(users: Config["users"]) {
  if (!Array.isArray(users)) return;
  for (const { name, limits } of users) if (limits !== undefined) yield [name, limits] as const;
}
