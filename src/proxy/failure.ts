/**
 * The closed set of failures of a request, and the one table that says what each
 * means.
 *
 * `detail` is the key: the precise, closed reason. `word` is its error type of
 * RFC 9209 §2.3. Both appear unchanged in `Proxy-Status`, in the response body,
 * in the access record and as metric labels.
 */

/** The party that can fix it: where to look when it happens often. */
export type Blame = "client" | "policy" | "destination" | "upstream" | "proxy";

interface FailureRow {
  /** RFC 9209 §2.3 proxy error type. */
  readonly word: string;
  /** HTTP status of the refusal, when one can still be sent. */
  readonly status: number;
  readonly blame: Blame;
  /** The sentence in the body of the refusal. `{peer}` stands for the target or the upstream that failed. */
  readonly text: string;
}

const table = {
  // The request itself.
  malformed_request: row("http_request_error", 400, "client", "The request is not well-formed HTTP/1.1."),
  bad_target: row("http_request_error", 400, "client", "The target is not a host and a port in canonical spelling."),
  head_too_large: row("http_request_error", 431, "client", "The request head is too large."),
  handshake_timeout: row("http_request_error", 408, "client", "The request did not arrive in time."),
  version_not_supported: row("http_request_error", 505, "client", "Only HTTP/1.0 and HTTP/1.1 are spoken here."),
  not_for_a_proxy: row(
    "http_request_error",
    400,
    "client",
    "This is a proxy: it takes whole URIs, as in GET http://host/path, and CONNECT host:port.",
  ),
  command_not_supported: row("http_request_error", 501, "client", "SOCKS clients can only ask for CONNECT here."),
  protocol_not_served: row("http_request_error", 400, "client", "This listener does not serve that protocol."),
  proxy_header_missing: row("http_request_error", 400, "client", "This peer must begin with a PROXY protocol header."),
  client_tls_failed: row("http_request_error", 400, "client", "The TLS handshake of the client failed."),
  certificate_required: row(
    "http_request_denied",
    403,
    "client",
    "This listener needs a client certificate that it trusts.",
  ),
  client_gone: row("http_request_error", 400, "client", "The client went away before it was answered."),
  // Authentication and limits.
  credentials_required: row("http_request_denied", 407, "client", "This proxy needs a user name and a password."),
  credentials_malformed: row("http_request_denied", 407, "client", "The Proxy-Authorization field cannot be read."),
  credentials_wrong: row("http_request_denied", 407, "client", "The user name or the password is wrong."),
  parameters_malformed: row("http_request_denied", 407, "client", "The parameters in the user name cannot be read."),
  token_invalid: row("http_request_denied", 407, "client", "The token is not one that this proxy accepts."),
  token_expired: row("http_request_denied", 407, "client", "The token has expired."),
  keys_unavailable: row(
    "proxy_internal_response",
    503,
    "proxy",
    "The keys that tokens are verified with are not there yet; try again shortly.",
  ),
  auth_busy: row("connection_limit_reached", 429, "client", "Too many passwords are being checked; try again shortly."),
  client_not_admitted: row("http_request_denied", 403, "policy", "This client address may not use this proxy."),
  too_many_connections: row("connection_limit_reached", 429, "client", "Too many connections are open."),
  rate_exceeded: row(
    "connection_limit_reached",
    429,
    "client",
    "Too many requests came in a short time; try again later.",
  ),
  quota_exceeded: row("connection_limit_reached", 429, "client", "The quota of bytes of this user is used up."),
  quota_unknown: row(
    "connection_limit_reached",
    503,
    "proxy",
    "What this user has used of a quota of bytes is not known, so the answer is no.",
  ),
  // Rules and address classes.
  denied_by_rule: row("http_request_denied", 403, "policy", "A rule of this proxy denies the target."),
  denied_by_default: row("http_request_denied", 403, "policy", "No rule of this proxy allows the target."),
  list_unavailable: row(
    "http_request_denied",
    403,
    "proxy",
    "A list that a rule of this proxy denies by has no content yet, so the answer is no.",
  ),
  hook_failed: row("http_request_denied", 403, "policy", "The decision could not be made, so the answer is no."),
  approval_missing: row("http_request_denied", 403, "policy", "No operator approved the target in time."),
  approval_denied: row("http_request_denied", 403, "policy", "An operator denied the target."),
  approvals_full: row(
    "connection_limit_reached",
    429,
    "client",
    "Too many targets wait for the approval of an operator; try again later.",
  ),
  parameters_unfit: row(
    "http_request_denied",
    403,
    "client",
    "The parameters in the user name are not those that {peer} needs.",
  ),
  https_in_clear: row(
    "http_request_denied",
    403,
    "policy",
    "Requests for https URIs are taken over TLS or from this machine only; use CONNECT.",
  ),
  edits_unsafe: row(
    "http_request_denied",
    403,
    "policy",
    "The rule adds fields that are sent only to https URIs, and never with TRACE.",
  ),
  address_prohibited: row(
    "destination_ip_prohibited",
    403,
    "policy",
    "The address of the target is not one that this proxy dials.",
  ),
  proxy_loop: row("proxy_loop_detected", 508, "policy", "{peer} is this proxy itself."),
  // Inside a tunnel, after the reply that opened it.
  protocol_denied: row(
    "http_request_denied",
    403,
    "policy",
    "The rule that allows the target does not allow this protocol inside.",
  ),
  sni_mismatch: row(
    "http_request_denied",
    403,
    "policy",
    "The rule that allows the target does not allow the server name that the TLS client asks for.",
  ),
  tls_too_old: row("http_request_denied", 403, "policy", "The rule that allows the target asks for a newer TLS."),
  fingerprint_denied: row(
    "http_request_denied",
    403,
    "policy",
    "The rule that allows the target does not allow this TLS client.",
  ),
  ech_denied: row(
    "http_request_denied",
    403,
    "policy",
    "The rule that allows the target does not allow TLS clients to hide a server name (Encrypted Client Hello).",
  ),
  first_bytes_timeout: row(
    "http_request_denied",
    403,
    "policy",
    "The client did not say in time what the rule that allows the target asks for.",
  ),
  draining: row("proxy_internal_response", 503, "proxy", "The proxy is shutting down; try again elsewhere or later."),
  // DNS, dial and upstreams.
  dns_error: row("dns_error", 502, "destination", "The name of {peer} does not resolve."),
  too_many_lookups: row(
    "connection_limit_reached",
    429,
    "client",
    "Too many names are being resolved for this client; try again shortly.",
  ),
  dns_timeout: row("dns_timeout", 504, "destination", "No name server gave the address of {peer} in time."),
  connection_refused: row("connection_refused", 502, "destination", "{peer} refused the connection."),
  connection_reset: row(
    "connection_terminated",
    502,
    "destination",
    "{peer} closed the connection before it was ready.",
  ),
  connection_stale: row(
    "connection_terminated",
    502,
    "destination",
    "The kept connection to {peer} turned out to be closed, and the request cannot be sent again.",
  ),
  address_unroutable: row(
    "destination_ip_unroutable",
    502,
    "destination",
    "There is no route to the address of {peer}.",
  ),
  connection_timeout: row("connection_timeout", 504, "destination", "The connection to {peer} took too long."),
  out_of_resources: row(
    "connection_limit_reached",
    503,
    "proxy",
    "The proxy has no descriptors or ports left for another connection.",
  ),
  no_upstream: row("destination_unavailable", 503, "upstream", "No upstream proxy is available."),
  no_healthy_upstream: row("destination_unavailable", 503, "upstream", "No member of {peer} is healthy."),
  upstreams_full: row(
    "connection_limit_reached",
    503,
    "upstream",
    "Every member of {peer} that may be used has as many connections as it may have.",
  ),
  upstream_refused: row("destination_unavailable", 502, "upstream", "{peer} refused the tunnel."),
  pac_unavailable: row("destination_unavailable", 503, "upstream", "The PAC file of {peer} is not there yet."),
  pac_failed: row("proxy_configuration_error", 502, "upstream", "The PAC file of {peer} gave no usable answer."),
  pac_busy: row(
    "connection_limit_reached",
    429,
    "client",
    "Too many questions of this client wait for the PAC file; try again shortly.",
  ),
  upstream_credentials: row(
    "proxy_configuration_error",
    502,
    "upstream",
    "{peer} does not accept this proxy's credentials.",
  ),
  upstream_protocol: row(
    "http_protocol_error",
    502,
    "upstream",
    "{peer} answered with something that is not an answer.",
  ),
  upstream_timeout: row("http_response_timeout", 504, "upstream", "{peer} did not answer in time."),
  tls_certificate: row("tls_certificate_error", 502, "upstream", "The certificate of {peer} cannot be trusted."),
  tls_alert: row("tls_alert_received", 502, "upstream", "{peer} ended the TLS handshake with an alert."),
  tls_protocol: row("tls_protocol_error", 502, "upstream", "The TLS handshake with {peer} failed."),
  // The response to a forwarded request.
  bad_response: row("http_protocol_error", 502, "destination", "The answer of {peer} is not well-formed HTTP/1.1."),
  response_head_too_large: row(
    "http_response_header_section_size",
    502,
    "destination",
    "The head of the answer of {peer} is too large.",
  ),
  response_incomplete: row(
    "http_response_incomplete",
    502,
    "destination",
    "The answer of {peer} ended before its end.",
  ),
  response_timeout: row("http_response_timeout", 504, "destination", "The answer of {peer} did not arrive in time."),
  // This proxy.
  killed: row("connection_terminated", 502, "proxy", "An operator of the proxy ended this request."),
  internal_error: row("proxy_internal_error", 500, "proxy", "The proxy made a mistake."),
} as const satisfies Record<string, FailureRow>;

/** The precise reason: a key of the table. */
export type FailureDetail = keyof typeof table;

/** The error type of RFC 9209 that a reason belongs to. */
export type FailureWord = (typeof table)[FailureDetail]["word"];

/** An expected outcome that ends a request. */
export interface Failure {
  readonly detail: FailureDetail;
  /** For people: what was found, without secrets and without internals. */
  readonly note?: string;
  /** Status that the next hop answered with, for `received-status`. */
  readonly receivedStatus?: number;
  /** Seconds after which another try makes sense, for `Retry-After`. */
  readonly retryAfterSeconds?: number;
  /** The name of the limit that was reached: the path of its setting, without user names. */
  readonly limit?: string;
  /** With a 407: the nonce of the client was too old, the rest was right (RFC 7616 §3.3). */
  readonly stale?: true;
  /** The next hop that the failure is about (upstream name or `host:port`), for `next-hop`. */
  readonly nextHop?: string;
  /** The next hop reports it of what is behind it: of the culprit, or of the target without one. */
  readonly isReported?: true;
  /** The upstream that failed by itself. Absent when the target, the client or this proxy has to do with it. */
  readonly culprit?: string;
  /** The culprit was asked for something behind it, and did not answer: that may be what is slow, or has failed. */
  readonly unclear?: true;
  /** Milliseconds for which the upstream asks to be left alone, beside `receivedStatus`. */
  readonly receivedRetryMs?: number;
}

/** A value or the failure that took its place. */
export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly failure: Failure };

export function succeed<T>(value: T): Outcome<T> {
  return { ok: true, value };
}

export function fail(detail: FailureDetail, more: Omit<Failure, "detail"> = {}): { ok: false; failure: Failure } {
  return { ok: false, failure: { detail, ...more } };
}

/** Looks up what a failure means: its RFC 9209 word, status, blame and sentence. */
export function describeFailure(detail: FailureDetail): {
  word: FailureWord;
  status: number;
  blame: Blame;
  text: string;
} {
  return table[detail];
}

/** Lists every detail, for metrics, documentation and tests. */
export function listFailureDetails(): FailureDetail[] {
  return Object.keys(table) as FailureDetail[];
}

function row<const Word extends string>(word: Word, status: number, blame: Blame, text: string) {
  return { word, status, blame, text };
}
