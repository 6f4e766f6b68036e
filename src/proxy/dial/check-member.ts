import { parseIp, type Ip } from "../../address/ip.ts";
import { formatEndpoint } from "../../address/endpoint.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { readMessage } from "../../net/conn/read-message.ts";
import { TimeLimit } from "../../net/conn/time-limit.ts";
import { PROXY_AUTHENTICATE } from "../../protocol/http1/field-names.ts";
import { createResponseHeadParser } from "../../protocol/http1/response-head.ts";
import type { AllowDecision } from "../policy/decision.ts";
import type { Probe } from "../route/pool-plan.ts";
import { resolveLogin } from "../route/hop-login.ts";
import type { Hop } from "../route/hop.ts";
import type { NamedRequester } from "../route/user-template.ts";
import { UpstreamLogin } from "../upstream/upstream-login.ts";
import { dialWithin } from "./dial.ts";
import type { DialServices } from "./dial-context.ts";
import type { Introduced } from "./introduce-client.ts";

/** One look at a member. */
export interface MemberCheck {
  readonly hop: Hop;
  readonly probe: Probe;
  readonly timeoutMs: number;
}

/** The configuration names the targets of checks: they may be inside. */
export const checkDecision: AllowDecision = {
  verdict: "allow",
  rule: "health",
  allowPrivate: true,
  exactAddress: true,
  via: [],
};

/** Stands for the client in the dial: nobody asks, so that there is neither a user nor a parameter. */
export const NOBODY: Introduced & NamedRequester = { client: parseIp("127.0.0.1") as Ip, clientPort: 0 };

/** Limits on the head of a response: what browsers take. */
const HEAD_LIMITS = { maxBytes: 64 * 1024, maxFields: 256 };

/** Answers to a request for credentials: Basic at once, and Digest with a second challenge. */
const MAX_TRIES = 3;

/** Checks a member. Gives the reason when it is bad. Never rejects but for a bug. */
export async function checkMember(check: MemberCheck, services: DialServices): Promise<string | undefined> {
  const limit = new TimeLimit(check.timeoutMs);
  const { hop, probe } = check;
  // Without a user there may be no login. What can be shown is that the member accepts connections.
  const isTcp = probe.kind === "tcp" || !resolveLogin(hop, NOBODY).ok;
  try {
    return probe.kind === "get" && !isTcp
      ? await checkResponse(check, probe, services, limit)
      : await checkDial(check, isTcp, services, limit);
  } finally {
    limit.release();
  }
}

async function checkDial(
  check: MemberCheck,
  endAtUpstream: boolean,
  services: DialServices,
  limit: TimeLimit,
): Promise<string | undefined> {
  const reached = await reach(check, endAtUpstream, services, limit);
  if (typeof reached === "string") return reached;
  reached.close();
  return undefined;
}

type GetProbe = Extract<Probe, { kind: "get" }>;

async function checkResponse(
  check: MemberCheck,
  probe: GetProbe,
  services: DialServices,
  limit: TimeLimit,
): Promise<string | undefined> {
  const { hop } = check;
  // What forwards for clients has to forward here, too.
  const forwards = (hop.kind === "http" || hop.kind === "https") && hop.tunnelHttp !== true;
  const found = resolveLogin(hop, NOBODY);
  const credentials = found.ok ? found.value : undefined;
  const login = forwards ? new UpstreamLogin(hop, services.upstreams.find(hop), credentials) : undefined;
  for (let attempt = 1; ; attempt++) {
    const reached = await reach(check, forwards, services, limit);
    if (typeof reached === "string") return reached;
    const head = await askFor(reached, probe, login, limit);
    reached.reset();
    if (typeof head === "string") return head;
    const isAsked = head.status === 407 && login !== undefined && attempt < MAX_TRIES;
    if (isAsked && login.refuse(head.fields.getAll(PROXY_AUTHENTICATE)).retry) continue;
    return probe.statuses.has(head.status) ? undefined : `answered ${head.status}`;
  }
}

/** Opens a connection to the member, or through it to the target of its check. */
async function reach(
  { hop, probe, timeoutMs }: MemberCheck,
  endAtUpstream: boolean,
  services: DialServices,
  limit: TimeLimit,
): Promise<Conn | string> {
  const request = {
    requester: { ...NOBODY, runtime: { timeouts: { connectMs: timeoutMs } } },
    client: undefined,
    target: probe.kind === "tcp" ? hop.endpoint : probe.target,
    route: {
      name: hop.name,
      hops: [hop],
      ...(hop.sourceAddress !== undefined && { sourceAddress: hop.sourceAddress }),
    },
    grant: { decision: checkDecision },
    wish: { endAtUpstream },
  };
  const outcome = await dialWithin(request, services, limit);
  return outcome.ok ? outcome.value.conn : outcome.failure.detail;
}

/** Sends the request and reads the head of the final response; or says why there is none. */
async function askFor(conn: Conn, { target, path }: GetProbe, login: UpstreamLogin | undefined, limit: TimeLimit) {
  const authority = target.port === 80 ? target.host.text : formatEndpoint(target);
  const uri = login === undefined ? path : `http://${authority}${path}`;
  const shown = login?.authorize("GET", uri);
  if (shown?.ok === false) return "upstream_credentials";
  const lines = [`GET ${uri} HTTP/1.1`, `Host: ${authority}`, "User-Agent: penstock", "Connection: close"];
  if (shown?.value !== undefined) lines.push(`Proxy-Authorization: ${shown.value}`);
  const bytes = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  if (conn.write(bytes) !== bytes.length) return "connection_reset";
  const parser = createResponseHeadParser(HEAD_LIMITS);
  const read = await readMessage(conn, (received) => parser.parse(received), {
    deadlineMs: limit.remainingMs,
    maxBytes: HEAD_LIMITS.maxBytes + 1,
  });
  switch (read.kind) {
    case "done":
      return read.value;
    case "timeout":
      return "response_timeout";
    case "closed":
      return "connection_reset";
    default:
      return "bad_response";
  }
}
