import { resolve } from "node:path";
import type * as z from "zod";

import { toAsciiHost } from "../address/host.ts";
import type { Secret } from "../secret.ts";
import { count, list, secret, settings, text, unquoted } from "./fields.ts";
import { isLoopbackHost } from "./listener-address.ts";
import { type Binding, bindableHost } from "./listener-schema.ts";
import type { Materials } from "./materials.ts";
import { checked, MALFORMED, type Parts } from "./parts.ts";
import { type Problem, quoteValue } from "./problem.ts";
import { findSecret } from "./secrets.ts";

const hostName = () =>
  text('a name such as "penstock.example"', (value) =>
    toAsciiHost(value).ok
      ? undefined
      : 'is not the name of a host. Write one such as "penstock.example", without a port',
  );

const sidecarFields = {
  port: count(0, 65535).describe("TCP port; 0 lets the system choose a free one. Either this or `unix`.").optional(),
  host: bindableHost()
    .describe("IP address to bind, or `localhost`. Beyond loopback it needs `token`. Default: `127.0.0.1`.")
    .optional(),
  unix: text("the path of a socket")
    .describe("Path of a Unix socket, relative to the configuration file. Either this or `port`.")
    .optional(),
  allowedHosts: list(hostName(), 'a list of names such as ["penstock.example"]')
    .describe(
      "Names that the Host field of a request to the sidecar may have, beside addresses, `localhost` and the name of the machine. Health is answered under any name.",
    )
    .optional(),
  token: secret().describe("Bearer token for everything beyond health. Without one only health is served.").optional(),
};

const sidecarSettings = settings(sidecarFields, "a map such as { port: 9080 }", unquoted);

export const sidecarSchema = checked(sidecarSettings, ({ host, port, unix, token }) => {
  const problems: Problem[] = [];
  const tell = (path: PropertyKey[], message: string) => problems.push({ path, message });
  if (port === undefined && unix === undefined)
    tell([], 'Neither "port" nor "unix" is set. Write "port: 9080", or the path of a socket in "unix".');
  else if (port !== undefined && unix !== undefined) tell([], 'Both "port" and "unix" are set. Leave one of them out.');
  if (host === undefined || host === MALFORMED) return problems;
  if (unix !== undefined) tell(["host"], 'A Unix socket has no host. Leave out "host" or "unix".');
  else if (!isLoopbackHost(host) && token === undefined)
    tell(
      ["host"],
      `Cannot bind ${quoteValue(host)}: the sidecar has no token. Set "sidecar.token", or bind it to 127.0.0.1.`,
    );
  return problems;
})
  .describe("Health, metrics, configuration and live tunnels over HTTP. Off unless set.")
  .optional();

type SidecarSettings = NonNullable<z.output<typeof sidecarSchema>>;

export function readSidecarPort(sidecar: Parts<SidecarSettings | undefined>): Binding | undefined {
  if (sidecar === undefined || sidecar === MALFORMED) return undefined;
  const { port, host = "127.0.0.1", unix } = sidecar;
  if (typeof port !== "number" || host === MALFORMED || unix !== undefined) return undefined;
  return { host, port, path: ["sidecar", "port"] };
}

/** Where the sidecar listens, and what it asks for. */
export interface SidecarPlan {
  readonly at:
    | { readonly kind: "tcp"; readonly host: string; readonly port: number }
    /** `path` is absolute. */
    | { readonly kind: "unix"; readonly path: string };
  readonly token?: Secret;
  /** Names that a Host field may have, beside those that it always may. */
  readonly allowedHosts: readonly string[];
}

/** Bytes of the path of a Unix socket: sun_path of unix(7) less its NUL. */
const MAX_SOCKET_PATH = 107;

/** Reports a socket whose path no system can bind. */
export function findSocketProblems(
  sidecar: SidecarSettings | undefined,
  { folder }: Pick<Materials, "folder">,
): Problem[] {
  const unix = sidecar?.unix;
  if (unix === undefined || Buffer.byteLength(resolve(folder, unix)) <= MAX_SOCKET_PATH) return [];
  const message = `The path is too long for a socket. Write one of at most ${MAX_SOCKET_PATH} bytes, its folder included.`;
  return [{ path: ["sidecar", "unix"], message }];
}

export function compileSidecar(sidecar: SidecarSettings, materials: Materials): SidecarPlan {
  const token = findSecret(sidecar.token, materials);
  return {
    at:
      sidecar.unix === undefined
        ? { kind: "tcp", host: sidecar.host ?? "127.0.0.1", port: sidecar.port ?? 0 }
        : { kind: "unix", path: resolve(materials.folder, sidecar.unix) },
    ...(token && { token }),
    allowedHosts: sidecar.allowedHosts ?? [],
  };
}
