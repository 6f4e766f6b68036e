/** The keys of an access line in JSON, in their order, with what each says. */
export const ACCESS_FIELDS = {
  time: "When the request was over, in UTC (ISO 8601).",
  id: "Of the request: also in `Proxy-Status`, in the body of a refusal and in `/tunnels`.",
  stage: "The last stage that was reached.",
  listener: "The listener that accepted the connection, as bound.",
  client: "Address and port of the client; those of the PROXY header where there is one.",
  user: "The user; also the name in a login that failed.",
  parameters: "The parameters in the user name (`auth.parameters`).",
  protocol: "What the client spoke: `http`, `socks5` or `socks4`.",
  method: "The method of an HTTP request, or the SOCKS command.",
  scheme: "`http` or `https`, of the URI of a forwarded request.",
  target: "Host and port that the client asked for.",
  dialled: "The address that was dialled: of the target, or of the first upstream.",
  rule: "The rule that decided, or `default`.",
  reported:
    "The precise reason for which it would have been refused, when that was only reported (`mode`, `rules[].report`).",
  reported_rule: "The rule that would have refused it, or `default`.",
  route: "`direct`, or the upstreams of the chain.",
  member: "The member of a pool that carried it, or was tried last.",
  attempts: "How many members of pools were tried.",
  status: "The status that the client was sent; of a SOCKS request that of HTTP which means the same.",
  error: "The error type of RFC 9209, of a request that failed.",
  detail: "The precise reason, as in the list of failure words.",
  limit: "The limit that refused it: its path below `limits`.",
  note: "More about the failure, for people.",
  next_hop: "The upstream, or the host and port, that the failure is about.",
  received_status: "The status with which an upstream refused.",
  inside: "What was spoken inside the tunnel, as far as its first bytes tell.",
  tls: "What the TLS handshake inside the tunnel showed: see below.",
  end: "How the tunnel ended.",
  bytes_up: "Bytes from the client to the target: the payload of a tunnel, or a forwarded request with its head.",
  bytes_down: "Bytes from the target to the client.",
  ms: "Milliseconds from accept, or from the beginning of the request on a kept connection, to the end.",
  stage_ms: "Milliseconds in each stage that was entered.",
} as const;
export type AccessField = keyof typeof ACCESS_FIELDS;

/** The keys of `tls`. */
export const TLS_FIELDS = {
  sni: "The server name that the client asked for.",
  alpn: "The protocols that the client offered.",
  alpn_chosen: "The protocol that the server chose, where that is visible (TLS 1.2).",
  version: "The version that was agreed on.",
  cipher: "The cipher suite that the server chose.",
  resumed: "Whether the session was resumed.",
  ja4: "The JA4 fingerprint of the client.",
  ja3: "The JA3 fingerprint (`inspect.ja3`).",
  certificate_expires: "When the certificate of the server expires, where that is visible (TLS 1.2).",
  handshake_ms: "Milliseconds that the handshake took.",
  alert: "The alert that ended the handshake.",
} as const;
export type TlsField = keyof typeof TLS_FIELDS;
