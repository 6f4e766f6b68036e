import { parseIp } from "../address/ip.ts";
import { formatListenerAddress, type ListenerAddress } from "./listener-address.ts";
import type { Problem } from "./problem.ts";

/** A port that is to be bound, and the setting that says so. */
export interface Binding extends ListenerAddress {
  readonly path: readonly PropertyKey[];
}

/**
 * One port that two listeners, or a listener and the sidecar, would bind. Port 0
 * is another port each time.
 */
export function findPortConflicts(bindings: readonly Binding[]): Problem[] {
  return bindings.flatMap((binding, at) => {
    if (binding.port === 0) return [];
    const other = bindings.slice(0, at).find((each) => each.port === binding.port && overlap(each.host, binding.host));
    if (other === undefined) return [];
    const [mine, theirs] = [formatListenerAddress(binding), formatListenerAddress(other)];
    const message =
      mine === theirs
        ? `Found ${mine} twice. Give each its own address and port.`
        : `Cannot bind ${mine} beside ${theirs}, which includes it. Give each its own port, or leave one out.`;
    return [{ path: binding.path, message }];
  });
}

/** Whether one port cannot be bound at both. "::" includes the addresses of IPv4, and 0.0.0.0 those of IPv4 alone. */
function overlap(one: string, other: string): boolean {
  const [a, b] = [canonicalise(one), canonicalise(other)];
  if (a === b || a === "::" || b === "::") return true;
  return (a === "0.0.0.0" && !b.includes(":")) || (b === "0.0.0.0" && !a.includes(":"));
}

function canonicalise(host: string): string {
  return host === "localhost" ? "127.0.0.1" : (parseIp(host)?.text ?? host);
}
