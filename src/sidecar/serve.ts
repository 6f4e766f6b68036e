import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { readErrorCode } from "../error-code.ts";
import type { Upgrade } from "./web-socket.ts";
import type { Secret } from "../secret.ts";

/** Where the sidecar listens. */
export type SidecarAddress = { readonly host: string; readonly port: number } | { readonly unix: string };

/** Connections to the sidecar: under way, accepted, and closed or refused because there were too many. */
export interface SidecarConnections {
  readonly open: number;
  readonly accepted: number;
  readonly evicted: number;
}

export interface Sidecar {
  /** `http://host:port` as bound, or `unix:path`. */
  readonly text: string;
  /** The port as bound; undefined on a Unix socket. */
  readonly port: number | undefined;
  readonly connections: SidecarConnections;
  /** The listening socket, where it can be told. */
  readonly fd: number | undefined;
  /** Stops accepting; with `isShared` another process listens on the same socket. Answers under way go on to their end. */
  retire(isShared: boolean): void;
  /** Gives its address to a successor: stops accepting. Connections that are open are served on. */
  yieldAddress(): void;
  /** Stops accepting, lets answers under way finish for a moment, then closes. */
  stop(): Promise<void>;
}

/** The sidecar, or why it cannot run: a message that names the setting. */
export type SidecarStart =
  { readonly ok: true; readonly sidecar: Sidecar } | { readonly ok: false; readonly message: string };

/** Answers a request, or upgrades its connection. */
type Handle = (request: Request, upgrade: Upgrade) => Response | Promise<Response>;

/** Serves HTTP on sockets, which the sidecar does not open itself. */
export type ServeHttp = (options: {
  readonly at: SidecarAddress;
  readonly handle: Handle;
  readonly reportBug: (error: unknown) => void;
}) => ServeHttpResult;

type ServeHttpResult =
  | { readonly ok: true; readonly server: Server }
  /** `code` is the errno word. */
  | { readonly ok: false; readonly code: string };

interface Server {
  readonly port: number | undefined;
  readonly connections: SidecarConnections;
  readonly fd: number | undefined;
  stopAccepting(): void;
  retire(keepsPath: boolean): void;
  /** Gives answers under way `ms` milliseconds. */
  stop(ms: number): Promise<void>;
}

export interface SidecarOptions {
  readonly app: { fetch: Handle };
  readonly address: SidecarAddress;
  readonly serveHttp: ServeHttp;
  /** What a proxy that drains asks for before it gives its address. */
  readonly token?: Secret;
  /** The process before this one has passed the socket at that address: nobody has to give it. */
  readonly isPassed?: boolean;
  /** How it is asked when it speaks TLS: options of `fetch`. Absent when it does not. */
  readonly tls?: BunFetchRequestInitTLS;
  /** Receives errors that ended a connection of the sidecar. */
  readonly reportBug: (error: unknown) => void;
}

/** Milliseconds for answers in progress when the sidecar stops. */
const STOP_MS = 1000;

/** Milliseconds for a process behind an existing socket file to answer. */
const PROBE_MS = 1000;

/** Binds the sidecar. Expected failures (port taken, no permission) come back as a message. */
export async function startSidecar(options: SidecarOptions): Promise<SidecarStart> {
  const { address } = options;
  if ("unix" in address) return startOnSocket(options, address.unix);
  const { host, port } = address;
  let started = bind(options);
  if (!started.ok && started.code === "EADDRINUSE" && (await askForAddress(options))) started = bind(options);
  if (!started.ok)
    return { ok: false, message: `Cannot start the sidecar on ${format(host, port)}: ${explainTcp(started.code)}` };
  const { server } = started;
  return succeed(server, `${options.tls === undefined ? "http" : "https"}://${format(host, server.port ?? port)}`);
}

function format(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

async function startOnSocket(options: SidecarOptions, path: string): Promise<SidecarStart> {
  const obstacle = options.isPassed === true ? undefined : await clearWay(options, path);
  if (obstacle !== undefined) return { ok: false, message: `Cannot start the sidecar on ${path}: ${obstacle}` };
  // The mask protects the file from its creation on; a chmod alone would come too late.
  const mask = process.umask(0o177);
  const started = bind(options);
  process.umask(mask);
  if (!started.ok) {
    return { ok: false, message: `Cannot start the sidecar on ${path}: ${explainUnix(started.code, path)}` };
  }
  chmodSync(path, 0o600);
  return succeed(started.server, `unix:${path}`);
}

function bind({ app, address, serveHttp, reportBug }: SidecarOptions): ServeHttpResult {
  return serveHttp({ at: address, handle: (request, upgrade) => app.fetch(request, upgrade), reportBug });
}

function succeed(server: Server, text: string): SidecarStart {
  return {
    ok: true,
    sidecar: {
      text,
      port: server.port,
      fd: server.fd,
      get connections() {
        return server.connections;
      },
      retire: (isShared) => server.retire(isShared),
      yieldAddress: () => server.stopAccepting(),
      stop: () => server.stop(STOP_MS),
    },
  };
}

/** Asks the proxy that has the address for it. It gives it when it drains. */
async function askForAddress({ address, token, tls }: SidecarOptions): Promise<boolean> {
  const url =
    "unix" in address
      ? "http://localhost"
      : `${tls === undefined ? "http" : "https"}://${format(reach(address.host), address.port)}`;
  try {
    const answer = await fetch(`${url}/drain/successor`, {
      method: "POST",
      redirect: "manual",
      signal: AbortSignal.timeout(PROBE_MS),
      headers: { Connection: "close", ...(token && { Authorization: `Bearer ${token.reveal()}` }) },
      // Ignores the proxy variables of the environment; an empty text does not.
      proxy: false,
      ...("unix" in address && { unix: address.unix }),
      ...(tls && { tls }),
    });
    return answer.status === 204;
  } catch {
    return false;
  }
}

/** An address at which this machine reaches a listener on `host`. */
function reach(host: string): string {
  return host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
}

/** Removes a socket file on which no process listens, also after a proxy that drains has left it. Otherwise returns what prevents that. */
async function clearWay(options: SidecarOptions, path: string): Promise<string | undefined> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) await askForAddress(options);
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (!found.isSocket()) return 'a file that is not a socket is there. Set "sidecar.unix" to another path.';
  try {
    await fetch("http://localhost/healthz", { unix: path, signal: AbortSignal.timeout(PROBE_MS) });
  } catch (error) {
    if (readErrorCode(error) === "ECONNREFUSED") {
      unlinkSync(path);
      return undefined;
    }
  }
  return 'another process serves there. Stop it, or set "sidecar.unix" to another path.';
}

function explainTcp(code: string): string {
  switch (code) {
    case "EADDRINUSE":
      return 'the port is in use. Set "sidecar.port" to a free one.';
    case "EACCES":
      return 'the system does not allow this port. Set "sidecar.port" to one above 1023.';
    case "EADDRNOTAVAIL":
      return 'this machine has no such address. Set "sidecar.host" to one that it has.';
    default:
      return `the system says ${code}. Change "sidecar.host" or "sidecar.port".`;
  }
}

/** Bytes of a path that fit into the address of a socket: `sun_path` less its end. */
const MAX_PATH_BYTES = 107;

function explainUnix(code: string, path: string): string {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return explainUnix("ENAMETOOLONG", "");
  switch (code) {
    case "ENOENT":
      return 'the folder does not exist. Create it, or set "sidecar.unix" to another path.';
    case "EACCES":
      return 'the folder may not be written to. Set "sidecar.unix" to another path.';
    case "ENAMETOOLONG":
      return 'the path is too long for a socket. Set "sidecar.unix" to one of at most 100 bytes.';
    default:
      return `the system says ${code}. Set "sidecar.unix" to another path.`;
  }
}
