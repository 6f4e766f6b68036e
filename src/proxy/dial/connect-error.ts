import type { Failure, FailureDetail } from "../failure.ts";

const details: Readonly<Record<string, FailureDetail>> = {
  ECONNREFUSED: "connection_refused",
  ECONNRESET: "connection_reset",
  EPIPE: "connection_reset",
  ETIMEDOUT: "connection_timeout",
  // A local firewall's answers to `connect` are about the route, too.
  EHOSTUNREACH: "address_unroutable",
  ENETUNREACH: "address_unroutable",
  EACCES: "address_unroutable",
  EPERM: "address_unroutable",
  EINVAL: "address_unroutable",
  EAFNOSUPPORT: "address_unroutable",
  EOPNOTSUPP: "address_unroutable",
  // No port is left for this source and this target; or no such source address.
  EADDRNOTAVAIL: "out_of_resources",
  EADDRINUSE: "out_of_resources",
  EMFILE: "out_of_resources",
  ENFILE: "out_of_resources",
  ENOBUFS: "out_of_resources",
  ENOMEM: "out_of_resources",
};

/** Finds the failure behind an errno word of `connect`. */
export function judgeConnectError(code: string): Failure {
  return { detail: details[code] ?? "connection_reset", note: code };
}

/** From what says most about the target to what says most about this machine. */
const telling: readonly FailureDetail[] = [
  "connection_refused",
  "connection_reset",
  "connection_timeout",
  "out_of_resources",
  "address_unroutable",
];

/** Picks the failure to report when several addresses were tried. */
export function moreTelling(known: Failure | undefined, next: Failure): Failure {
  if (known === undefined) return next;
  return telling.indexOf(next.detail) < telling.indexOf(known.detail) ? next : known;
}
