import { nameError } from "../error-code.ts";
import { cutText, escapeText, formatTime } from "../escape-text.ts";
import type { MessageLevel, Tell } from "../operator-message.ts";
import { type AcmeFiles, type Attempts, type KeptCertificate, NO_ATTEMPTS } from "./acme-files.ts";
import type { AcmePlan } from "./acme-plan.ts";
import { obtainCertificate } from "./obtain.ts";
import type { AcmeFault } from "./outcome.ts";
import { readRenewalId } from "./renewal-id.ts";
import { RenewalSchedule } from "./renewal-schedule.ts";
import { BEYOND_PAUSES_MS, chooseBackOff } from "./renewal-time.ts";
import { AcmeSession, type SessionOptions } from "./session.ts";
import type { Solver } from "./solver.ts";

/** What happened to a certificate. */
export interface CertificateChange {
  readonly change: "issued" | "failed";
  readonly names: readonly string[];
  readonly file: string;
  /** When it ends; undefined where there is none. */
  readonly expires: string | undefined;
  readonly why: string | undefined;
  readonly failures: number;
  readonly nextAttempt: string | undefined;
}

export interface KeeperParts extends Pick<SessionOptions, "exchange" | "now" | "wait"> {
  readonly files: AcmeFiles;
  /** Takes the lock of an order, which other processes respect: what gives it back, or undefined when another one has it. */
  readonly lock: (path: string) => (() => void) | undefined;
  readonly createSolver: (plan: AcmePlan) => Solver;
  /** Puts a certificate into effect; says why that cannot be. */
  readonly use: (certificate: KeptCertificate) => string | undefined;
  /** Whether clients are shown another certificate while there is none. */
  readonly isServed: () => boolean;
  readonly tell: Tell;
  readonly publish: (change: CertificateChange) => void;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** How a certificate is, for people. */
export interface KeeperStatus {
  readonly names: readonly string[];
  readonly directory: string;
  readonly file: string;
  /** Milliseconds since the epoch; undefined where there is none, or where it is not known. */
  readonly expiresAt: number | undefined;
  readonly nextAt: number | undefined;
  /** Failures since the last success. */
  readonly failures: number;
  readonly problem: string | undefined;
  /** Whether clients are shown a certificate, be it another one. */
  readonly isServed: boolean;
  readonly issued: number;
  readonly failed: number;
}

/** Milliseconds after which the clock and the file are looked at again: the clock may be set, and another process may renew. */
const TICK_MS = 30_000;
/** Milliseconds until another process that orders is asked about again. */
const BUSY_MS = 2000;

/** Orders one certificate and renews it, for as long as it is told to. */
export class CertificateKeeper {
  plan: AcmePlan;
  readonly #parts: KeeperParts;
  #current: KeptCertificate | undefined;
  #attempts: Attempts = NO_ATTEMPTS;
  #problem: string | undefined;
  /** What was kept or issued, and cannot be used. */
  #refused: string | undefined;
  readonly #schedule: RenewalSchedule;
  /** What was issued and is not in its file, and why. */
  #unwritten: KeptCertificate | undefined;
  #unwrittenWhy: string | undefined;
  /** That the folder of the state cannot be used. */
  #unusable: string | undefined;
  #issued = 0;
  #failed = 0;
  /** The operator asked for an attempt now. */
  #isAskedFor = false;
  #pause = new AbortController();
  #running: { readonly ending: AbortController; readonly done: Promise<void> } | undefined;

  constructor(plan: AcmePlan, parts: KeeperParts) {
    this.plan = plan;
    this.#parts = parts;
    this.#schedule = new RenewalSchedule(parts);
  }

  /** The certificate in use. */
  get current(): KeptCertificate | undefined {
    return this.#current;
  }

  get status(): KeeperStatus {
    const { names, directory } = this.plan;
    return {
      names,
      directory,
      file: this.#parts.files.certificate,
      expiresAt: this.#current?.to,
      nextAt: this.#running && this.#dueAt,
      failures: this.#attempts.failures,
      problem: this.#problem ?? this.#unwrittenWhy ?? this.#unusable,
      isServed: this.#current !== undefined || this.#parts.isServed(),
      issued: this.#issued,
      failed: this.#failed,
    };
  }

  /** Reads the certificate that is kept, and puts it into effect. */
  load(): void {
    const kept = this.#parts.files.readCertificate();
    if (kept === undefined || kept.cert === this.#current?.cert) return;
    // Newer than what could not be written is only one of another process.
    if (this.#unwritten !== undefined && kept.from <= this.#unwritten.from) return;
    this.#unwritten = this.#unwrittenWhy = undefined;
    this.#adopt(kept);
  }

  /** Begins, or goes on after `stop`. */
  start(): void {
    if (this.#running !== undefined) return;
    const ending = new AbortController();
    this.#running = { ending, done: this.#run(ending.signal) };
  }

  /** Ends what is under way: an order is given up, and what was shown for it is taken away. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    running?.ending.abort();
    this.#pause.abort();
    await running?.done;
  }

  /** Tries again now what failed, unless the server asked to wait. */
  hurry(): void {
    this.#isAskedFor = this.#attempts.failures > 0;
    this.#pause.abort();
  }

  get #dueAt(): number {
    const { notBefore: usual, askedUntil } = this.#attempts;
    const noted = this.#isAskedFor ? askedUntil : usual;
    const notBefore = noted > this.#parts.now() + BEYOND_PAUSES_MS ? 0 : noted;
    return Math.max(notBefore, this.#schedule.renewAt);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { files, now, wait } = this.#parts;
    while (!signal.aborted) {
      let pause: number;
      try {
        // Somebody removed it: the next process would have none.
        if (files.readCertificate() === undefined) this.#unwritten ??= this.#current;
        await this.#write();
        this.load();
        if (this.#unwritten === undefined) this.#attempts = await files.readAttempts();
        await this.#schedule.ask(this.#sessionOptions(signal), this.#names);
        if (signal.aborted) return;
        // An order counts as a failure until its end: it may be under way in a process that leaves.
        const isDue = now() >= this.#dueAt || this.#attempts.failures > 0;
        pause = isDue ? await this.#order(signal) : this.#dueAt - now();
        this.#unusable = undefined;
      } catch (error) {
        this.#noteUnusable(error);
        pause = TICK_MS;
      }
      if (signal.aborted) return;
      this.#pause = new AbortController();
      await wait(Math.min(pause, TICK_MS), this.#pause.signal);
    }
  }

  /** Writes what is in use to its file. Where that cannot be, it stays in memory and the next look tries again. */
  async #write(): Promise<void> {
    const { files, tell } = this.#parts;
    if (this.#unwritten === undefined) return;
    const what = `the certificate for ${this.#names} to ${files.certificate}`;
    try {
      await files.prepare();
      await files.writeCertificate(this.#unwritten);
      await files.writeAttempts(NO_ATTEMPTS);
    } catch (error) {
      const problem = `Cannot write ${what}: ${nameError(error)}. It is used as it is, and lost when this process ends.`;
      if (problem !== this.#unwrittenWhy) tell(`${problem} Another try follows.`, "error");
      this.#unwrittenWhy = problem;
      return;
    }
    this.#unwritten = undefined;
    if (this.#unwrittenWhy !== undefined) tell(`Wrote ${what}.`, "info");
    this.#unwrittenWhy = undefined;
  }

  /** Orders when it is time, unless another process does. Gives milliseconds until the next look. */
  async #order(signal: AbortSignal): Promise<number> {
    const { files, lock } = this.#parts;
    await files.prepare();
    const unlock = lock(files.lock);
    if (unlock === undefined) return BUSY_MS;
    const before = this.#current;
    try {
      // Another process may have just renewed it, or failed.
      this.load();
      this.#attempts = await files.readAttempts();
      if (this.#current === before && this.#parts.now() >= this.#dueAt) await this.#orderAlone(signal);
    } finally {
      unlock();
    }
    return this.#current === before ? Math.max(0, this.#dueAt - this.#parts.now()) : 0;
  }

  async #orderAlone(signal: AbortSignal): Promise<void> {
    const { plan } = this;
    const { files, createSolver, now, random, tell } = this.#parts;
    const before = this.#attempts;
    const failures = before.failures + 1;
    const postpone = (fault?: AcmeFault): Promise<void> => {
      const isAway = fault?.isAway === true || (fault?.status ?? 0) >= 500;
      const pause = chooseBackOff(failures, isAway, fault?.retryAfterMs, random());
      this.#attempts = {
        failures,
        notBefore: now() + pause,
        askedUntil: fault?.retryAfterMs === undefined ? 0 : now() + Math.min(fault.retryAfterMs, pause),
      };
      return files.writeAttempts(this.#attempts);
    };
    this.#isAskedFor = false;
    // A process that dies in an order must not begin with another one.
    await postpone();
    tell(`Ordering a certificate for ${this.#names} from ${new URL(plan.directory).host}.`, "info");
    const session = await AcmeSession.open(this.#sessionOptions(signal));
    const obtained = session.ok
      ? await obtainCertificate(plan, {
          session: session.value,
          account: files.account,
          solver: createSolver(plan),
          replaces: this.#identifyReplaced(session.value),
        })
      : session;
    if (obtained.ok) {
      if (!this.#adopt(obtained.value, now())) {
        // The next one may be no better: it waits as for any other failure.
        await postpone();
        this.#failed += 1;
        this.#report("failed");
        return;
      }
      this.#attempts = NO_ATTEMPTS;
      this.#unwritten = obtained.value;
      await this.#write();
      this.#issued += 1;
      this.#report("issued");
      return;
    }
    if (signal.aborted) {
      this.#attempts = before;
      await files.writeAttempts(before);
      return;
    }
    await postpone(obtained.fault);
    this.#failed += 1;
    this.#fail(obtained.fault, this.#isPressing() ? "error" : "warn");
    this.#report("failed");
  }

  #sessionOptions(signal: AbortSignal): SessionOptions {
    const { exchange, now, wait } = this.#parts;
    const { directory, ca } = this.plan;
    return { directory, ca, exchange, now, wait, signal };
  }

  #identifyReplaced({ directory }: AcmeSession): string | undefined {
    if (this.#current === undefined || directory.renewalInfo === undefined) return undefined;
    return readRenewalId(this.#current.cert);
  }

  /** Puts a certificate into effect, issued at `since`; false when that cannot be, which is told once. */
  #adopt(certificate: KeptCertificate, since = certificate.from): boolean {
    const { use, tell } = this.#parts;
    if (certificate.cert === this.#refused) return false;
    const fault = use(certificate);
    this.#problem = fault;
    if (fault !== undefined) {
      this.#refused = certificate.cert;
      tell(fault, "error");
      return false;
    }
    this.#current = certificate;
    this.#schedule.begin(certificate, since);
    return true;
  }

  #fail(fault: AcmeFault, level: MessageLevel): void {
    const why = escapeText(cutText(fault.why, 1000));
    const next = this.#attempts.notBefore;
    const when = next > 0 ? ` The next attempt is at ${formatTime(next)}.` : "";
    this.#problem = `Cannot get a certificate for ${this.#names}: ${why}.`;
    this.#parts.tell(`${this.#problem} ${this.#describeUse()}${when}`, level);
  }

  /** Orders would be forgotten, and made again: none is made. */
  #noteUnusable(error: unknown): void {
    const path = error instanceof Error && "path" in error ? ` (${String(error.path)})` : "";
    const why = `the files in the folder of the state cannot be used: ${nameError(error)}${path}`;
    const problem = `Cannot get a certificate for ${this.#names}: ${escapeText(why)}.`;
    if (problem !== this.#unusable) this.#parts.tell(`${problem} ${this.#describeUse()}`, "error");
    this.#unusable = problem;
  }

  #describeUse(): string {
    if (this.#current !== undefined) return `The one before stays in use until ${formatTime(this.#current.to)}.`;
    if (this.#parts.isServed()) return "Another certificate is in use meanwhile.";
    return "There is none yet, so that no client can connect over TLS.";
  }

  /** Whether clients are refused already, or will be soon. */
  #isPressing(): boolean {
    const { from, to } = this.#current ?? { from: 0, to: 0 };
    return this.#parts.now() > to - (to - from) / 6;
  }

  #report(change: CertificateChange["change"]): void {
    const { names, file, expiresAt, problem, failures } = this.status;
    const { notBefore } = this.#attempts;
    if (change === "issued" && this.#current !== undefined)
      this.#parts.tell(
        `Got a certificate for ${this.#names}, valid until ${formatTime(this.#current.to)}. It is in use.`,
        "info",
      );
    this.#parts.publish({
      change,
      names,
      file,
      expires: expiresAt === undefined ? undefined : new Date(expiresAt).toISOString(),
      why: problem,
      failures,
      nextAttempt: notBefore > 0 ? new Date(notBefore).toISOString() : undefined,
    });
  }

  get #names(): string {
    const [first = "", ...others] = this.plan.names;
    return others.length === 0 ? first : `${first} and ${others.length} more`;
  }
}
