/**
 * Looks at the first bytes of a tunnel as they pass, and may hold those of the
 * client back until it has judged them. Synchronous. The tap must copy bytes
 * that it keeps, and never changes a chunk.
 */
export interface TunnelTap {
  /** It has seen enough and holds nothing: it is shown nothing more, and the tunnel may leave the relay. */
  readonly done: boolean;
  /** Called once, before anything else. */
  begin(port: TapPort): void;
  /** Bytes from the client. Gives what goes on to the target now; undefined when all is held, or after a refusal. */
  up(chunk: Uint8Array): Uint8Array | undefined;
  /** The client sent FIN. Gives what goes on before it. */
  upEnd(): Uint8Array | undefined;
  /** Bytes from the target. Gives what goes on to the client; undefined after a refusal. */
  down(chunk: Uint8Array): Uint8Array | undefined;
  /** The tunnel is over. Called at most once, unless `done`. */
  close(): void;
}

/** What a tap can do to its tunnel. */
export interface TapPort {
  /** Lets bytes that were held go on to the target, at another time than when bytes come. */
  pass(bytes: Uint8Array): void;
  /** Ends the tunnel with `denied`, after `lastWords` to the client. */
  refuse(lastWords: Uint8Array): void;
}
