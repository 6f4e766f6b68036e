import type * as z from "zod";

import { toAsciiHost } from "../address/host.ts";
import type { DirectPattern } from "../protocol/pac/write-pac.ts";
import { list, settings, text } from "./fields.ts";
import { findTargetFault, parseTargetPattern, readTarget } from "./target-pattern.ts";

function findDirectFault(written: string): string | undefined {
  const fault = findTargetFault(written);
  if (fault !== undefined) return fault;
  const parsed = parseTargetPattern(written);
  if (!parsed.ok) return parsed.reason;
  if (parsed.value.ports.length > 0) return "has a port. Write the host alone: the exception is for all ports";
  return parsed.value.host.kind === "any" ? "is every host. Write names, or ranges of addresses" : undefined;
}

export const browserPacSchema = settings({
  host: text('a name such as "proxy.example"', (written) =>
    toAsciiHost(written).ok ? undefined : 'is no host. Write a name such as "proxy.example", without a port',
  )
    .describe(
      "Name or address under which browsers reach the listeners. Default: the address of the listener, and where it listens on all addresses or speaks TLS, the name under which the browser reached the sidecar.",
    )
    .optional(),
  direct: list(
    text('a host such as "*.corp.example"', findDirectFault),
    'a list of hosts such as ["*.corp.example", "10.0.0.0/8"]',
  )
    .describe(
      "Hosts that browsers reach without the proxy: `intranet.example`, `*.corp.example` (the names below it), an address or a range. Addresses count as they are written in URLs; no name is resolved for that.",
    )
    .optional(),
})
  .describe(
    "What `/proxy.pac` of the sidecar tells browsers. Whoever reaches the sidecar can read it: browsers can send no token.",
  )
  .prefault({});

/** What browsers are told, beside the listeners. */
export interface BrowserPac {
  readonly host: string | undefined;
  readonly direct: readonly DirectPattern[];
}

export function compileBrowserPac({ host, direct = [] }: z.output<typeof browserPacSchema>): BrowserPac {
  return {
    host,
    direct: direct.map((written) => {
      const pattern = readTarget(written).host;
      if (pattern.kind === "any") throw new Error("An exception for every host is unchecked");
      return pattern;
    }),
  };
}
