import { formatEndpoint } from "../../address/endpoint.ts";
import type { Fields } from "../../protocol/http1/fields.ts";
import { frameResponse } from "../../protocol/http1/message-framing.ts";
import { createRequestHeadParser } from "../../protocol/http1/request-head.ts";
import { createResponseHeadParser } from "../../protocol/http1/response-head.ts";
import type { Parsed } from "../../protocol/parsed.ts";
import { parseSocks4Reply } from "../../protocol/socks/socks4-client.ts";
import { parseSocks4Request } from "../../protocol/socks/socks4-server.ts";
import { parseSocks5Choice, parseSocks5PasswordReply, parseSocks5Reply } from "../../protocol/socks/socks5-client.ts";
import { parseSocks5Greeting, parseSocks5Password, parseSocks5Request } from "../../protocol/socks/socks5-server.ts";
import type { SocksTarget } from "../../protocol/socks/socks-target.ts";
import type { MessageField } from "../../protocol/tls/explain/describe-message.ts";
import { createBodyReader } from "../../protocol/http1/body-reader.ts";
import type { HopKind } from "../../proxy/route/hop.ts";
import { HEAD_LIMITS } from "./exchange.ts";
import type { Recording, Sender } from "./recording.ts";
import type { TraceStep } from "./trace-step.ts";

/** A message found at the front of what a side said. */
interface Found {
  readonly name: string;
  readonly fields: readonly MessageField[];
  readonly used: number;
}

type Find = (bytes: Uint8Array) => Found | undefined;

/** What client and proxy said until there was a tunnel, or there was none. */
export function listProxySteps(kind: HopKind, recording: Recording): TraceStep[] {
  switch (kind) {
    case "http":
    case "https":
      return [...walk(recording, "client", repeat(findRequest)), ...walk(recording, "server", repeat(findAnswer))];
    case "socks5":
    case "socks5h":
      return listSocks5Steps(recording);
    case "socks4a":
      return [...walk(recording, "client", [findSocks4Request]), ...walk(recording, "server", [findSocks4Reply])];
  }
}

/** Interim responses, challenges, and the final one. */
function repeat(find: Find): Find[] {
  return Array.from({ length: 8 }, () => find);
}

/** Finds messages one after the other in what one side said. */
function walk(recording: Recording, from: Sender, finds: readonly Find[]): TraceStep[] {
  const bytes = recording.bytesOf(from);
  const steps: TraceStep[] = [];
  let at = 0;
  for (const find of finds) {
    const found = at < bytes.length ? find(bytes.subarray(at)) : undefined;
    if (found === undefined) break;
    at += found.used;
    steps.push({
      at: recording.timeOf(from, at) ?? 0,
      from: from === "client" ? "client" : "proxy",
      to: from === "client" ? "proxy" : "client",
      layer: "proxy",
      name: found.name,
      bytes: found.used,
      fields: found.fields,
      telling: [],
    });
  }
  return steps;
}

function read<T>(parsed: Parsed<T>, describe: (value: T) => Omit<Found, "used">): Found | undefined {
  return parsed.kind === "done" ? { ...describe(parsed.value), used: parsed.used } : undefined;
}

/** A request head as a message. */
export const findRequest: Find = (bytes) =>
  read(createRequestHeadParser(HEAD_LIMITS).parse(bytes), ({ method, target, fields }) => ({
    name: `${method} ${target} HTTP/1.1`,
    fields: listHeaderFields(fields),
  }));

/** A response head as a message. */
export const findResponse: Find = (bytes) =>
  read(createResponseHeadParser(HEAD_LIMITS).parse(bytes), ({ version, status, reason, fields }) => ({
    name: `HTTP/${version} ${status} ${reason}`.trimEnd(),
    fields: listHeaderFields(fields),
  }));

/** An answer to CONNECT, with the body that a refusal has. */
const findAnswer: Find = (bytes) => {
  const parsed = createResponseHeadParser(HEAD_LIMITS).parse(bytes);
  const found = findResponse(bytes);
  if (parsed.kind !== "done" || found === undefined) return undefined;
  const framing = frameResponse(parsed.value, "CONNECT");
  const reader =
    framing.kind === "bad" || framing.kind === "tunnel" ? undefined : createBodyReader(framing, "data", "tolerant");
  if (reader === undefined) return found;
  const body = bytes.subarray(parsed.used);
  const step = reader.push(body);
  return { ...found, used: parsed.used + (step.kind === "done" ? step.used : body.length) };
};

const SECRET_FIELDS = new Set(["authorization", "proxy-authorization"]);

function listHeaderFields(fields: Fields): MessageField[] {
  return Array.from(fields, ({ name, value }) => ({
    label: name,
    // The scheme is no secret.
    value: SECRET_FIELDS.has(name.toLowerCase()) ? `${value.split(" ", 1)[0]} [redacted]` : value,
  }));
}

function listSocks5Steps(recording: Recording): TraceStep[] {
  const greeting = parseSocks5Greeting(recording.bytesOf("client"));
  const offer = { password: greeting.kind === "done" && greeting.value.password };
  const choice = parseSocks5Choice(recording.bytesOf("server"), offer);
  const login = choice.kind === "done" && choice.value === "password";
  return [
    ...walk(recording, "client", [findGreeting, ...(login ? [findPassword] : []), findSocks5Request]),
    ...walk(recording, "server", [
      (bytes) => read(parseSocks5Choice(bytes, offer), (method) => describeReply("SOCKS5 method", method)),
      ...(login ? [findPasswordReply] : []),
      findSocks5Reply,
    ]),
  ];
}

const findGreeting: Find = (bytes) =>
  read(parseSocks5Greeting(bytes), ({ noAuth, password }) => ({
    name: "SOCKS5 greeting",
    fields: [
      {
        label: "methods",
        value: [...(noAuth ? ["no authentication"] : []), ...(password ? ["user and password"] : [])],
      },
    ],
  }));

const findPassword: Find = (bytes) =>
  read(parseSocks5Password(bytes), ({ user }) => ({
    name: "SOCKS5 user and password",
    fields: [
      { label: "user", value: user },
      { label: "password", value: "[redacted]" },
    ],
  }));

const findPasswordReply: Find = (bytes) =>
  read(parseSocks5PasswordReply(bytes), (result) => describeReply("SOCKS5 password", result));

const findSocks5Request: Find = (bytes) =>
  read(parseSocks5Request(bytes), ({ command, target }) => describeSocksRequest("SOCKS5", command, target));

const findSocks5Reply: Find = (bytes) => read(parseSocks5Reply(bytes), (reply) => describeReply("SOCKS5", reply));

const findSocks4Request: Find = (bytes) =>
  read(parseSocks4Request(bytes), ({ command, target }) => describeSocksRequest("SOCKS4", command, target));

const findSocks4Reply: Find = (bytes) => read(parseSocks4Reply(bytes), (reply) => describeReply("SOCKS4", reply));

function describeReply(what: string, word: string): Omit<Found, "used"> {
  return { name: `${what}: ${word.replaceAll("_", " ")}`, fields: [] };
}

function describeSocksRequest(version: string, command: string, target: SocksTarget): Omit<Found, "used"> {
  const where = target.ok ? ` ${formatEndpoint(target.endpoint)}` : "";
  return { name: `${version} ${command.toUpperCase()}${where}`, fields: [] };
}
