import type { CompiledConfig } from "../config/compile.ts";
import { formatListener } from "../gate/listeners.ts";

interface Bound {
  readonly host: string;
  readonly port: number;
}

/** Command lines that try the listeners, in their order. `bound` is where they listen, with the ports that the system chose. */
export function listTries(
  { listeners, runtime }: Pick<CompiledConfig, "listeners" | "runtime">,
  bound: readonly Bound[],
): string[] {
  // curl asks for the password: on the command line the process list would show it.
  const user = runtime.authenticator.required ? " --proxy-user USER" : "";
  return bound.flatMap(({ host, port }, at) => {
    const listener = listeners[at];
    if (listener === undefined || bound.length !== listeners.length) return [];
    const { protocols, tls } = listener;
    const spoken = protocols.has("http") ? "http" : protocols.has("socks5") ? "socks5h" : "socks4a";
    // curl speaks SOCKS only in clear.
    if (tls !== undefined && spoken !== "http") return [];
    const authority = tls === undefined ? "" : " --proxy-cacert ca.pem";
    const scheme = tls === undefined ? spoken : "https";
    return [`curl -x ${scheme}://${formatListener(nameReachable(host), port)}${authority}${user} https://example.com/`];
  });
}

/** The address at which this machine reaches a listener on every interface. */
function nameReachable(host: string): string {
  return host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
}
