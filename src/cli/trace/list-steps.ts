import { formatEndpoint } from "../../address/endpoint.ts";
import { findRequest, findResponse, listProxySteps } from "./list-proxy-steps.ts";
import { listTlsSteps, type TlsSteps, type TlsSummary } from "./list-tls-steps.ts";
import type { TrustBasis } from "./explain-trust.ts";
import type { Recording, Sender } from "./recording.ts";
import type { SecureRecord, TraceRecord } from "./trace-record.ts";
import type { Party, TraceStep } from "./trace-step.ts";

/** A trace, explained. */
export interface TraceDescription {
  /** In the order of time. */
  readonly steps: readonly TraceStep[];
  readonly tls: TlsSummary | undefined;
  readonly proxyTls: TlsSummary | undefined;
  /** What could not be shown, and why. */
  readonly notes: readonly string[];
}

/** Makes the steps of what was recorded: DNS, TCP, the proxy, TLS, request and response. */
export function listSteps(record: TraceRecord, basis: TrustBasis): TraceDescription {
  const { request, wire, challenged, proxyTls, tunnelAt, http } = record;
  const { proxy } = request;
  const steps = [...listDnsSteps(record), ...listTcpSteps(record)];
  const notes: string[] = [];
  let placeOf: PlaceOf = () => undefined;
  const addTls = (stream: Recording, secure: SecureRecord | undefined, peer: "proxy" | "server") => {
    if (secure === undefined) return undefined;
    const secured = listTlsSteps(stream, secure, peer, basis);
    steps.push(...secured.steps);
    placeOf = secured.placeOf;
    if (secured.sealed !== undefined) notes.push(`TLS to the ${peer}: ${secured.sealed}.`);
    return secured.summary;
  };
  let toProxyTls: TlsSummary | undefined;
  let tls: TlsSummary | undefined;
  if (challenged?.wire !== undefined && proxy !== undefined) {
    const { recording } = challenged.wire;
    if (challenged.proxyTls !== undefined)
      steps.push(...listTlsSteps(recording, challenged.proxyTls, "proxy", basis).steps);
    steps.push(...listProxySteps(proxy.kind, challenged.proxyTls?.inside ?? recording));
  }
  if (wire !== undefined) {
    const toProxy = proxyTls?.inside ?? wire.recording;
    const tunnel = tunnelAt === undefined ? toProxy : toProxy.after(tunnelAt);
    toProxyTls = addTls(wire.recording, proxyTls, "proxy");
    const isForwarded = http !== undefined && tunnelAt === undefined && record.tls === undefined;
    if (proxy !== undefined && !isForwarded)
      steps.push(...listProxySteps(proxy.kind, tunnelAt === undefined ? toProxy : toProxy.before(tunnelAt)));
    tls = addTls(tunnel, record.tls, "server");
    if (http !== undefined)
      steps.push(...listHttpSteps(record, http, proxy !== undefined && isForwarded ? "proxy" : "server", placeOf));
    const from = proxy === undefined ? "server" : "proxy";
    if (wire.recording.endedAt !== undefined)
      steps.push(makeStep("tcp", wire.recording.endedAt, [from, "client"], "TCP end (FIN)"));
  }
  return { steps: steps.toSorted(compareSteps), tls, proxyTls: toProxyTls, notes };
}

/** A step without fields. */
function makeStep(layer: TraceStep["layer"], at: number, [from, to]: readonly [Party, Party], name: string): TraceStep {
  return { at, from, to, layer, name, fields: [], telling: [] };
}

function listDnsSteps({ lookups }: TraceRecord): TraceStep[] {
  return lookups.flatMap(({ at, answeredAt, name, family, answer }) => {
    const question = `${family === 4 ? "A" : "AAAA"} ${name}`;
    const told = typeof answer === "string" ? answer : answer.join(", ");
    return [
      makeStep("dns", at, ["client", "dns"], `${question}?`),
      makeStep("dns", answeredAt, ["dns", "client"], `${question} = ${told}`),
    ];
  });
}

function listTcpSteps({ attempts, request }: TraceRecord): TraceStep[] {
  const to: Party = request.proxy === undefined ? "server" : "proxy";
  return attempts.flatMap(({ at, endedAt, address, code }) => {
    const begun = makeStep("tcp", at, ["client", to], `TCP connect to ${address}`);
    if (endedAt === undefined) return [begun];
    const outcome = code === undefined ? "TCP connected" : `TCP failed: ${code}`;
    return [begun, makeStep("tcp", endedAt, [to, "client"], outcome)];
  });
}

/** Where bytes that were encrypted passed on the wire. */
type PlaceOf = TlsSteps["placeOf"];

/** Request and response, at the times of the encrypted records that carried them. */
function listHttpSteps(record: TraceRecord, http: Recording, peer: "server" | "proxy", placeOf: PlaceOf): TraceStep[] {
  const sealed = record.tls !== undefined || record.proxyTls !== undefined ? { sealed: true } : {};
  const find = (from: Sender, offset: number): Pick<TraceStep, "at" | "offset"> =>
    placeOf(from, offset) ?? { at: http.timeOf(from, offset) ?? 0 };
  const steps: TraceStep[] = [];
  const request = findRequest(http.bytesOf("client"));
  if (request !== undefined) {
    const { name, used, fields } = request;
    const common = { layer: "http", telling: ["Host"], ...sealed } as const;
    steps.push({ ...common, ...find("client", used), from: "client", to: peer, name, bytes: used, fields });
  }
  const bytes = http.bytesOf("server");
  let offset = 0;
  for (let response = findResponse(bytes); response !== undefined; response = findResponse(bytes.subarray(offset))) {
    offset += response.used;
    const interim = /^HTTP\/1\.[01] 1(?!01)/.test(response.name);
    const bodyBytes = interim ? 0 : bytes.length - offset;
    const more = record.cut ? ", and more that was not read" : "";
    const last = find("server", bytes.length).at.toFixed(1);
    const body = interim ? [] : [{ label: "body", value: `${bodyBytes} bytes as sent${more}, until ${last} ms` }];
    steps.push({
      ...find("server", offset),
      from: peer,
      to: "client",
      layer: "http",
      name: response.name,
      bytes: response.used + bodyBytes,
      ...sealed,
      fields: [...response.fields, ...body],
      telling: ["content-type", "Content-Type", "body"],
    });
    if (!interim) break;
  }
  return steps;
}

/** By time, and by place for what one side sent at once. */
function compareSteps(a: TraceStep, b: TraceStep): number {
  if (a.at !== b.at || a.from !== b.from || a.offset === undefined || b.offset === undefined) return a.at - b.at;
  return a.offset - b.offset;
}

/** How a party is called in a diagram. */
export function nameParty(party: Party, { request, wire }: TraceRecord): string {
  const { proxy, target } = request;
  switch (party) {
    case "client":
      return wire === undefined ? "client" : `client ${wire.local.ip.text}`;
    case "dns":
      return "DNS";
    case "proxy":
      return proxy === undefined ? "proxy" : `${proxy.kind} proxy ${formatEndpoint(proxy.endpoint)}`;
    case "server":
      return formatEndpoint(target.endpoint);
  }
}
