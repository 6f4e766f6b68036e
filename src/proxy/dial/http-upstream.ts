import { type Endpoint, formatEndpoint } from "../../address/endpoint.ts";
import { formatBasicCredentials } from "../../protocol/http1/basic-credentials.ts";
import { getAll } from "../../protocol/http1/fields.ts";
import { createResponseHeadParser, type ResponseHead } from "../../protocol/http1/response-head.ts";
import type { Failure, Outcome } from "../failure.ts";
import { succeed } from "../failure.ts";
import { failHop, hear, type HopLeg, say } from "./hop-leg.ts";

/** What the head of an upstream's answer may have: no more than browsers take. */
const HEAD_LIMITS = { maxBytes: 16 * 1024, maxFields: 100 };

/** Informational answers (RFC 9110 §15.2) before the final one. */
const MAX_INTERIM = 8;

/** Characters of a reason phrase that are told. */
const MAX_REASON = 80;

/** Asks an HTTP proxy for a tunnel (RFC 9110 §9.3.6). */
export async function askHttpUpstream(leg: HopLeg, target: Endpoint): Promise<Outcome<undefined>> {
  const { credentials } = leg.hop;
  const authority = formatEndpoint(target);
  const lines = [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`];
  if (credentials !== undefined) {
    const shown = formatBasicCredentials(credentials.user, credentials.password);
    if (shown === undefined) return failHop(leg, "upstream_credentials", { note: "they have no Basic form" });
    lines.push(`Proxy-Authorization: ${shown}`);
  }
  const said = say(leg, Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"));
  if (!said.ok) return said;

  for (let interim = 0; interim <= MAX_INTERIM; interim++) {
    const parser = createResponseHeadParser(HEAD_LIMITS);
    const heard = await hear(leg, (bytes) => parser.parse(bytes), HEAD_LIMITS.maxBytes + 1);
    if (!heard.ok) return heard;
    const { status } = heard.value;
    // RFC 9110 §9.3.6: any 2xx makes the tunnel, and whatever framing it shows means nothing.
    if (status >= 200 && status < 300) return succeed(undefined);
    if (status === 101) return failHop(leg, "upstream_protocol", { note: "101 to CONNECT", receivedStatus: status });
    if (status >= 200) return { ok: false, failure: explainRefusal(leg, heard.value) };
  }
  return failHop(leg, "upstream_protocol", { note: `more than ${MAX_INTERIM} informational answers` });
}

function explainRefusal(leg: HopLeg, head: ResponseHead): Failure {
  const detail = head.status === 407 ? "upstream_credentials" : "upstream_refused";
  return failHop(leg, detail, { receivedStatus: head.status, note: describeAnswer(head) }).failure;
}

/** The status, the reason phrase as far as it is printable, and the error type of the upstream's own `Proxy-Status`. */
export function describeAnswer({ status, reason, fields }: ResponseHead): string {
  const printable = reason.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, MAX_REASON);
  const error = findProxyError(getAll(fields, "proxy-status").at(-1));
  return [String(status), printable, error === undefined ? "" : `(${error})`].filter((part) => part !== "").join(" ");
}

/** The `error` parameter (RFC 9209 §2.1.1) of the last member, which is the proxy nearest to us. */
function findProxyError(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const [, error] = /.*;[ ]*error=([a-z_]{1,64})(?![a-z_])/.exec(value.slice(-1024)) ?? [];
  return error;
}
