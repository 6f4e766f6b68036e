import { nameVersion } from "../protocol/tls/read/iana.ts";
import type { InsideDemand, NamePattern } from "../proxy/inspect/inside-demand.ts";

/** Says for people what a rule demands of the first bytes inside a tunnel: `only tls; SNI as the target; TLS 1.2 or later`. */
export function describeInside({ protocols, sni, minVersion, ja4 }: InsideDemand): string {
  return [
    `only ${[...protocols].join(", ")}`,
    ...(sni === undefined ? [] : [`SNI ${sni === "match" ? "as the target" : sni.map(spellPattern).join(", ")}`]),
    ...(minVersion === undefined ? [] : [`${nameVersion(minVersion)} or later`]),
    ...(ja4 === undefined ? [] : [`JA4 ${[...ja4].join(", ")}`]),
  ].join("; ");
}

function spellPattern(pattern: NamePattern): string {
  switch (pattern.kind) {
    case "any":
      return "*";
    case "name":
      return pattern.name;
    case "suffix":
      return `*.${pattern.suffix}`;
    default:
      return pattern satisfies never;
  }
}
