import { parseHostField, sameHost } from "../address/endpoint.ts";
import type { Host } from "../address/host.ts";

/** The fields of a request that say where it comes from; undefined when absent. */
export interface SiteFields {
  readonly host: string | undefined;
  /** RFC 6454 §7: browsers send it with every request that may change something. */
  readonly origin: string | undefined;
  /** Of browsers, to addresses that they call secure: TLS and loopback. */
  readonly fetchSite: string | undefined;
}

/**
 * Whether a request comes from the page of this sidecar, or from no page at all:
 * what commands and scrapers send has neither field. Another port of the same
 * machine is another site here. `names` are other names of the sidecar.
 */
export function isFromHere({ host, origin, fetchSite }: SiteFields, names: readonly Host[]): boolean {
  // A proxy in front of the sidecar may have changed Host: the browser knows better.
  if (fetchSite !== undefined) return fetchSite === "same-origin" || (fetchSite === "none" && origin === undefined);
  if (origin === undefined) return true;
  const [, scheme, authority = ""] = /^(https?):\/\/([^/?#]+)$/i.exec(origin) ?? [];
  const port = scheme?.toLowerCase() === "https" ? 443 : 80;
  const from = parseHostField(authority, port);
  const here = parseHostField(host ?? "", port);
  if (!from.ok) return false;
  if (here.ok && sameHost(here.endpoint.host, from.endpoint.host) && here.endpoint.port === from.endpoint.port)
    return true;
  return names.some((name) => sameHost(name, from.endpoint.host));
}
