import type { GateOptions } from "./gate/gate.ts";
import type { InheritedSockets } from "./net/inherited-sockets.ts";
import type { SpareDescriptors } from "./net/libc/spare-descriptors.ts";
import { describePacFault } from "./pac/pac-files.ts";
import type { BugReporter } from "./proxy/record/bug-reporter.ts";
import { HookReporter } from "./proxy/record/hook-reporter.ts";
import { PoolReporter } from "./proxy/record/pool-reporter.ts";
import { QuietTeller } from "./proxy/record/quiet-teller.ts";

type Tell = (message: string) => void;

interface Reporting {
  readonly tell: Tell;
  /** Texts that no message may have. */
  readonly secrets: readonly string[];
  readonly bugs: BugReporter;
}

/** Composes what a gate tells the operator. */
export function composeReports({
  tell,
  secrets,
  bugs,
}: Reporting): Pick<GateOptions, "reportBug" | "reportHook" | "reportPac" | "poolChanged"> {
  const hooks = new HookReporter(tell, { secrets });
  const pools = new PoolReporter(tell);
  const pacFaults = new QuietTeller(tell);
  return {
    reportBug: (error, id) => bugs.report(`A mistake of the proxy ended connection ${id}`, error),
    reportHook: (report) => hooks.report(report),
    reportPac: (name, why) => pacFaults.report(name, (silenced) => describePacFault(name, why, silenced)),
    poolChanged: (event) => pools.report(event),
  };
}

/** Closes the sockets of the service manager that no listener takes, and tells them. */
export function warnOfUnused(inherited: InheritedSockets | undefined, tell: Tell): void {
  for (const unused of inherited?.closeUnused() ?? [])
    tell(`Warning: the service manager passed a socket that no listener takes, closed: ${unused}.`);
}

/** Warns when the limit of open files is met before that of connections: each needs a descriptor for its client and one for its target. */
export function warnOfDescriptors(descriptors: SpareDescriptors, wanted: number, tell: Tell): void {
  const { limit, connections } = descriptors.measure();
  if (connections >= wanted) return;
  tell(
    `Warning: this process may open ${limit} files, which is enough for ${connections} connections, and "limits.connections" is ${wanted}. Raise the limit (ulimit -n, LimitNOFILE=) or lower "limits.connections".`,
  );
}
