import { isLoopbackHost } from "./config/listener-address.ts";
import type { BrowserPac } from "./config/browser-pac.ts";
import { formatEndpoint } from "./address/endpoint.ts";
import { toAsciiHost } from "./address/host.ts";
import type { Gate } from "./gate/gate.ts";
import type { ListenPlan } from "./gate/listeners.ts";
import { writePac } from "./protocol/pac/write-pac.ts";
import type { ClientProtocol } from "./proxy/record/request-record.ts";

/** A listener, as browsers are told of it. */
export interface BrowserListener {
  readonly host: string;
  /** As bound. */
  readonly port: number;
  readonly isTls: boolean;
  readonly protocols: ReadonlySet<ClientProtocol>;
}

/** The listeners that are open, for browsers. */
export function listBrowserListeners({ listeners = [] }: Pick<Gate, "listeners">, plans: readonly ListenPlan[]) {
  return listeners.flatMap(({ host, port }, at): BrowserListener[] => {
    const plan = plans[at];
    return plan === undefined ? [] : [{ host, port, isTls: plan.tls !== undefined, protocols: plan.protocols }];
  });
}

/** Writes the PAC file for a browser that reached the sidecar as `asked`; undefined when no listener is for browsers. */
export function writeBrowserPac(
  listeners: readonly BrowserListener[],
  { host, direct }: BrowserPac,
  asked: string,
): string | undefined {
  const isNear = isLoopbackHost(asked);
  const reachable = listeners.filter((listener) => isNear || host !== undefined || !isLoopbackHost(listener.host));
  const told = (reachable.length > 0 ? reachable : listeners).flatMap((listener) => {
    const isWildcard = listener.host === "0.0.0.0" || listener.host === "::";
    const named = toAsciiHost(host ?? (isWildcard || listener.isTls ? asked : listener.host));
    return named.ok ? describeListener(listener, formatEndpoint({ host: named.host, port: listener.port })) : [];
  });
  // A PAC file without proxies would mean direct.
  return told.length === 0 ? undefined : writePac(told, direct);
}

/** What a browser can speak with a listener: HTTP where there is a choice. SOCKS within TLS is none of it. */
function describeListener({ isTls, protocols }: BrowserListener, at: string): string[] {
  if (protocols.has("http")) return [`${isTls ? "HTTPS" : "PROXY"} ${at}`];
  if (isTls) return [];
  if (protocols.has("socks5")) return [`SOCKS5 ${at}`];
  return protocols.has("socks4") ? [`SOCKS ${at}`] : [];
}
