import type { Parsed } from "../parsed.ts";
import { parseProxyHeaderV1, type ProxyHeaderV1, type ProxyHeaderV1Error } from "./proxy-header-v1.ts";
import { parseProxyHeaderV2, type ProxyHeaderV2, type ProxyHeaderV2Error } from "./proxy-header-v2.ts";

/** What a load balancer says of the connection that it passes on. */
export type ProxyHeader = ProxyHeaderV1 | ProxyHeaderV2;

export type ProxyHeaderError = ProxyHeaderV1Error | ProxyHeaderV2Error;

/** Reads a PROXY protocol header of either version: the first byte tells which. Anything else is bad at once. */
export function parseProxyHeader(bytes: Uint8Array): Parsed<ProxyHeader, ProxyHeaderError> {
  return bytes[0] === 0x0d ? parseProxyHeaderV2(bytes) : parseProxyHeaderV1(bytes);
}
