import { type Endpoint, formatHost } from "../../address/endpoint.ts";

/** What is asked of a PAC file: the arguments of `FindProxyForURL`. */
export interface PacQuestion {
  readonly url: string;
  /** Without port; IPv6 without brackets. */
  readonly host: string;
}

/** Characters of a URL that a PAC file gets. The rest cannot decide a route. */
const MAX_URL = 2048;

const DEFAULT_PORTS = { http: 80, https: 443 } as const;

/**
 * Makes the URL that browsers give to `FindProxyForURL`. A tunnel is for
 * `https://host/`, whatever is inside. A plain request keeps its path and query;
 * fragment and userinfo are never in it.
 */
export function askPac(target: Endpoint, scheme: "http" | "https" | undefined, path = "/"): PacQuestion {
  const kind = scheme ?? "https";
  const port = target.port === DEFAULT_PORTS[kind] ? "" : `:${target.port}`;
  const visible = kind === "http" && path.startsWith("/") ? path : "/";
  return { url: `${kind}://${formatHost(target.host)}${port}${visible}`.slice(0, MAX_URL), host: target.host.text };
}
