import { describeFailure, type Failure, type FailureDetail } from "./failure.ts";

/** Sentences that name the peer that failed: `the target`, `the upstream corp`. */
const sentences: Partial<Record<FailureDetail, (who: string) => string>> = {
  dns_error: (who) => `The name of ${who} does not resolve.`,
  dns_timeout: (who) => `No name server gave the address of ${who} in time.`,
  connection_refused: (who) => `${begin(who)} refused the connection.`,
  connection_reset: (who) => `${begin(who)} closed the connection before it was ready.`,
  connection_stale: (who) =>
    `The kept connection to ${who} turned out to be closed, and the request cannot be sent again.`,
  address_unroutable: (who) => `There is no route to the address of ${who}.`,
  connection_timeout: (who) => `The connection to ${who} took too long.`,
  proxy_loop: (who) => `${begin(who)} is this proxy itself.`,
  no_healthy_upstream: (who) => `No member of ${who} is healthy.`,
  upstreams_full: (who) => `Every member of ${who} that may be used has as many connections as it may have.`,
  upstream_refused: (who) => `${begin(who)} refused the tunnel.`,
  upstream_credentials: (who) => `${begin(who)} does not accept this proxy's credentials.`,
  upstream_protocol: (who) => `${begin(who)} answered with something that is not an answer.`,
  upstream_timeout: (who) => `${begin(who)} did not answer in time.`,
  tls_certificate: (who) => `The certificate of ${who} cannot be trusted.`,
  tls_alert: (who) => `${begin(who)} ended the TLS handshake with an alert.`,
  tls_protocol: (who) => `The TLS handshake with ${who} failed.`,
  bad_response: (who) => `The answer of ${who} is not well-formed HTTP/1.1.`,
  response_head_too_large: (who) => `The head of the answer of ${who} is too large.`,
  response_incomplete: (who) => `The answer of ${who} ended before its end.`,
  response_timeout: (who) => `The answer of ${who} did not arrive in time.`,
};

/** Notes of failures of a name server, after which nothing is known about the name. */
const SERVER_FAULT = /\b(?:E?SERVFAIL|E?REFUSED|ECONNREFUSED|E?FORMERR|EBADRESP|ENONAME|ENOTIMP)\b/;

/**
 * Writes the sentence that names the peer that failed: the upstream by its
 * configured name, the name server, or the target. `nextHop` is another name for
 * the upstream.
 */
export function explainFailure(failure: Failure, nextHop = nameUpstream(failure)): string {
  const { detail, note } = failure;
  const who = nextHop ?? "the target";
  if (detail === "dns_error" && note !== undefined && SERVER_FAULT.test(note))
    return `The name server failed when it was asked for the name of ${who}.`;
  const write = nextHop === undefined && isAboutUpstream(detail) ? undefined : sentences[detail];
  return write === undefined ? describeFailure(detail).text : write(who);
}

function nameUpstream({ nextHop }: Failure): string | undefined {
  return nextHop === undefined ? undefined : `the upstream ${nextHop}`;
}

/** For these the table has a sentence without the name of the upstream. */
function isAboutUpstream(detail: FailureDetail): boolean {
  return detail.includes("upstream");
}

function begin(who: string): string {
  return `${who.slice(0, 1).toUpperCase()}${who.slice(1)}`;
}
