import { type Endpoint, formatEndpoint } from "../../address/endpoint.ts";
import { PROXY_AUTHENTICATE, PROXY_STATUS } from "../../protocol/http1/field-names.ts";
import { frameResponse } from "../../protocol/http1/message-framing.ts";
import { allowsNextResponse } from "../../protocol/http1/persistence.ts";
import { createResponseHeadParser, type ResponseHead } from "../../protocol/http1/response-head.ts";
import { findRetryAfter } from "../../protocol/http1/retry-after.ts";
import type { Failure, Outcome } from "../failure.ts";
import { succeed } from "../failure.ts";
import { createBodyReader } from "../../protocol/http1/body-reader.ts";
import { failHop, hear, type HopAnswer, type HopLeg, passOnFailure, refuseLogin, say } from "./hop-leg.ts";
import { UpstreamLogin } from "../upstream/upstream-login.ts";

/** Limits on the head of an upstream's answer: what browsers take. */
const HEAD_LIMITS = { maxBytes: 16 * 1024, maxFields: 100 };

/** Informational answers (RFC 9110 §15.2) before the final one. */
const MAX_INTERIM = 8;

/** The longest body of a 407, in bytes, that is skipped for another try on the same connection. */
const MAX_PAGE = 64 * 1024;

/** Characters of a reason phrase in a note. */
const MAX_REASON = 80;

/**
 * Asks an HTTP proxy for a tunnel (RFC 9110 §9.3.6), and answers its 407: on the
 * same connection when the 407 leaves it usable. Otherwise the caller dials `again`.
 */
export async function askHttpUpstream(leg: HopLeg, target: Endpoint): Promise<HopAnswer> {
  const login = new UpstreamLogin(leg.hop, leg.upstream, leg.login);
  for (let attempt = 1; ; attempt++) {
    const answer = await ask(leg, target, login);
    if (!answer.ok) {
      // Some proxies announce that they keep the connection, and still close it.
      return attempt > 1 && answer.failure.detail === "connection_reset" ? { ...answer, again: leg.hop } : answer;
    }
    const head = answer.value;
    // RFC 9110 §9.3.6: any 2xx makes the tunnel. Its framing fields mean nothing.
    if (head.status >= 200 && head.status < 300) return succeed(undefined);
    // tinyproxy's answer to wrong credentials. No origin answers a CONNECT: it is the proxy's own.
    if (head.status === 401 && leg.hop.credentials !== undefined) return refuseLogin(leg, describe(head));
    if (head.status !== 407)
      return passOnFailure(leg, "upstream_refused", { ...describe(head), ...readRetryAfter(head) });
    const verdict = login.refuse(head.fields.getAll(PROXY_AUTHENTICATE));
    const refusal = refuseLogin(leg, describe(head, verdict.retry ? undefined : verdict.note));
    if (!verdict.retry) return refusal;
    const passed = await readPast(leg, head);
    if (!passed.ok) return passed;
    if (!passed.value) return { ...refusal, again: leg.hop };
  }
}

/** Sends one request and reads the final answer. */
async function ask(leg: HopLeg, target: Endpoint, login: UpstreamLogin): Promise<Outcome<ResponseHead>> {
  const authority = formatEndpoint(target);
  const lines = [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`];
  const shown = login.authorize("CONNECT", authority);
  if (!shown.ok) return refuseLogin(leg, { note: shown.note });
  if (shown.value !== undefined) lines.push(`Proxy-Authorization: ${shown.value}`);
  const said = say(leg, Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"));
  if (!said.ok) return said;
  leg.asked = true;

  for (let interim = 0; interim <= MAX_INTERIM; interim++) {
    const parser = createResponseHeadParser(HEAD_LIMITS);
    const heard = await hear(leg, (bytes) => parser.parse(bytes), HEAD_LIMITS.maxBytes + 1);
    if (!heard.ok) return heard;
    const { status } = heard.value;
    if (status === 101) return failHop(leg, "upstream_protocol", { note: "101 to CONNECT", receivedStatus: status });
    if (status >= 200) return heard;
  }
  return failHop(leg, "upstream_protocol", { note: `more than ${MAX_INTERIM} informational answers` });
}

/** Skips the body of an answer. False when no other request can follow on this connection. */
async function readPast(leg: HopLeg, head: ResponseHead): Promise<Outcome<boolean>> {
  const framing = frameResponse(head, "CONNECT");
  if (framing.kind === "bad" || framing.kind === "tunnel" || !allowsNextResponse(head, framing)) return succeed(false);
  if (framing.kind === "length" && framing.length > MAX_PAGE) return succeed(false);
  const reader = createBodyReader(framing, "data", "tolerant");
  if (reader === undefined) return succeed(true);
  let seen = 0;
  const heard = await hear(
    leg,
    (bytes) => {
      const step = reader.push(bytes.subarray(seen));
      if (step.kind === "bad") return { kind: "bad", code: step.code, at: seen };
      if (step.kind === "done") return { kind: "done", value: undefined, used: seen + step.used };
      seen = bytes.length;
      return { kind: "more" };
    },
    MAX_PAGE,
  );
  if (heard.ok) return succeed(true);
  const { detail } = heard.failure;
  return detail === "client_gone" || detail === "upstream_timeout" ? heard : succeed(false);
}

function describe(head: ResponseHead, more?: string): Omit<Failure, "detail"> {
  const note = describeAnswer(head);
  return { receivedStatus: head.status, note: more === undefined ? note : `${note}, ${more}` };
}

function readRetryAfter(head: ResponseHead): Pick<Failure, "receivedRetryMs"> {
  const receivedRetryMs = findRetryAfter(head, Date.now());
  return receivedRetryMs === undefined ? {} : { receivedRetryMs };
}

/** The status, the reason phrase as far as it is printable, and the error type of the upstream's own `Proxy-Status`. */
export function describeAnswer({ status, reason, fields }: ResponseHead): string {
  const printable = reason.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, MAX_REASON);
  const error = findProxyError(fields.getAll(PROXY_STATUS).at(-1));
  return [String(status), printable, error === undefined ? "" : `(${error})`].filter((part) => part !== "").join(" ");
}

/** The `error` parameter (RFC 9209 §2.1.1) of the last member, which is the proxy nearest to us. */
function findProxyError(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const [, error] = /.*;[ ]*error=([a-z_]{1,64})(?![a-z_])/.exec(value.slice(-1024)) ?? [];
  return error;
}
