import { HOST } from "./field-names.ts";
import type { RequestHead } from "./request-head.ts";

/**
 * What can be wrong with a Host field that is not obeyed.
 *
 * - `repeated_host`: two readers may obey one each (RFC 9112 §3.2).
 * - `bad_host`: a character that no host and no port has, such as a space, a
 *   comma, a slash or an `@`: readers part it at different places.
 * - `missing_host`: RFC 9112 §3.2 asks for a 400.
 */
export type HostFieldError = "missing_host" | "repeated_host" | "bad_host";

/** IPv6 with or without brackets and zone, names of all kinds, raw UTF-8 too, a port or half of one. */
const harmless = /^[A-Za-z0-9._~:%[\]!$&'()*+=\x80-\xff-]*$/;

/**
 * Checks the Host field of a request whose target says itself whom it is for
 * (RFC 9112 §3.2.2): what it names means nothing, as long as no reader can
 * mistake it. CONNECT may come without: clients of old leave it out.
 */
export function checkHostField({
  method,
  target,
  version,
  fields,
}: Pick<RequestHead, "method" | "target" | "version" | "fields">): HostFieldError | undefined {
  const host = fields.getOne(HOST);
  if (host.kind === "many") return "repeated_host";
  if (host.kind === "none") return version === "1.0" || method === "CONNECT" ? undefined : "missing_host";
  // Most name the target of a CONNECT, which has been read.
  return (method === "CONNECT" && host.value === target) || harmless.test(host.value) ? undefined : "bad_host";
}
