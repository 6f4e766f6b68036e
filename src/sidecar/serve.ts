import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import type { Hono } from "hono";

/** Where the sidecar listens. */
export type SidecarAddress = { readonly host: string; readonly port: number } | { readonly unix: string };

export interface Sidecar {
  /** `http://host:port` as bound, or `unix:path`. */
  readonly text: string;
  /** The port as bound; undefined on a Unix socket. */
  readonly port: number | undefined;
  /** Stops accepting, lets answers under way finish for a moment, then closes. */
  stop(): Promise<void>;
}

/** The sidecar, or why it cannot run: a message that names the setting. */
export type SidecarStart =
  { readonly ok: true; readonly sidecar: Sidecar } | { readonly ok: false; readonly message: string };

/** Milliseconds that answers under way get when the sidecar stops. */
const STOP_MS = 1000;

/** Milliseconds for whoever may be behind an existing socket file to show a sign of life. */
const PROBE_MS = 1000;

/** Seconds after which a silent connection is closed. */
const IDLE_SECONDS = 30;

/** No request here has a body worth reading. */
const BODY_BYTES = 64 * 1024;

/** Binds the sidecar. Expected failures (port taken, no permission) come back as a message. */
export async function startSidecar(app: Hono, address: SidecarAddress): Promise<SidecarStart> {
  if ("unix" in address) return startOnSocket(app, address.unix);
  const { host, port } = address;
  // Unless told not to, Bun in production shares the port with whoever else serves there.
  const started = bind(() =>
    Bun.serve({ ...common(app), hostname: host, port, reusePort: false, idleTimeout: IDLE_SECONDS }),
  );
  if ("code" in started) {
    const where = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    return { ok: false, message: `Cannot start the sidecar on ${where}: ${explainTcp(started.code)}` };
  }
  return succeed(started.server);
}

async function startOnSocket(app: Hono, path: string): Promise<SidecarStart> {
  const obstacle = await clearWay(path);
  if (obstacle !== undefined) return { ok: false, message: `Cannot start the sidecar on ${path}: ${obstacle}` };
  // The mask holds from the moment the file exists; a chmod alone would come too late.
  const mask = process.umask(0o177);
  const started = bind(() => Bun.serve({ ...common(app), unix: path }));
  process.umask(mask);
  if ("code" in started) {
    return { ok: false, message: `Cannot start the sidecar on ${path}: ${explainUnix(started.code)}` };
  }
  chmodSync(path, 0o600);
  return succeed(started.server, path);
}

function common(app: Hono) {
  return {
    fetch: (request: Request) => app.fetch(request),
    development: false,
    maxRequestBodySize: BODY_BYTES,
  } as const;
}

type Server = ReturnType<typeof Bun.serve>;

/** What the system says to binding is an outcome; anything else is a mistake of ours. */
function bind(serve: () => Server): { server: Server } | { code: string } {
  try {
    return { server: serve() };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code === "") throw error;
    return { code };
  }
}

function succeed(server: Server, path?: string): SidecarStart {
  return {
    ok: true,
    sidecar: {
      text: path === undefined ? `http://${server.url.host}` : `unix:${path}`,
      port: server.port,
      stop: () => stopGently(server),
    },
  };
}

async function stopGently(server: Server): Promise<void> {
  const hard = setTimeout(() => void server.stop(true), STOP_MS);
  await server.stop();
  clearTimeout(hard);
}

/** Removes a socket file that nobody listens on any more. Gives what is in the way otherwise. */
async function clearWay(path: string): Promise<string | undefined> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (!found.isSocket()) return 'a file that is not a socket is there. Set "sidecar.unix" to another path.';
  try {
    await fetch("http://localhost/healthz", { unix: path, signal: AbortSignal.timeout(PROBE_MS) });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ECONNREFUSED") {
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

function explainUnix(code: string): string {
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
