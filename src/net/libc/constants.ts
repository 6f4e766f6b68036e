/**
 * Numbers of the Linux ABI that are the same on x64 and arm64
 * (asm-generic/fcntl.h, bits/socket.h, sys/epoll.h, linux/tcp.h).
 */
/** Also the flags of `socket` and `accept`: `SOCK_NONBLOCK` and `SOCK_CLOEXEC` have the same values. */
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const FD_CLOEXEC = 1;
export const F_DUPFD_CLOEXEC = 1030;
export const F_SETPIPE_SZ = 1031;
export const F_GETPIPE_SZ = 1032;

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SHUT_WR = 1;

export const SOL_SOCKET = 1;
export const SCM_RIGHTS = 1;
export const SO_REUSEADDR = 2;
export const SO_REUSEPORT = 15;
export const SO_TYPE = 3;
export const SO_ERROR = 4;
export const SO_KEEPALIVE = 9;
export const SO_OOBINLINE = 10;
export const SO_LINGER = 13;
export const SO_RCVLOWAT = 18;
export const SO_ACCEPTCONN = 30;
export const SO_DOMAIN = 39;
export const IPPROTO_TCP = 6;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;
export const TCP_NODELAY = 1;
export const TCP_WINDOW_CLAMP = 10;
export const TCP_INFO = 11;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;

export const MSG_PEEK = 0x2;
/** Returned by `recvmsg`: descriptors did not fit, or the process has no room for them. */
export const MSG_CTRUNC = 0x8;
/** On a TCP socket: take the bytes off the queue without copying them (tcp(7)). */
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
/** Read the error queue of a socket instead of its bytes (recv(2)). */
export const MSG_ERRQUEUE = 0x2000;
/** An error instead of a signal when the peer is gone. */
export const MSG_NOSIGNAL = 0x4000;

/** Descriptors that come with a message are close-on-exec. */
export const MSG_CMSG_CLOEXEC = 0x40000000;

export const CLOCK_MONOTONIC = 1;

export const SPLICE_F_MOVE = 1;
export const SPLICE_F_NONBLOCK = 2;

/** Of `getrlimit`: descriptors of a process. */
export const RLIMIT_NOFILE = 7;

export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const EPOLLIN = 0x1;
/** On a TCP socket: an urgent mark has arrived and is not passed yet. */
export const EPOLLPRI = 0x2;
export const EPOLLOUT = 0x4;
/** Always reported, whether asked for or not. */
export const EPOLLERR = 0x8;
/** Always reported: both directions of the socket are shut down, or it is dead. */
export const EPOLLHUP = 0x10;
/** The peer sent FIN: what can be read now is the last of it. */
export const EPOLLRDHUP = 0x2000;
/** Edge-triggered: what is ready is told once, and again when more is. */
export const EPOLLET = 1 << 31;
