/**
 * Reads the first bytes of a tunnel as they pass, and may hold those of the
 * client until it has judged them. Synchronous. It must copy bytes that it
 * keeps, and must not change them.
 */
export interface TunnelTap {
  /** It has seen enough and holds nothing: it sees nothing more, and the tunnel may leave the relay. */
  readonly done: boolean;
  /** Called once, before anything else. */
  begin(port: TapPort): void;
  /** Bytes from the client. Returns what goes on to the target now; undefined when all is held, or after a refusal. */
  up(chunk: Uint8Array): Uint8Array | undefined;
  /** The client sent FIN. Returns what goes on before it. */
  upEnd(): Uint8Array | undefined;
  /** Bytes from the target. Returns what goes on to the client; undefined after a refusal. */
  down(chunk: Uint8Array): Uint8Array | undefined;
  /** The tunnel is over. Called at most once, unless `done`. */
  close(): void;
}

/** The tunnel, as its tap can change it. */
export interface TapPort {
  /** Sends held bytes on to the target, at another time than when bytes come. */
  pass(bytes: Uint8Array): void;
  /** Ends the tunnel with `denied`, after `lastWords` to the client. */
  refuse(lastWords: Uint8Array): void;
}
