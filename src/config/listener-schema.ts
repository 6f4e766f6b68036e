import { cidr, count, either, list, settings, text, word } from "./fields.ts";
import { isBindable, parseListenerAddress } from "./listener-address.ts";
import { explainUrl } from "./target-fault.ts";
import { tlsSchema } from "./tls-schema.ts";

/** A host that can be bound without asking a resolver. */
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
  }),
  count(0, 65535),
  settings({
    host: bindableHost()
      .describe("IP address to bind, or `localhost`; `0.0.0.0` and `::` for every interface.")
      .default("127.0.0.1"),
    port: count(0, 65535).describe("TCP port; 0 lets the system choose a free one.").default(8080),
    tls: tlsSchema.optional(),
    protocols: list(word(["http", "socks5", "socks4"]), "a list of protocols")
      .describe(
        "What clients may speak here; the first byte tells. `socks4` includes SOCKS4a. Inside TLS where there is `tls`.",
      )
      .default(["http", "socks5", "socks4"]),
    proxyProtocol: list(cidr(), "a list of the addresses or ranges of load balancers")
      .describe(
        "Peers that speak for others: they must begin with a PROXY protocol header (version 1 or 2), and nobody else may. The client in it counts for rules, limits and logs.",
      )
      .default([]),
  }),
]);

export const listenSchema = list(listener, "a list of addresses to listen on")
  .describe(
    'Where clients connect. Each is `"host:port"`, a lone port for loopback, or a map. Beyond loopback, and with `proxyProtocol`, the proxy needs `users`, or required client certificates, or `open: true`.',
  )
  .prefault([{ host: "127.0.0.1", port: 8080 }]);
