import { splitList } from "./field-lists.ts";

/** RFC 9110 §7.8: a protocol is a token, and its version another one. */
const protocol = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+)?$/;

/**
 * Protocols in which a client asks for hosts of its own choice: HTTP itself (`h2c`, and what drafts called it)
 * and TLS, with HTTP inside. The host of the request that switches to them says nothing about those.
 */
const withHosts = /^(?:h2c?|h2c?-[0-9]+|h3|https?|tls|ssl)(?:\/|$)/i;

/**
 * Gives the protocols to switch to that may be asked of the next hop, from the values of Upgrade;
 * undefined for none. Others are left out: a server may always go on without (RFC 9110 §7.8).
 * Whoever wants HTTP/2 or TLS end to end asks for a tunnel (RFC 2817 §5.2).
 */
export function findUpgrade(values: readonly string[]): string | undefined {
  const offered = values.flatMap((value) => splitList(value) ?? []);
  const passed = offered.filter((each) => protocol.test(each) && !withHosts.test(each));
  return passed.length === 0 ? undefined : passed.join(", ");
}
