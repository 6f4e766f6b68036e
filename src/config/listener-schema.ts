import type * as z from "zod";

import { parseIp } from "../address/ip.ts";
import { cidr, count, either, list, settings, text, word } from "./fields.ts";
import {
  formatListenerAddress,
  isBindable,
  isLoopbackHost,
  type ListenerAddress,
  parseListenerAddress,
} from "./listener-address.ts";
import { MALFORMED, type Parts, type PartsOf } from "./parts.ts";
import type { Problem } from "./problem.ts";
import { pemTexts, type References, secretTexts } from "./references.ts";
import { explainUrl } from "./target-pattern.ts";
import { tlsSchema, type TlsSettings } from "./tls-schema.ts";

/** A host that can be bound without a resolver. */
export function bindableHost() {
  return text("an IP address or localhost", (value) =>
    isBindable(value)
      ? undefined
      : 'names no address to bind. Write an IP address or "localhost", and "0.0.0.0" or "::" for every interface',
  );
}

const listener = either('"host:port", a port or { host, port }', [
  text('"host:port"', (value) => {
    const parsed = parseListenerAddress(value);
    return parsed.ok ? undefined : (explainUrl(value) ?? parsed.reason);
  }).meta({ pattern: "^((\\[[^\\]]*\\]|[^:\\[\\]]*):)?[0-9]{1,5}$" }),
  count(0, 65535),
  settings({
    host: bindableHost()
      .describe("IP address to bind, or `localhost`; `0.0.0.0` and `::` for every interface.")
      .default("127.0.0.1"),
    port: count(0, 65535).describe("TCP port; 0 lets the system choose a free one.").default(8080),
    name: text('a name such as "edge"', (value) =>
      /^[\x21-\x39\x3b-\x7e]{1,255}$/.test(value)
        ? undefined
        : "is not a name for a socket. Write at most 255 characters without spaces and colons",
    )
      .describe(
        "Name of a socket that a service manager passes (`FileDescriptorName=` of systemd). It is used instead of binding `host` and `port`. A socket without such a name is used by the listener with its address.",
      )
      .optional(),
    tls: tlsSchema.optional(),
    protocols: list(word(["http", "socks5", "socks4"]), "a list of protocols")
      .describe(
        "Protocols of clients, told apart by the first byte. `socks4` includes SOCKS4a. Inside TLS where there is `tls`.",
      )
      .default(["http", "socks5", "socks4"]),
    proxyProtocol: list(cidr(), "a list of the addresses or ranges of load balancers")
      .describe(
        "Load balancers: their connections must begin with a PROXY protocol header (version 1 or 2), and no other connection may. Rules, limits and logs use the client in it.",
      )
      .default([]),
  }),
]);

export const listenReferences: References = { texts: { ...secretTexts, ...pemTexts } };

export const listenSchema = list(listener, "a list of addresses to listen on")
  .describe(
    'Where clients connect. Each is `"host:port"`, a lone port for loopback, or a map. Beyond loopback, and with `proxyProtocol`, the proxy needs `users`, or required client certificates, or `open: true`.',
  )
  .prefault([{ host: "127.0.0.1", port: 8080 }]);

export type ListenSettings = z.output<typeof listenSchema>;

/** The well-formed parts of a listener. */
interface KnownListener {
  readonly host?: string;
  readonly port?: number;
  readonly tls?: PartsOf<TlsSettings>;
  /** Whether load balancers speak for the clients. */
  readonly balanced?: boolean;
}

function readListener(entry: Parts<ListenSettings[number]>): KnownListener {
  if (typeof entry === "symbol") return {};
  if (typeof entry !== "object") {
    const parsed = parseListenerAddress(String(entry));
    return parsed.ok ? parsed.value : {};
  }
  const { host, port, tls, proxyProtocol } = entry;
  return {
    ...(tls !== undefined && tls !== MALFORMED && { tls }),
    ...(host !== MALFORMED && { host }),
    ...(port !== MALFORMED && { port }),
    balanced: proxyProtocol !== MALFORMED && proxyProtocol.length > 0,
  };
}

/** Listeners that anybody could use from beyond this machine: they need users, unless the file says that the proxy is open. */
export function findUnguarded(listen: Parts<ListenSettings>): Problem[] {
  if (listen === MALFORMED) return [];
  return listen.flatMap((entry, at) => {
    const { host, port, tls, balanced } = readListener(entry);
    if (host === undefined || (tls?.clientCa !== undefined && tls.clientCertificate !== "optional")) return [];
    if (isLoopbackHost(host) && balanced !== true) return [];
    const address = port === undefined ? host : formatListenerAddress({ host, port });
    const reason = isLoopbackHost(host)
      ? ', and load balancers bring clients from beyond this machine to it ("proxyProtocol")'
      : "";
    const message = `Cannot bind ${address}: the listener has no users${reason}. Set "users", or "open: true" to run an open proxy.`;
    return { path: ["listen", at], message };
  });
}

/** Whether certificates may name users whom nothing else in the configuration names. */
export function hasCertifiedUsers(listen: Parts<ListenSettings>): boolean {
  return listen === MALFORMED || listen.some((entry) => readListener(entry).tls?.clientCa !== undefined);
}

/** An address and a port that are to be bound, and the setting that says so. */
export interface Binding extends ListenerAddress {
  readonly path: readonly PropertyKey[];
}

/** Ports that two listeners, or a listener and the sidecar, would bind. Port 0 is another port each time. */
export function findPortConflicts(listen: Parts<ListenSettings>, sidecar?: Binding): Problem[] {
  const bindings = listBindings(listen, sidecar);
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

function listBindings(listen: Parts<ListenSettings>, sidecar: Binding | undefined): Binding[] {
  const listeners = listen === MALFORMED ? [] : listen.map(readListener);
  const bindings = listeners.flatMap(({ host, port }, at): Binding[] =>
    host === undefined || port === undefined ? [] : [{ host, port, path: ["listen", at] }],
  );
  return sidecar === undefined ? bindings : [...bindings, sidecar];
}

/** What of the proxy itself a connection to `host` reaches: a listener or the sidecar. Which addresses of the network are ours is not known. */
export function findOwnBinding(
  { host, port }: ListenerAddress,
  listen: Parts<ListenSettings>,
  sidecar?: Binding,
): Binding | undefined {
  return listBindings(listen, sidecar).find((each) => {
    if (each.port !== port) return false;
    return canonicalise(each.host) === canonicalise(host) || (isLoopbackHost(host) && overlap(each.host, host));
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
