import * as z from "zod";
import { bound, formatTlsFields } from "../proxy/record/access-line.ts";
import type { Flow } from "../proxy/record/live-table.ts";

const text = z.string().optional();

/** What a TLS handshake inside a tunnel showed, in the keys of the access line. */
const tlsFields = z
  .object({
    sni: text,
    alpn: text.describe("What the client offers, with commas between."),
    alpn_chosen: text.describe("What the server chose. In TLS 1.3 that is encrypted."),
    version: text,
    cipher: text,
    resumed: z.boolean().optional(),
    ja4: text,
    ja3: text,
    certificate_expires: text.describe("In TLS 1.3 that is encrypted."),
    handshake_ms: z.number().optional(),
    alert: text,
  })
  .meta({ id: "TlsFacts" });

/** A tunnel or a forwarded request under way, in the keys of the access line, so that one query works for both. */
export const tunnelRow = z
  .object({
    kind: z.enum(["tunnel", "request"]),
    id: z.string(),
    listener: z.string(),
    client: z.string().describe("`ip:port`."),
    user: text,
    parameters: z.record(z.string(), z.string()).optional(),
    protocol: text,
    method: text,
    scheme: text,
    target: text,
    dialled: text,
    rule: text,
    reported: text.describe("Why it would have been refused, when that was only reported."),
    reported_rule: text.describe("The rule that would have refused it."),
    route: text,
    inside: text.describe("What is spoken in a tunnel."),
    tls: tlsFields.optional(),
    started_at: z.iso.datetime().describe("When the client connected, or its request began."),
    age_ms: z.int().describe("Since the tunnel opened, or the request was sent on."),
    limit: text.describe("The setting whose limit on bandwidth it waits for."),
    bytes_up: z.int(),
    bytes_down: z.int(),
  })
  .meta({ id: "Tunnel" });
export type TunnelRow = z.infer<typeof tunnelRow>;

/** The answer of `GET /tunnels`. */
export const tunnelsAnswer = z.object({ tunnels: z.array(tunnelRow).readonly() });

export function formatFlow(flow: Flow): TunnelRow {
  return {
    kind: flow.kind,
    id: flow.id,
    listener: flow.listener,
    client: flow.client,
    user: bound(flow.user),
    parameters: flow.parameters,
    protocol: flow.protocol,
    method: bound(flow.method),
    scheme: flow.scheme,
    target: bound(flow.target),
    dialled: flow.dialled,
    rule: flow.rule,
    reported: flow.reported,
    reported_rule: flow.reportedRule,
    route: flow.route,
    inside: flow.inside,
    tls: flow.tls && formatTlsFields(flow.tls),
    started_at: flow.startedAt,
    age_ms: flow.ageMs,
    limit: flow.limit,
    bytes_up: flow.bytesUp,
    bytes_down: flow.bytesDown,
  };
}
