import type { Tell } from "./operator-message.ts";
import type { GateOptions } from "./gate/gate.ts";
import type { InheritedSockets } from "./net/inherited-sockets.ts";
import { SpareDescriptors } from "./net/libc/spare-descriptors.ts";
import { describePacFault } from "./pac/pac-files.ts";
import type { BugReporter } from "./proxy/record/bug-reporter.ts";
import { HookReporter } from "./proxy/record/hook-reporter.ts";
import { PoolReporter } from "./proxy/record/pool-reporter.ts";
import { RequestTracer } from "./proxy/record/request-tracer.ts";
import type { CompiledConfig } from "./config/compile.ts";
import { QuietTeller } from "./proxy/record/quiet-teller.ts";

interface Reporting {
  readonly tell: Tell;
  /** Texts that no message may have. */
  readonly secrets: readonly string[];
  readonly bugs: BugReporter;
  readonly log: Pick<CompiledConfig["log"], "trace">;
}

/** Composes what a gate tells the operator. */
export function composeReports({
  tell,
  secrets,
  bugs,
  log,
}: Reporting): Pick<GateOptions, "tracer" | "reportBug" | "reportHook" | "reportPac" | "poolChanged"> {
  const hooks = new HookReporter(tell, { secrets });
  const pools = new PoolReporter(tell);
  const pacFaults = new QuietTeller((message) => tell(message, "warn"));
  return {
    tracer: composeTracer(log, tell),
    reportBug: (error, id) => bugs.report(`A mistake of the proxy ended connection ${id}`, error),
    reportHook: (report) => hooks.report(report),
    reportPac: (name, why) => pacFaults.report(name, (silenced) => describePacFault(name, why, silenced)),
    poolChanged: (event) => pools.report(event),
  };
}

/** Composes what traces the requests that a configuration wants traced; undefined when it wants none. */
export function composeTracer({ trace }: Pick<CompiledConfig["log"], "trace">, tell: Tell): RequestTracer | undefined {
  return trace && new RequestTracer(trace, tell);
}

/** Warns of what the configuration and the system do not fit in. */
export function warnAtStart({ inherited, descriptors, compiled }: Started, tell: Tell): void {
  warnOfUnused(inherited, tell);
  warnOfDescriptors(descriptors, compiled, tell);
}

interface Started {
  readonly inherited: InheritedSockets | undefined;
  readonly descriptors: SpareDescriptors;
  readonly compiled: CompiledConfig;
}

/** Closes the sockets of the service manager that no listener takes, and tells them. */
function warnOfUnused(inherited: InheritedSockets | undefined, tell: Tell): void {
  for (const unused of inherited?.closeUnused() ?? [])
    tell(`The service manager passed a socket that no listener takes, closed: ${unused}.`, "warn");
}

/** How many connections there can be at once: as many as are wanted, or as the limit of open files allows. */
export function fitConnections(wanted: number): number {
  return Math.min(wanted, new SpareDescriptors().measure().connections);
}

/**
 * Warns when the limit of open files is met before that of connections which somebody
 * wrote: each needs a descriptor for its client and one for its target.
 */
export function warnOfDescriptors(
  descriptors: SpareDescriptors,
  { runtime, derived }: Pick<CompiledConfig, "runtime" | "derived">,
  tell: Tell,
): void {
  const { limit, connections } = descriptors.measure();
  const wanted = runtime.limits.inAll.connections;
  if (connections >= wanted || derived.includes("limits.connections")) return;
  tell(
    `This process may open ${limit} files, which is enough for ${connections} connections, and "limits.connections" is ${wanted}. Raise the limit (ulimit -n, LimitNOFILE=) or lower "limits.connections".`,
    "warn",
  );
}
