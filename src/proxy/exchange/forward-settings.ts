/** How HTTP requests are forwarded, compiled. */
export interface ForwardSettings {
  /** Our name in Via: no other proxy that a request may pass has the same. */
  readonly via: string;
  /** Which fields tell the origin of the client's address. */
  readonly forwardedFor: ForwardedFor;
  /** Whether `https://` is forwarded also for clients elsewhere who do not speak TLS to us. */
  readonly httpsOverPlain: boolean;
  /** PEM texts of the only roots to trust in origins; those that come with the program when absent. */
  readonly ca?: readonly string[];
  /** Milliseconds that a client's connection may be idle between two requests; 0 to close it after each. */
  readonly clientIdleMs: number;
  /** Milliseconds that an origin's connection is kept idle for another request; 0 to close it after each. */
  readonly originIdleMs: number;
  /** Idle connections to origins in all, and for one origin on one route. */
  readonly idleOrigins: number;
  readonly idlePerOrigin: number;
}

/** `forwarded` is the field of RFC 7239, `x-forwarded-for` the older one. */
export type ForwardedFor = "off" | "forwarded" | "x-forwarded-for" | "both";
