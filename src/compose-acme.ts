import { setTimeout } from "node:timers/promises";
import { AcmeFiles, type KeptCertificate, type OtherCertificate } from "./acme/acme-files.ts";
import { type AcmePlan, identifyCertificate } from "./acme/acme-plan.ts";
import { type CertificateChange, CertificateKeeper, type KeeperStatus } from "./acme/certificate-keeper.ts";
import { failAcme, succeed } from "./acme/outcome.ts";
import { createSolver, type SolverParts } from "./acme/solvers.ts";
import type { Gate } from "./gate/gate.ts";
import { exchange } from "./net/http/exchange.ts";
import { serveHttp } from "./net/http/serve-http.ts";
import { takeFileLock } from "./net/libc/file-lock.ts";
import type { Tell } from "./operator-message.ts";
import type { ListenerPlan } from "./prepare-listeners.ts";
import { callHook } from "./proxy/hook/call-hook.ts";
import type { StateFolderPlan } from "./state/state-folder.ts";

/** The parts of a daemon that certificates are ordered for. */
export interface AcmeParts {
  readonly gate: Pick<Gate, "events" | "listeners" | "reportBug">;
  readonly inUse: {
    readonly plans: readonly ListenerPlan[];
    readonly compiled: { readonly state?: StateFolderPlan };
  };
  /** Looks at the ends of all certificates. */
  readonly look: () => void;
  /** What messages must not have. */
  readonly secrets: readonly string[];
  readonly tell: Tell;
}

/** Where a certificate is from, and its names; those of the order when undefined. */
type Shown = Pick<OtherCertificate, "file"> & Partial<Pick<OtherCertificate, "names">>;

/** Milliseconds for a function of the configuration that changes records. */
const HOOK_MS = 60_000;
/** Milliseconds for answers under way when the listener for `http-01` ends. */
const LAST_ANSWERS_MS = 500;

/** The certificates that authorities issue for the listeners in use. Two listeners with the same names share one. */
export class AcmeCertificates {
  readonly #parts: AcmeParts;
  readonly #keepers = new Map<string, CertificateKeeper>();
  #isStarted = false;
  /** Resolves when all that were stopped have given up what they had begun. */
  #ending: Promise<unknown> = Promise.resolve();

  constructor(parts: AcmeParts) {
    this.#parts = parts;
  }

  /** How each of them is. */
  get statuses(): readonly KeeperStatus[] {
    return Array.from(this.#keepers.values(), ({ status }) => status);
  }

  /** Follows the listeners in use: what is kept for them is used at once, and what failed is tried again. */
  follow(): void {
    const wanted = new Map<string, AcmePlan>();
    for (const { acme } of this.#parts.inUse.plans) if (acme !== undefined) wanted.set(this.#identify(acme), acme);
    for (const [key, keeper] of this.#keepers) {
      if (wanted.has(key)) continue;
      this.#keepers.delete(key);
      this.#end(keeper);
    }
    for (const [key, plan] of wanted) {
      const known = this.#keepers.get(key);
      if (known === undefined) this.#keep(key, plan);
      else {
        known.plan = plan;
        // A listener may be new.
        if (known.current !== undefined) this.#use(key, known.current);
        known.hurry();
      }
    }
  }

  /** Orders and renews from now on. */
  start(): void {
    this.#isStarted = true;
    for (const keeper of this.#keepers.values()) keeper.start();
  }

  /** Gives up what is under way: another process goes on with it, or nobody does. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    for (const keeper of this.#keepers.values()) this.#end(keeper);
    await this.#ending;
  }

  #end(keeper: CertificateKeeper): void {
    this.#ending = Promise.all([this.#ending, keeper.stop()]);
  }

  #identify(plan: AcmePlan): string {
    return `${this.#parts.inUse.compiled.state?.path}\n${identifyCertificate(plan)}`;
  }

  #keep(key: string, first: AcmePlan): void {
    const { inUse, tell, gate } = this.#parts;
    const { state } = inUse.compiled;
    if (state === undefined) throw new Error("An order of a certificate without a state folder");
    const files = new AcmeFiles(state.path, first);
    const keeper = new CertificateKeeper(first, {
      files,
      lock: takeFileLock,
      createSolver: (plan) => createSolver(plan, this.#connect()),
      use: (certificate) => this.#use(key, certificate),
      isServed: () => this.#isServed(key),
      tell,
      publish: (change) => gate.events.publish("certificate", describeChange(change)),
      exchange,
      now: Date.now,
      random: Math.random,
      wait,
    });
    this.#keepers.set(key, keeper);
    keeper.load();
    // As after a change of the names: those that it has are served meanwhile.
    const other = keeper.current === undefined ? files.readOther(first.names, Date.now()) : undefined;
    if (other !== undefined) this.#show(key, other);
    if (this.#isStarted) keeper.start();
  }

  /** The listeners with a certificate, and their names; without a key those with any that is ordered. */
  *#listListeners(key?: string): Iterable<{ readonly plan: ListenerPlan; readonly name: string }> {
    const { inUse, gate } = this.#parts;
    for (const [at, plan] of inUse.plans.entries())
      if (plan.acme !== undefined && (key === undefined || this.#identify(plan.acme) === key))
        yield { plan, name: gate.listeners?.[at]?.name ?? `${plan.host}:${plan.port}` };
  }

  #isServed(key: string): boolean {
    return [...this.#listListeners(key)].every(({ plan }) => (plan.tls?.certificates.length ?? 0) > 0);
  }

  #use(key: string, certificate: KeptCertificate) {
    return this.#show(key, { ...certificate, file: this.#keepers.get(key)?.status.file ?? "" });
  }

  #show(key: string, { cert, key: privateKey, to, file, names }: KeptCertificate & Shown) {
    for (const { plan } of this.#listListeners(key)) {
      const used = plan.tls?.issue({
        file,
        cert,
        key: privateKey,
        names: names ?? plan.acme?.names ?? [],
        expiresAt: to,
        renewed: true,
      });
      if (used?.ok === false) return used.message;
    }
    this.#parts.look();
    return undefined;
  }

  #connect(): SolverParts {
    return {
      showCertificate: (name, pair) => {
        // On all of them: port 443 of a name may lead to a listener with other names.
        for (const { plan } of this.#listListeners()) {
          const shown = plan.tls?.showChallenge(name, pair);
          if (shown?.ok === false) return failAcme(shown.message);
        }
        return succeed(undefined);
      },
      describeListeners: () => Array.from(this.#listListeners(), ({ name }) => `the listener ${name}`).join(" or "),
      serveTexts: (port, texts) =>
        serveTexts(port, texts, (error) => this.#parts.gate.reportBug(error, "to the port for http-01")),
      callHook: async (call) => {
        const called = await callHook(call, HOOK_MS);
        if (called.ok) return undefined;
        const { why, thrown } = called.fault;
        return thrown === undefined ? why : `${why} ${thrown(this.#parts.secrets)}`;
      },
      wait,
      now: Date.now,
    };
  }
}

/** Sentences on what operators should look at. */
export function warnOfAcme(statuses: readonly KeeperStatus[]): string[] {
  return statuses.flatMap(({ problem, expiresAt, isServed, names }) => {
    if (problem !== undefined) return problem;
    const meanwhile = isServed ? "another one is in use" : "no client can connect over TLS";
    return expiresAt === undefined ? `The certificate for ${names[0]} is being ordered. Until then ${meanwhile}.` : [];
  });
}

function serveTexts(
  port: number,
  texts: ReadonlyMap<string, string>,
  reportBug: (error: unknown) => void,
): ReturnType<SolverParts["serveTexts"]> {
  const handle = ({ method, url }: Request): Response => {
    const text = texts.get(new URL(url).pathname);
    if (text === undefined || (method !== "GET" && method !== "HEAD"))
      return new Response("Not found\n", { status: 404 });
    return new Response(text, { headers: { "Content-Type": "application/octet-stream" } });
  };
  const open = (host: string) => serveHttp({ at: { host, port }, handle, reportBug });
  let started = open("::");
  // A machine without IPv6.
  if (!started.ok && started.code !== "EADDRINUSE" && started.code !== "EACCES") started = open("0.0.0.0");
  if (started.ok) {
    const { server } = started;
    return succeed({ stop: () => server.stop(LAST_ANSWERS_MS) });
  }
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another program has it: set "httpPort" to another that port 80 leads to, or set "webroot"',
    EACCES: 'the system does not allow it: give the program CAP_NET_BIND_SERVICE, or set "httpPort" to one above 1023',
  };
  return failAcme(
    `port ${port} for "http-01" cannot be opened (${started.code}), ${reasons[started.code] ?? "see the code"}`,
  );
}

function describeChange({ nextAttempt, ...change }: CertificateChange): Record<string, unknown> {
  return { use: "listener", ...change, next_attempt: nextAttempt };
}

async function wait(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal, ref: false }).catch(() => {});
}
