import type { DescriptorConn } from "../epoll/descriptor-conn.ts";
import type { SocketConn } from "../runtime/socket-conn.ts";

/** A TCP connection that this process accepted or made, whichever event loop drives it. */
export type TcpConn = SocketConn | DescriptorConn;
