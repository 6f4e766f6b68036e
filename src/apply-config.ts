import type { CompiledConfig } from "./config/compile.ts";
import { diffConfigs } from "./config/diff-config.ts";
import { diffFingerprints } from "./config/fingerprints.ts";
import type { Gate } from "./gate/gate.ts";
import type { InheritedSockets } from "./net/inherited-sockets.ts";
import type { openSidecar, OpenSidecar, SidecarPlan } from "./open-sidecar.ts";
import { explainBinding, type ListenerPlan, prepareListeners } from "./prepare-listeners.ts";
import type { PacFiles } from "./pac/pac-files.ts";
import type { AccessLog } from "./proxy/record/access-log.ts";
import type { Applied } from "./reloader.ts";

/** The configuration that is in effect, and what was opened for it. */
export interface InUse {
  compiled: CompiledConfig;
  plans: readonly ListenerPlan[];
  sidecar: OpenSidecar | undefined;
}

export interface ConfigApplierOptions {
  readonly gate: Gate;
  readonly accessLog: AccessLog;
  /** What must be in no message. Old secrets stay in it once: functions of the snapshot before may still run. */
  readonly secrets: string[];
  readonly openSidecar: (plan: SidecarPlan) => ReturnType<typeof openSidecar>;
  readonly inUse: InUse;
  readonly pacs: PacFiles;
  readonly inherited: InheritedSockets | undefined;
  readonly tell: (message: string) => void;
}

/** Settings of the process that are read at its start alone. */
const FIXED = ["sockets", "splice", "spliceAfter", "warmUp"] as const;

/** Puts compiled configurations into effect, each as a whole or not at all. */
export class ConfigApplier {
  readonly #options: ConfigApplierOptions;

  constructor(options: ConfigApplierOptions) {
    this.#options = options;
  }

  async apply(wanted: CompiledConfig): Promise<Applied> {
    const { gate, inUse, inherited } = this.#options;
    const { compiled: next, warnings } = keepFixed(inUse.compiled, wanted);
    const listeners = prepareListeners(next, { before: inUse.plans, inherited });
    if (!listeners.ok) return listeners;
    const before = inUse.sidecar;
    const keepsSidecar = next.sidecar !== undefined && before?.isAt(next.sidecar) === true;
    const opening =
      next.sidecar === undefined || keepsSidecar ? undefined : await this.#options.openSidecar(next.sidecar);
    if (opening?.ok === false) return opening;
    const pacs = await this.#options.pacs.prepare(next.pacs);
    // From here to the end no other code runs.
    if (gate.draining) {
      pacs.abandon();
      void opening?.open.sidecar.stop();
      return { ok: false, message: "The proxy is shutting down." };
    }
    const change = gate.prepareListeners(listeners.plans);
    if (!change.ok) {
      pacs.abandon();
      void opening?.open.sidecar.stop();
      return { ok: false, message: explainBinding(change.plan, change.code) };
    }
    const changes = [
      ...diffConfigs(inUse.compiled.effective, next.effective),
      ...diffFingerprints(inUse.compiled.fingerprints, next.fingerprints),
    ];
    this.#keepSecrets(next);
    listeners.commit();
    pacs.commit();
    gate.use(next.runtime);
    this.#options.accessLog.use(next.log.access);
    if (next.sidecar !== undefined && keepsSidecar) before?.use(next.sidecar);
    inUse.sidecar = keepsSidecar ? before : opening?.open;
    inUse.plans = listeners.plans;
    inUse.compiled = next;
    const bound = listNames(gate);
    change.commit();
    this.claimAddresses();
    this.#tellListeners(bound, listNames(gate));
    // It may be what asked for the reload: its answer gets the time to end.
    if (!keepsSidecar) void before?.sidecar.stop();
    // Names may have to be resolved: nobody waits for it.
    if (next.reload.endDenied) void this.#endDenied();
    return { ok: true, changes, warnings };
  }

  async #endDenied(): Promise<void> {
    const ended = await this.#options.gate.endDenied();
    if (ended > 0) this.#options.tell(`Ended ${ended} ${ended === 1 ? "tunnel" : "tunnels"} that the new rules deny.`);
  }

  /** Has the gate refuse connections to the proxy itself. */
  claimAddresses(): void {
    const { gate, inUse } = this.#options;
    gate.own.clear();
    for (const { host, port } of gate.listeners ?? []) gate.own.add(host, port);
    const at = inUse.compiled.sidecar?.at;
    const port = inUse.sidecar?.sidecar.port;
    if (at?.kind === "tcp" && port !== undefined) gate.own.add(at.host, port);
  }

  #tellListeners(before: ReadonlySet<string>, now: ReadonlySet<string>): void {
    const { tell } = this.#options;
    for (const name of now.difference(before)) tell(`Listening on ${name}.`);
    for (const name of before.difference(now)) tell(`No longer listening on ${name}.`);
  }

  #keepSecrets(next: CompiledConfig): void {
    const { secrets, inUse } = this.#options;
    secrets.length = 0;
    for (const secret of new Set([...inUse.compiled.secrets, ...next.secrets])) secrets.push(secret);
  }
}

/** The listeners as bound. */
function listNames(gate: Gate): ReadonlySet<string> {
  return new Set(gate.listeners?.map(({ name }) => name));
}

/** Gives the fixed settings their old values, and warns of those that were to change. */
function keepFixed(before: CompiledConfig, wanted: CompiledConfig): { compiled: CompiledConfig; warnings: string[] } {
  const changed = FIXED.filter((name) => before.effective[name] !== wanted.effective[name]);
  const warnings = changed.map((name) => {
    const [old, now] = [before.effective[name], wanted.effective[name]];
    return `${name}: ${JSON.stringify(now)} needs a restart. Until then ${JSON.stringify(old)} stays in effect.`;
  });
  const kept = Object.fromEntries(changed.map((name) => [name, before.effective[name]]));
  const { sockets, splice, warmUp } = before;
  return { compiled: { ...wanted, sockets, splice, warmUp, effective: { ...wanted.effective, ...kept } }, warnings };
}
