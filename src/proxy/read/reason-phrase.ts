import { describeFailure, type Failure, type FailureDetail } from "../failure.ts";

/**
 * Reason phrases: most programs show them for a refused CONNECT, and hide the body.
 * A failure without a phrase here uses its sentence.
 */
const phrases: { readonly [Detail in FailureDetail]?: string } = {
  malformed_request: "Malformed request",
  bad_target: "Target is not a host and a port",
  head_too_large: "Request head too large",
  handshake_timeout: "Request did not arrive in time",
  version_not_supported: "HTTP version not supported",
  not_for_a_proxy: "This is a proxy and no origin server",
  protocol_not_served: "Protocol not served here",
  proxy_header_missing: "PROXY protocol header missing",
  client_tls_failed: "TLS handshake failed",
  certificate_required: "Client certificate required",
  // People, and some programs, search for these words.
  credentials_required: "Proxy Authentication Required",
  credentials_malformed: "Proxy-Authorization cannot be read",
  credentials_wrong: "Wrong user name or password",
  parameters_malformed: "Parameters in the user name cannot be read",
  token_invalid: "Token not accepted",
  token_expired: "Token has expired",
  keys_unavailable: "Keys to verify tokens are missing",
  auth_busy: "Too many logins at once",
  client_not_admitted: "Client address not admitted",
  too_many_connections: "Too many connections",
  rate_exceeded: "Too many requests",
  quota_exceeded: "Quota used up",
  quota_unknown: "Use of the quota not known",
  denied_by_rule: "Denied by rule",
  denied_by_default: "No rule allows the target",
  list_unavailable: "List that a rule denies by has no content yet",
  approval_missing: "No operator approved the target in time",
  approval_denied: "Denied by an operator",
  approvals_full: "Too many targets wait for an operator",
  hook_failed: "Decision could not be made",
  parameters_unfit: "Parameters in the user name do not fit the upstream proxy",
  https_in_clear: "Use CONNECT for https",
  edits_unsafe: "Rule adds fields, which needs an https URI",
  address_prohibited: "Address of the target is prohibited",
  proxy_loop: "Loop detected",
  draining: "Proxy is shutting down",
  dns_error: "Name does not resolve",
  dns_timeout: "Name did not resolve in time",
  connection_refused: "Target refused the connection",
  connection_reset: "Connection closed before it was ready",
  connection_stale: "Kept connection closed, not sent again",
  address_unroutable: "No route to the target",
  connection_timeout: "Connecting to the target took too long",
  out_of_resources: "Proxy is out of resources",
  no_upstream: "No upstream proxy is available",
  pac_unavailable: "PAC file of the upstream proxy is not there yet",
  pac_failed: "PAC file of the upstream proxy gave no usable answer",
  pac_busy: "Too many questions to the PAC file",
  upstream_refused: "Upstream proxy refused",
  upstream_credentials: "Upstream proxy does not accept the credentials",
  upstream_protocol: "Upstream proxy answered wrongly",
  upstream_timeout: "Upstream proxy did not answer in time",
  tls_certificate: "Certificate of the next hop is not trusted",
  tls_alert: "Next hop ended the TLS handshake",
  tls_protocol: "TLS handshake with the next hop failed",
  bad_response: "Response is malformed",
  response_head_too_large: "Response head too large",
  response_incomplete: "Response ended too early",
  response_timeout: "Response did not arrive in time",
  internal_error: "Internal error of the proxy",
};

/** The phrases for failures of an upstream, which they name. */
const upstreamPhrases: { readonly [Detail in FailureDetail]?: string } = {
  dns_error: "Name of the upstream proxy does not resolve",
  dns_timeout: "Name of the upstream proxy did not resolve in time",
  connection_refused: "Upstream proxy refused the connection",
  connection_reset: "Upstream proxy closed the connection before it was ready",
  connection_stale: "Upstream proxy closed the kept connection",
  address_unroutable: "No route to the upstream proxy",
  connection_timeout: "Connecting to the upstream proxy took too long",
  tls_certificate: "Certificate of the upstream proxy is not trusted",
  tls_alert: "Upstream proxy ended the TLS handshake",
  tls_protocol: "TLS handshake with the upstream proxy failed",
  bad_response: "Response of the upstream proxy is malformed",
  response_head_too_large: "Response head of the upstream proxy too large",
  response_incomplete: "Response of the upstream proxy ended too early",
  response_timeout: "Response of the upstream proxy did not arrive in time",
  no_healthy_upstream: "No upstream proxy of the pool is healthy",
  upstreams_full: "No upstream proxy of the pool has a connection left",
};

/** Characters of a rule's name in a phrase. */
const MAX_NAME = 60;

/**
 * Gives the reason phrase of a refusal (RFC 9112 §4): printable US-ASCII, and
 * nothing that a peer has sent. It distinguishes an upstream from the target.
 * `rule` is the configured name of the rule that decided.
 */
export function writeReasonPhrase(
  { detail, note, nextHop, isReported, culprit }: Failure,
  rule: string | undefined,
): string {
  // Only notes of our own, which say whether TLS or HTTP was expected.
  if (detail === "protocol_not_served" && note !== undefined && OUR_NOTE.test(note)) return capitalise(note);
  const isAboutTarget = nextHop === undefined || (isReported === true && culprit === undefined);
  const phrase =
    (isAboutTarget ? undefined : upstreamPhrases[detail]) ??
    phrases[detail] ??
    describeFailure(detail).text.replace(/\.$/, "");
  return detail === "denied_by_rule" && rule !== undefined ? `${phrase} ${sanitiseName(rule)}` : phrase;
}

const OUR_NOTE = /^the client speaks [A-Za-z, ]+$/;

function capitalise(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function sanitiseName(name: string): string {
  return name.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, MAX_NAME);
}
