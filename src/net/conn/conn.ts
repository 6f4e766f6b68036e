import type { LoopTimers } from "./loop-timers.ts";

/**
 * One end of a byte stream: a TCP connection, or TLS on top of one.
 *
 * At most one consumer is attached, as the sink. Bytes that arrive without a
 * sink wait in order under a cap, so that stages can pass a connection on
 * without losing a byte.
 */
export interface Conn {
  /** Address and port of the peer; textual, canonical. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** The timers of the event loop that drives it. */
  readonly timers: LoopTimers;
  /** Whether this process encrypts the bytes: such a connection cannot be spliced. */
  readonly encrypted: boolean;
  /** Descriptor of the TCP socket, or -1 when there is none for others to use. */
  readonly fd: number;
  /** Bytes handed to sinks, and bytes accepted by `write`, since the beginning. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Whether the connection is closed, both ways, for good. */
  readonly closed: boolean;

  /** Whether the peer has sent FIN, also when the sink has not been told yet. */
  readonly ended: boolean;

  /** How a splice lane takes its descriptor; undefined when it cannot. */
  readonly detachable?: Detachable | undefined;
  /**
   * Gives the descriptor and the unread bytes to the caller, who owns both then;
   * undefined when the connection is gone. The sink and `whenClosed` hear nothing
   * more. Absent where the descriptor belongs to the runtime, or there is none.
   */
  takeDescriptor?(): TakenDescriptor | undefined;

  /** Called once when the connection is gone, with or without a sink. */
  whenClosed: (() => void) | undefined;

  /** Makes `sink` the consumer and delivers what waits, then resumes reading unless the sink paused it. */
  attach(sink: ConnSink): void;
  /** Takes the sink away. Up to 64 KiB then wait in memory before reading pauses. */
  detach(): void;
  /** Puts a copy of the bytes back in front of the unread ones. Only while detached. */
  unread(bytes: Uint8Array): void;
  /** Bytes that wait while detached. */
  readonly unreadBytes: number;
  /**
   * Writes what fits and returns the count; the caller keeps the rest until `drain`. -1 when closed for writing.
   * Keeps no reference to `bytes`: they may be lent (see `ConnSink.data`).
   */
  write(bytes: Uint8Array): number;
  /** Bytes that one read may bring. A sink that has room for fewer sets it; `attach` takes it back. Absent where the runtime reads. */
  mostPerRead?: number;
  /** Stops and restarts reading. */
  pause(): void;
  resume(): void;
  /** Sends FIN (after TLS: close_notify first). Reading goes on. */
  shutdown(): void;
  /** Sends RST and forgets the connection. */
  reset(): void;
  /** Closes in order: bytes that `write` took still go out. TLS waits for the peer's end; a second call does not. */
  close(): void;
}

/** The consumer of a connection. `close` is the last call and comes exactly once. */
export interface ConnSink {
  /**
   * Bytes came. `chunk` is lent: it is valid only during the call, because the
   * next read goes into the same memory. The sink must copy bytes that it keeps.
   */
  data(chunk: Uint8Array): void;
  /** The peer sent FIN; writing is still possible. */
  end(): void;
  /** There is room for writing again after a short write. */
  drain(): void;
  /** The connection is gone. `reset` is true after RST or any error, false after both sides were done. */
  close(reset: boolean): void;
}

/** A TCP connection that can leave its event loop without its peer noticing anything. */
export interface Detachable {
  /** Stops reading and gives the descriptor to the caller, who owns it then; negative at the limit of descriptors. */
  take(): number;
  /** Takes a descriptor back and reads on. */
  giveBack(fd: number): void;
  /** Forgets the connection. Nobody is told that it closed. */
  leave(): void;
}

/** A descriptor that left its connection, and the bytes of it that nobody has consumed. */
export interface TakenDescriptor {
  readonly fd: number;
  readonly unread: Uint8Array | undefined;
}
