import { type Endpoint, formatEndpoint, parseAuthority } from "../address/endpoint.ts";
import { type Ip, parseIp } from "../address/ip.ts";
import { ACTIVE } from "../net/conn/idle-watch.ts";
import type { MovedClient } from "../proxy/connection.ts";
import type { TakenClient } from "../proxy/exchange/forwarding.ts";
import type { TunnelBefore } from "../proxy/flow/tunnel.ts";
import { listFailureDetails } from "../proxy/failure.ts";
import type { Reported } from "../proxy/policy/decision.ts";
import type { InsideProtocol } from "../proxy/policy/inside-demand.ts";
import type { JsonValue } from "../protocol/handover/json-value.ts";
import { findReported } from "../proxy/record/find-reported.ts";
import { type ClientProtocol, type RequestRecord, STAGES } from "../proxy/record/request-record.ts";
import type { InsideFacts, TlsFacts } from "../proxy/tunnel/inside-facts.ts";
import { packNotes } from "../proxy/tunnel/handshake-notes.ts";
import { StateReader } from "./move-reader.ts";
import type { MovedMembers } from "./moved-carriage.ts";

/** Changes when a successor could not read what this program writes, or would take it for something else. */
const VERSION = 1;

const KINDS = ["tunnel", "client"] as const;
const PROTOCOLS: readonly ClientProtocol[] = ["http", "socks5", "socks4"];
const SCHEMES = ["http", "https"] as const;
const INSIDE: readonly InsideProtocol[] = ["tls", "http", "ssh", "smtp", "unknown"];
const SIDES = ["client", "server"] as const;
const MAX_PORT = 65_535;
/** No name has one. */
const NAME_END = "\n";

/** Facts of a record that a tunnel keeps, as they are in the record. */
export type TunnelFacts = Pick<
  RequestRecord,
  | "startedAt"
  | "acceptedAt"
  | "stageSince"
  | "stageMs"
  | "protocol"
  | "method"
  | "scheme"
  | "target"
  | "user"
  | "parameters"
  | "foundName"
  | "dialled"
  | "status"
  | "inside"
>;

/** Where a connection came from. */
type ClientOrigin = Pick<MovedClient, "client" | "clientPort" | "listener">;

export interface ClientState extends MovedClient {
  readonly kind: "client";
}

export interface TunnelState extends ClientOrigin {
  readonly kind: "tunnel";
  readonly id: string;
  readonly facts: TunnelFacts;
  /** The names of the rule that allowed it, and of its route. */
  readonly rule: string | undefined;
  readonly route: string | undefined;
  /** Why it would have been refused. */
  readonly reported: Reported | undefined;
  readonly carriage: MovedMembers | undefined;
  readonly before: TunnelBefore;
}

/**
 * Writes down a tunnel. `clockOffset` leads from the clock of this process to the
 * one that all processes share; the state has times of that one.
 */
export function writeTunnel(record: RequestRecord, before: TunnelBefore, clockOffset: number): JsonValue {
  const { target, dialled, inside } = record;
  const reported = findReported(record);
  return compact({
    kind: "tunnel",
    version: VERSION,
    id: record.id,
    listener: record.listener,
    client: record.client.text,
    clientPort: record.clientPort,
    startedAt: record.startedAt,
    acceptedAt: record.acceptedAt + clockOffset,
    stageSince: record.stageSince + clockOffset,
    stageMs: compact({ ...record.stageMs }),
    protocol: record.protocol,
    method: record.method,
    scheme: record.scheme,
    target: target && formatEndpoint(target),
    user: record.user,
    parameters: record.parameters,
    rule: record.decision?.rule,
    reported: reported && compact({ rule: reported.rule, detail: reported.detail }),
    foundName: record.foundName,
    route: record.route?.name,
    members: record.carriage?.members.map((names) => names.join(NAME_END)),
    attempts: record.carriage?.attempt,
    dialled: dialled && compact({ ip: dialled.ip.text, port: dialled.port }),
    status: record.status,
    inside: inside && writeInside(inside, clockOffset),
    bytesUp: before.up,
    bytesDown: before.down,
    restUp: writeBytes(before.upRest),
    restDown: writeBytes(before.downRest),
    finishedUp: before.upFinished,
    finishedDown: before.downFinished,
    activeAt: writeActivity(before.lastActivity, clockOffset),
  });
}

/** Writes down a client that is idle between two requests. */
export function writeClient({ record, user, lastActivity }: Omit<TakenClient, "fd">, clockOffset: number): JsonValue {
  return compact({
    kind: "client",
    version: VERSION,
    listener: record.listener,
    client: record.client.text,
    clientPort: record.clientPort,
    user,
    activeAt: writeActivity(lastActivity, clockOffset),
  });
}

/** Reads what this file writes, here or in another process; undefined for anything else. `shareIp` gives the one object for equal addresses of clients. */
export function readState(
  state: unknown,
  clockOffset: number,
  shareIp: (ip: Ip) => Ip,
): TunnelState | ClientState | undefined {
  const fields = new StateReader(state);
  const kind = fields.optionalWord("kind", KINDS);
  if (kind === undefined || fields.count("version") !== VERSION) return undefined;
  const read = kind === "tunnel" ? readTunnel(fields, clockOffset) : readClient(fields, clockOffset);
  return fields.ok && read !== undefined ? { ...read, client: shareIp(read.client) } : undefined;
}

function readClient(fields: StateReader, clockOffset: number): ClientState | undefined {
  const from = readOrigin(fields);
  const user = fields.optionalText("user");
  return from && { kind: "client", ...from, user, lastActivity: readActivity(fields, clockOffset) };
}

function readTunnel(fields: StateReader, clockOffset: number): TunnelState | undefined {
  const from = readOrigin(fields);
  if (from === undefined) return undefined;
  return {
    kind: "tunnel",
    ...from,
    id: fields.text("id"),
    rule: fields.optionalText("rule"),
    reported: fields.optionalObject("reported", readReported),
    route: fields.optionalText("route"),
    carriage: fields.has("members") ? readMembers(fields) : undefined,
    facts: {
      startedAt: fields.number("startedAt"),
      acceptedAt: fields.number("acceptedAt") - clockOffset,
      stageSince: fields.number("stageSince") - clockOffset,
      stageMs: fields.optionalObject("stageMs", readStageMs) ?? {},
      protocol: fields.optionalWord("protocol", PROTOCOLS),
      method: fields.optionalText("method"),
      scheme: fields.optionalWord("scheme", SCHEMES),
      target: fields.parsed("target", parseEndpoint),
      user: fields.optionalText("user"),
      parameters: fields.optionalMap("parameters"),
      foundName: fields.optionalText("foundName"),
      dialled: fields.optionalObject("dialled", readAddress),
      status: fields.optionalCount("status", 999),
      inside: fields.optionalObject("inside", (inside) => readInside(inside, clockOffset)),
    },
    before: {
      up: fields.count("bytesUp"),
      down: fields.count("bytesDown"),
      upRest: fields.optionalBytes("restUp"),
      downRest: fields.optionalBytes("restDown"),
      upFinished: fields.flag("finishedUp"),
      downFinished: fields.flag("finishedDown"),
      lastActivity: readActivity(fields, clockOffset),
    },
  };
}

function readOrigin(fields: StateReader): ClientOrigin | undefined {
  const listener = fields.text("listener");
  const client = fields.parsed("client", parseIp);
  const clientPort = fields.count("clientPort", MAX_PORT);
  return client && { listener, client, clientPort };
}

/** A time of `IdleWatch`. What was active since its last sweep has been idle for no time. */
function writeActivity(lastActivity: number | undefined, clockOffset: number): number {
  const at = lastActivity === undefined || lastActivity === ACTIVE ? performance.now() : lastActivity;
  return at + clockOffset;
}

function readActivity(fields: StateReader, clockOffset: number): number {
  const at = fields.number("activeAt") - clockOffset;
  // `ACTIVE` is no time, and a process may be younger than what it receives.
  return at === ACTIVE ? at - 1 : at;
}

function readMembers(fields: StateReader): MovedMembers {
  const members = fields.texts("members").map((names) => names.split(NAME_END));
  return { members, attempt: fields.count("attempts") };
}

function readStageMs(fields: StateReader): RequestRecord["stageMs"] {
  const stageMs: RequestRecord["stageMs"] = {};
  for (const stage of STAGES) {
    const spent = fields.optionalNumber(stage);
    if (spent !== undefined) stageMs[stage] = spent;
  }
  return stageMs;
}

function readReported(fields: StateReader): Reported | undefined {
  const text = fields.text("detail");
  const rule = fields.text("rule");
  // Another version may have other words: the tunnel goes on without it.
  const detail = listFailureDetails().find((known) => known === text);
  return detail && { rule, detail };
}

function readAddress(fields: StateReader): RequestRecord["dialled"] {
  const ip = fields.parsed("ip", parseIp);
  if (ip === undefined) fields.ok = false;
  return ip && { ip, port: fields.count("port", MAX_PORT) };
}

function writeInside({ protocol, tls }: InsideFacts, clockOffset: number): JsonValue {
  return compact({ protocol, tls: tls && writeTls(tls, clockOffset) });
}

function writeTls({ alert, messages, ...tls }: TlsFacts, clockOffset: number): JsonValue {
  return compact({
    ...tls,
    helloAt: tls.helloAt + clockOffset,
    messages: messages.length === 0 ? undefined : Array.from(messages).join(" "),
    alert: alert && compact(alert),
  });
}

function readInside(fields: StateReader, clockOffset: number): InsideFacts {
  return {
    protocol: fields.optionalWord("protocol", INSIDE),
    tls: fields.optionalObject("tls", (tls) => readTls(tls, clockOffset)),
    // A tunnel that was refused does not move.
    failure: undefined,
  };
}

function readTls(fields: StateReader, clockOffset: number): TlsFacts {
  return {
    sni: fields.optionalText("sni"),
    alpn: fields.texts("alpn"),
    ja4: fields.text("ja4"),
    ja3: fields.optionalText("ja3"),
    helloAt: fields.number("helloAt") - clockOffset,
    version: fields.optionalCount("version", 0xffff),
    cipherSuite: fields.optionalCount("cipherSuite", 0xffff),
    alpnChosen: fields.optionalText("alpnChosen"),
    resumed: fields.has("resumed") ? fields.flag("resumed") : undefined,
    certificateExpiry: fields.optionalNumber("certificateExpiry"),
    handshakeMs: fields.optionalNumber("handshakeMs"),
    // An older process does not tell them.
    messages: packNotes((fields.optionalText("messages") ?? "").split(" ").filter(Boolean).map(Number)),
    alert: fields.optionalObject("alert", readAlert),
  };
}

function readAlert(fields: StateReader): NonNullable<TlsFacts["alert"]> {
  const from = fields.optionalWord("from", SIDES);
  if (from === undefined) fields.ok = false;
  return { from: from ?? "client", description: fields.count("description", 0xff) };
}

function parseEndpoint(text: string): Endpoint | undefined {
  const parsed = parseAuthority(text);
  return parsed.ok ? parsed.endpoint : undefined;
}

function writeBytes(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** Leaves out what is undefined: JSON has no such thing. */
function compact(fields: Readonly<Record<string, JsonValue | undefined>>): { readonly [name: string]: JsonValue } {
  return Object.fromEntries(
    Object.entries(fields).filter((field): field is [string, JsonValue] => field[1] !== undefined),
  );
}
