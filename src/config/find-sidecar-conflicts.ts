import { isLoopbackHost } from "./listener-address.ts";
import { type Problem, quoteValue } from "./problem.ts";
import { isRecord } from "./raw.ts";

/** Settings of the sidecar that contradict each other, and those that it needs. */
export function findSidecarConflicts(config: Readonly<Record<string, unknown>>): Problem[] {
  const sidecar = config["sidecar"];
  if (!isRecord(sidecar)) return [];
  const problems: Problem[] = [];
  const { host, port, unix, token } = sidecar;
  if (port === undefined && unix === undefined)
    problems.push({
      path: ["sidecar"],
      message: 'Neither "port" nor "unix" is set. Write "port: 9080", or the path of a socket in "unix".',
    });
  else if (port !== undefined && unix !== undefined)
    problems.push({ path: ["sidecar"], message: 'Both "port" and "unix" are set. Leave one of them out.' });
  if (typeof host !== "string") return problems;
  if (unix !== undefined)
    problems.push({
      path: ["sidecar", "host"],
      message: 'A Unix socket has no host. Leave out "host" or "unix".',
    });
  else if (!isLoopbackHost(host) && token === undefined)
    problems.push({
      path: ["sidecar", "host"],
      message: `Cannot bind ${quoteValue(host)}: the sidecar has no token. Set "sidecar.token", or bind it to 127.0.0.1.`,
    });
  return problems;
}
