import type { Tell } from "./operator-message.ts";
import type { AccessOutput } from "./access-output.ts";
import type { KeeperStatus } from "./acme/certificate-keeper.ts";
import { composeTracer } from "./operator-reports.ts";
import { composeLists } from "./compose-lists.ts";
import type { FleetParts } from "./compose-fleet.ts";
import type { TelemetryParts } from "./compose-telemetry.ts";
import type { CompiledConfig } from "./config/compile.ts";
import { diffConfigsInSteps, keepFixedSettings } from "./config/diff-config.ts";
import { diffFingerprintsInSteps } from "./config/fingerprints.ts";
import type { Checked } from "./config/problem.ts";
import type { Runtime } from "./proxy/runtime.ts";
import type { Gate } from "./gate/gate.ts";
import type { InheritedSockets } from "./net/inherited-sockets.ts";
import type { TlsContexts } from "./net/runtime/tls-contexts.ts";
import type { openSidecar, OpenSidecar, SidecarPlan } from "./open-sidecar.ts";
import { explainBinding, type ListenerPlan, prepareListeners } from "./prepare-listeners.ts";
import type { ListStatus } from "./lists/list-status.ts";
import type { ListsInUse } from "./lists/lists-in-use.ts";
import type { PacFiles } from "./pac/pac-files.ts";
import type { Policy } from "./proxy/policy/policy.ts";
import { keepUnchanged, listHops } from "./proxy/keep-unchanged.ts";
import type { AccessLog } from "./proxy/record/access-log.ts";
import type { Applied } from "./reloader.ts";
import { prepareStateFolder } from "./state/state-folder.ts";
import { isStep, runInTurns, type Steps } from "./steps.ts";

/** The configuration that is in effect, and what was opened for it. */
export interface InUse {
  compiled: CompiledConfig;
  plans: readonly ListenerPlan[];
  sidecar: OpenSidecar | undefined;
  /** How the certificates are that authorities issue. */
  ordered?: () => readonly KeeperStatus[];
  /** How the lists of rules are. */
  lists?: () => readonly ListStatus[];
  /** Has certificates ordered, or not: a process that is leaving leaves that to another one. */
  order?: (orders: boolean) => void;
}

export interface ConfigApplierOptions {
  readonly gate: Gate;
  readonly accessLog: AccessLog;
  readonly accessOutput: AccessOutput;
  /** What must be in no message. Old secrets stay in it once: functions of the snapshot before may still run. */
  readonly secrets: string[];
  readonly openSidecar: (plan: SidecarPlan) => ReturnType<typeof openSidecar>;
  readonly inUse: InUse;
  readonly contexts: TlsContexts;
  readonly pacs: PacFiles;
  readonly fleet: Pick<FleetParts, "follow">;
  readonly telemetry: Pick<TelemetryParts, "follow">;
  readonly inherited: InheritedSockets | undefined;
  readonly certificates: { follow(): void };
  readonly tell: Tell;
  /** Resolves when clients have had their turn. */
  readonly turn: () => Promise<void>;
}

/** Puts compiled configurations into effect, each as a whole or not at all. */
export class ConfigApplier {
  readonly lists: ListsInUse;
  readonly #options: ConfigApplierOptions;

  constructor(options: ConfigApplierOptions) {
    this.#options = options;
    const { tell, turn, inUse, gate } = options;
    this.lists = composeLists({
      inUse,
      tell,
      turn,
      use: (policy) => this.#usePolicy(policy),
      publish: (change) => gate.events.publish("list", { ...change }),
    });
    inUse.lists = () => this.lists.statuses;
  }

  async apply(wanted: CompiledConfig): Promise<Applied> {
    const { gate, inUse, contexts, inherited, turn } = this.#options;
    const { compiled: next, warnings } = keepFixed(inUse.compiled, wanted);
    const unusable = next.state && prepareStateFolder(next.state);
    if (unusable !== undefined) return { ok: false, message: unusable };
    const listeners = prepareListeners(next, { before: inUse.plans, contexts, inherited });
    if (!listeners.ok) return listeners;
    const changes = [
      ...(await runInTurns(diffConfigsInSteps(inUse.compiled.effective, next.effective), turn)),
      ...(await runInTurns(diffFingerprintsInSteps(inUse.compiled.fingerprints, next.fingerprints), turn)),
    ];
    const secrets = await runInTurns(unite(inUse.compiled.secrets, next.secrets), turn);
    const before = inUse.sidecar;
    const keepsSidecar = next.sidecar !== undefined && before?.isAt(next.sidecar) === true;
    const kept = next.sidecar && keepsSidecar ? before.prepare(next.sidecar) : undefined;
    if (kept?.ok === false) return kept;
    const opening =
      next.sidecar === undefined || keepsSidecar ? undefined : await this.#options.openSidecar(next.sidecar);
    if (opening?.ok === false) return opening;
    const output = this.#options.accessOutput.prepare(next.log.file);
    if (!output.ok) {
      void opening?.open.sidecar.stop();
      return output;
    }
    const [pacs, lists] = await this.#prepareFollowed(next);
    // From here to the end no other code runs.
    if (!gate.accepting) {
      pacs.abandon();
      lists.abandon();
      output.abandon();
      void opening?.open.sidecar.stop();
      return { ok: false, message: "The proxy is shutting down." };
    }
    const change = gate.prepareListeners(listeners.plans);
    if (!change.ok) {
      pacs.abandon();
      lists.abandon();
      output.abandon();
      void opening?.open.sidecar.stop();
      return { ok: false, message: explainBinding(change.plan, change.code, change.leaving) };
    }
    this.#options.secrets.length = 0;
    for (const secret of secrets) this.#options.secrets.push(secret);
    listeners.commit();
    pacs.commit();
    const { policy = next.runtime.policy } = lists;
    gate.use(keepUnchanged(gate.runtime.current, { ...next.runtime, policy }));
    lists.commit();
    this.#options.fleet.follow(next);
    this.#options.telemetry.follow(next);
    const { current } = gate.runtime;
    gate.upstreams.retain(listHops(current), current.pacs);
    output.commit();
    this.#options.accessLog.use({ format: next.log.access, sampleOk: next.log.sampleOk });
    kept?.commit();
    gate.tracer = composeTracer(next.log, this.#options.tell);
    inUse.sidecar = keepsSidecar ? before : opening?.open;
    inUse.plans = listeners.plans;
    inUse.compiled = next;
    const bound = listNames(gate);
    change.commit();
    this.claimAddresses();
    this.#tellListeners(bound, listNames(gate));
    this.#options.certificates.follow();
    // It may be what asked for the reload: its answer gets the time to end.
    if (!keepsSidecar) void before?.sidecar.stop();
    // Names may have to be resolved: nobody waits for it.
    if (next.reload.endDenied) void this.#endDenied();
    return { ok: true, changes, warnings };
  }

  /** Loads what the configuration that starts names elsewhere: PAC files and lists. */
  async start({ compiled }: InUse): Promise<void> {
    const [pacs, lists] = await this.#prepareFollowed(compiled);
    pacs.commit();
    if (lists.policy) this.#usePolicy(lists.policy);
    lists.commit();
  }

  /** Ends what `start` began. */
  close(): void {
    this.#options.pacs.close();
    this.lists.close();
  }

  #prepareFollowed({ pacs, lists }: CompiledConfig) {
    return Promise.all([this.#options.pacs.prepare(pacs), this.lists.prepare(lists)]);
  }

  /** Uses the text of a changed users file for new connections, or says why it cannot be used. */
  replaceUsers(text: string): Checked<Runtime> {
    const { gate, inUse } = this.#options;
    const { usersFile } = inUse.compiled;
    if (usersFile === undefined) throw new Error("There is no users file to replace");
    const recompiled = usersFile.recompile(text);
    // Other parts may have been replaced since this one was compiled.
    if (recompiled.ok) gate.use({ ...gate.runtime.current, authenticator: recompiled.value.authenticator });
    return recompiled;
  }

  /** Uses rules with other contents of their lists for new connections and requests. */
  #usePolicy(policy: Policy): void {
    const { gate, inUse } = this.#options;
    gate.use({ ...gate.runtime.current, policy });
    if (inUse.compiled.reload.endDenied) void this.#endDenied();
  }

  /** Opens the sidecar again at the address that it has left, and tells when it cannot. */
  async reopenSidecar(): Promise<void> {
    const { inUse, tell } = this.#options;
    const plan = inUse.compiled.sidecar;
    if (plan === undefined) return;
    const port = inUse.sidecar?.sidecar.port;
    const at = plan.at.kind === "tcp" && port !== undefined ? { ...plan.at, port } : plan.at;
    const opening = await this.#options.openSidecar({ ...plan, at });
    if (!opening.ok) return tell(opening.message, "error");
    void inUse.sidecar?.sidecar.stop();
    inUse.sidecar = opening.open;
    this.claimAddresses();
  }

  async #endDenied(): Promise<void> {
    const ended = await this.#options.gate.endDenied();
    if (ended > 0)
      this.#options.tell(`Ended ${ended} ${ended === 1 ? "tunnel" : "tunnels"} that the new rules deny.`, "info");
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
    for (const name of now.difference(before)) tell(`Listening on ${name}.`, "info");
    for (const name of before.difference(now)) tell(`No longer listening on ${name}.`, "info");
  }
}

/** The texts of both lists, each once. */
function* unite(...lists: readonly (readonly string[])[]): Steps<ReadonlySet<string>> {
  const all = new Set<string>();
  for (const list of lists)
    for (const [at, text] of list.entries()) {
      all.add(text);
      if (isStep(at)) yield;
    }
  return all;
}

/** The listeners as bound. */
function listNames(gate: Gate): ReadonlySet<string> {
  return new Set(gate.listeners?.map(({ name }) => name));
}

/** Gives the fixed settings their old values, and warns of those that were to change. */
function keepFixed(before: CompiledConfig, wanted: CompiledConfig): { compiled: CompiledConfig; warnings: string[] } {
  const { effective, warnings } = keepFixedSettings(before.effective, wanted.effective);
  const { sockets, splice, warmUp } = before;
  const state = before.state ?? wanted.state;
  if (state?.path !== wanted.state?.path)
    warnings.push(`state.folder: another folder needs a restart. Until then ${JSON.stringify(state?.path)} is used.`);
  return { compiled: { ...wanted, sockets, splice, warmUp, effective, ...(state && { state }) }, warnings };
}
