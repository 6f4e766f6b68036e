import { nameVersion } from "../protocol/tls/read/iana.ts";
import type { InsideDemand } from "../proxy/tunnel/inside-demand.ts";
import type { ServerNames } from "../proxy/tunnel/server-names.ts";

/** Says for people what a rule demands of the first bytes inside a tunnel: `only tls; SNI as the target; TLS 1.2 or later`. */
export function describeInside({ protocols, sni, minVersion, ja4 }: InsideDemand): string {
  return [
    `only ${[...protocols].join(", ")}`,
    ...(sni === undefined ? [] : [`SNI ${sni === "match" ? "as the target" : describeNames(sni)}`]),
    ...(minVersion === undefined ? [] : [`${nameVersion(minVersion)} or later`]),
    ...(ja4 === undefined ? [] : [`JA4 ${[...ja4].join(", ")}`]),
  ].join("; ");
}

/** So many names are spelled out. */
const SHOWN_NAMES = 10;

function describeNames({ texts }: ServerNames): string {
  const more = texts.length - SHOWN_NAMES;
  return `${texts.slice(0, SHOWN_NAMES).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
