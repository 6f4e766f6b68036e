import { type Ip, parseIp } from "../../address/ip.ts";
import type { Parsed } from "../parsed.ts";

/** One end of a TCP connection; port 0..65535. */
export interface SocketAddress {
  readonly ip: Ip;
  readonly port: number;
}

/** `local`: a connection of the sender itself, such as a health check. IPv4-mapped addresses are IPv4. */
export type ProxyHeaderV1 =
  | { readonly kind: "local" }
  | { readonly kind: "proxy"; readonly source: SocketAddress; readonly destination: SocketAddress };

export type ProxyHeaderV1Error = "bad_signature" | "too_long" | "bad_line_end" | "bad_family" | "bad_address";

/** Bytes of the longest line with its CRLF (PROXY protocol §2.1). */
const MAX_LINE = 107;

const SIGNATURE = Buffer.from("PROXY ");
const CR = 13;
const LF = 10;

/**
 * Reads a PROXY protocol header of version 1: one line, one space between its
 * parts, addresses and ports in canonical spelling. After `UNKNOWN` the rest of
 * the line is ignored (PROXY protocol §2.1).
 */
export function parseProxyHeaderV1(bytes: Uint8Array): Parsed<ProxyHeaderV1, ProxyHeaderV1Error> {
  const compared = Math.min(bytes.length, SIGNATURE.length);
  for (let at = 0; at < compared; at += 1) {
    if (bytes[at] !== SIGNATURE[at]) return { kind: "bad", code: "bad_signature", at };
  }
  const end = bytes.findIndex((byte) => byte === CR || byte === LF);
  if (end > MAX_LINE - 2 || (end < 0 && bytes.length > MAX_LINE - 2)) {
    return { kind: "bad", code: "too_long", at: MAX_LINE - 2 };
  }
  if (end < 0 || (bytes[end] === CR && end + 1 === bytes.length)) return { kind: "more" };
  if (bytes[end] === LF) return { kind: "bad", code: "bad_line_end", at: end };
  if (bytes[end + 1] !== LF) return { kind: "bad", code: "bad_line_end", at: end + 1 };
  const line = Buffer.from(bytes.subarray(SIGNATURE.length, end)).toString("latin1");
  const value = parseLine(line);
  if (typeof value === "string") return { kind: "bad", code: value, at: SIGNATURE.length };
  return { kind: "done", value, used: end + 2 };
}

/** Writes the line. When the families differ, both addresses are written as IPv6, the IPv4 one mapped. */
export function encodeProxyHeaderV1(header: ProxyHeaderV1): Uint8Array {
  if (header.kind === "local") return Buffer.from("PROXY UNKNOWN\r\n");
  const { source, destination } = header;
  const family = source.ip.family === 4 && destination.ip.family === 4 ? 4 : 6;
  const write = ({ ip }: SocketAddress) => (ip.family === family ? ip.text : `::ffff:${ip.text}`);
  const line = `PROXY TCP${family} ${write(source)} ${write(destination)} ${source.port} ${destination.port}\r\n`;
  return Buffer.from(line);
}

/** The line after `PROXY ` and without CRLF. */
function parseLine(line: string): ProxyHeaderV1 | "bad_family" | "bad_address" {
  const [family, ...parts] = line.split(" ");
  if (family === "UNKNOWN") return { kind: "local" };
  if (family !== "TCP4" && family !== "TCP6") return "bad_family";
  if (parts.length !== 4) return "bad_address";
  const [sourceIp = "", destinationIp = "", sourcePort = "", destinationPort = ""] = parts;
  const source = parseAddress(family, sourceIp, sourcePort);
  const destination = parseAddress(family, destinationIp, destinationPort);
  return source && destination ? { kind: "proxy", source, destination } : "bad_address";
}

function parseAddress(family: "TCP4" | "TCP6", address: string, port: string): SocketAddress | undefined {
  if (address.includes(":") !== (family === "TCP6")) return undefined;
  const ip = parseIp(address);
  if (!ip || !/^(?:0|[1-9][0-9]{0,4})$/.test(port) || Number(port) > 65535) return undefined;
  return { ip, port: Number(port) };
}
