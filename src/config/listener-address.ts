import { type Ip, parseIp } from "../address/ip.ts";
import { type Read, refuse } from "./problem.ts";

/** Where to listen. `host` is an IP address or `localhost`; port 0 lets the system choose. */
export interface ListenerAddress {
  readonly host: string;
  readonly port: number;
}

/** Reads `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, or a lone port for loopback. */
export function parseListenerAddress(text: string): Read<ListenerAddress> {
  const match = /^(?:(?:\[([^\]]*)\]|([^:[\]]*)):)?([^:]*)$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? "127.0.0.1";
  const port = match?.[3] ?? "";
  if (!match) return refuse('is not an address and a port. Write "127.0.0.1:8080", or "[::1]:8080" for IPv6');
  if (!/^(?:0|[1-9][0-9]{0,4})$/.test(port) || Number(port) > 65535)
    return refuse("has no port from 0 to 65535 at its end (0 lets the system choose)");
  if (!isBindable(host))
    return refuse(
      'names no address to bind. Write an IP address or "localhost", and "0.0.0.0" or "[::]" for every interface',
    );
  return { ok: true, value: { host, port: Number(port) } };
}

/** `host:port`, IPv6 in brackets. */
export function formatListenerAddress({ host, port }: ListenerAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether a listener can be bound to it: an IP address or `localhost`, nothing that needs a resolver. */
export function isBindable(host: string): boolean {
  return host === "localhost" || parseIp(host) !== undefined;
}

/** The address at which this machine reaches a listener that is bound to `host`, which may be every interface. */
export function nameReachable(host: string): string {
  return host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
}

/** Whether only programs of this machine can reach a listener bound there. */
export function isLoopbackHost(host: string): boolean {
  if (host === "localhost") return true;
  const ip = parseIp(host);
  return ip !== undefined && isLoopbackIp(ip);
}

function isLoopbackIp(ip: Ip): boolean {
  return ip.family === 4 ? ip.bytes[0] === 127 : ip.text === "::1";
}
