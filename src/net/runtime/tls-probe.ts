import type { SecureVersion, TLSSocket } from "node:tls";
import type { Duplex } from "node:stream";
import { isIP } from "node:net";
import { readErrorCode } from "../../error-code.ts";
import { loadTls } from "./tls-contexts.ts";
import { findIdentityFault, toPresented } from "./server-identity.ts";
import { explainTlsError, type TlsFailure } from "./tls-error.ts";

export interface ProbeOptions {
  /** The name or address that the certificate must be for. A name is also the SNI (RFC 6066 §3). */
  readonly serverName: string;
  /** PEM texts of the only roots to trust; those that come with the program when absent. */
  readonly ca?: readonly string[];
  /** The only version to offer; 1.2 and 1.3 when absent. */
  readonly version?: "1.2" | "1.3";
  /** ALPN, in order of preference. */
  readonly protocols?: readonly string[];
}

export interface ProbeEvents {
  /** A line of the NSS key log, without its line end. Some come after the handshake. */
  secret(line: string): void;
}

/** Whether the server's certificate can be trusted. */
export interface ProbeVerdict {
  /** Whether the chain leads to a trusted root and is valid now. */
  readonly trusted: boolean;
  /** Why not: a word of OpenSSL such as `CERT_HAS_EXPIRED`. */
  readonly reason: string | undefined;
  /** Why the certificate is not for the name that was asked for, as the rest of a sentence; undefined when it is. */
  readonly nameFault: string | undefined;
}

export type ProbeResult =
  | { readonly ok: true; readonly stream: Duplex; readonly verdict: ProbeVerdict }
  | ({ readonly ok: false } & TlsFailure);

/**
 * Speaks TLS as the client over a stream, tells its secrets, and judges the
 * certificate without refusing it: for diagnosis. It ends with the stream; there
 * is no deadline.
 */
export function probeTls(raw: Duplex, options: ProbeOptions, events: ProbeEvents): Promise<ProbeResult> {
  const { serverName, ca, version, protocols } = options;
  const limits = version === undefined ? {} : limitVersion(version);
  return new Promise((resolve) => {
    const socket = loadTls().connect({
      socket: raw,
      rejectUnauthorized: false,
      // An address is no SNI (RFC 6066 §3).
      servername: isIP(serverName) === 0 ? toPresented(serverName) : "",
      ...limits,
      ...(ca && { ca: [...ca] }),
      ...(protocols && { ALPNProtocols: [...protocols] }),
    });
    let over = false;
    const fail = (error: Error | undefined) => {
      if (over) return;
      over = true;
      resolve({ ok: false, ...explainTlsError(error, serverName) });
      raw.destroy();
    };
    socket.on("keylog", (line: Buffer) => events.secret(line.toString("latin1").trimEnd()));
    socket.on("secureConnect", () => {
      over = true;
      resolve({ ok: true, stream: socket, verdict: judge(socket, serverName) });
    });
    socket.on("error", fail);
    socket.on("close", () => fail(undefined));
    raw.on("error", fail);
    raw.on("close", () => fail(undefined));
  });
}

function limitVersion(version: "1.2" | "1.3"): { minVersion: SecureVersion; maxVersion: SecureVersion } {
  return { minVersion: `TLSv${version}`, maxVersion: `TLSv${version}` };
}

function judge(socket: TLSSocket, serverName: string): ProbeVerdict {
  const code = readCode(socket.authorizationError);
  const untrusted = code !== undefined && code !== NAME_MISMATCH;
  return {
    trusted: !untrusted,
    reason: untrusted ? code : undefined,
    nameFault: findIdentityFault(socket.getPeerCertificate().raw, serverName),
  };
}

/** Node gives the word itself, Bun an error that has it. */
function readCode(reason: unknown): string | undefined {
  if (reason instanceof Error) return readErrorCode(reason) ?? reason.message;
  return typeof reason === "string" && reason !== "" ? reason : undefined;
}

const NAME_MISMATCH = "ERR_TLS_CERT_ALTNAME_INVALID";

/** The roots that come with the program, as PEM texts. */
export function listBundledRoots(): readonly string[] {
  return loadTls().rootCertificates;
}
