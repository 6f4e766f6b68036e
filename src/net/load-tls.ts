/**
 * Gives Node's TLS module, loaded when it is first needed: it brings a hundred
 * roots with it, and most proxies speak no TLS themselves.
 */
export function loadTls(): typeof import("node:tls") {
  return process.getBuiltinModule("node:tls");
}
