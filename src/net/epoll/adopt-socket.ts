import { DescriptorConn } from "./descriptor-conn.ts";
import type { Reactor } from "./reactor.ts";
import { readSocketIp, readSocketPort, socketAddressBytes } from "../libc/socket-address.ts";

/** Makes a connection of a connected TCP socket, which is its own from then on. Undefined, and the socket closed, when its peer is gone. */
export function adoptSocket(reactor: Reactor, fd: number): DescriptorConn | undefined {
  const address = new Uint8Array(socketAddressBytes);
  const known = reactor.libc.getPeerName(fd, address);
  const ip = known < 0 ? undefined : readSocketIp(address);
  if (ip !== undefined) return new DescriptorConn(reactor, fd, ip, readSocketPort(address));
  reactor.reset(fd);
  return undefined;
}
