import type * as tls from "node:tls";

/**
 * Gives Node's TLS module, loaded when it is first needed: it brings a hundred
 * roots with it, and most proxies speak no TLS themselves.
 */
export function loadTls(): typeof tls {
  return process.getBuiltinModule("node:tls");
}
