import type { FdSocketOptions, TCPSocketConnectOptions } from "bun";
import { AF_INET, F_SETFL, MSG_NOSIGNAL, O_CLOEXEC, O_NONBLOCK, SOCK_STREAM } from "../../src/net/libc/constants.ts";
import { encodeSocketAddress } from "../../src/net/libc/socket-address.ts";
import { requireLibc } from "./lane-stand.ts";
import { makeIp } from "./make-policy.ts";
import { RawPeer, rawPeerHandlers } from "./raw-peer.ts";

/** Bun's declarations do not say that `connect` takes a descriptor, too. */
const connectSocket = Bun.connect as (
  options: TCPSocketConnectOptions<RawPeer> | FdSocketOptions<RawPeer>,
) => Promise<unknown>;

/**
 * Connects to a loopback port and sends `bytes` in the same turn of the event
 * loop, so that a server in this process finds them when it accepts the
 * connection, however busy the machine is.
 */
export async function connectSaying(port: number, bytes: Uint8Array | string): Promise<RawPeer> {
  const libc = requireLibc();
  const fd = libc.socket(AF_INET, SOCK_STREAM | O_CLOEXEC, 0);
  const said = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
  // The kernel completes the connection: it does not wait for the server.
  const failed = libc.connect(fd, encodeSocketAddress(makeIp("127.0.0.1"), port));
  const sent = said.length === 0 || failed < 0 ? 0 : libc.send(fd, said, said.length, MSG_NOSIGNAL);
  if (fd < 0 || failed < 0 || sent !== said.length)
    throw new Error(`Cannot connect to ${port} and send ${said.length} bytes`);
  libc.fcntl(fd, F_SETFL, O_NONBLOCK);
  const { promise, resolve } = Promise.withResolvers<RawPeer>();
  await connectSocket({
    fd,
    allowHalfOpen: true,
    socket: {
      ...rawPeerHandlers,
      open(socket) {
        socket.data = new RawPeer(socket);
        resolve(socket.data);
      },
    },
  });
  return promise;
}
