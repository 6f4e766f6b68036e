import type { InsideDemand, InsideProtocol } from "../proxy/tunnel/inside-demand.ts";
import { ServerNames } from "../proxy/tunnel/server-names.ts";
import type { TargetPattern } from "../proxy/policy/policy.ts";
import type { RuleSettings } from "./rule-schema.ts";
import { parseTargetPattern } from "./target-pattern.ts";

const versions = { "1.0": 0x0301, "1.1": 0x0302, "1.2": 0x0303, "1.3": 0x0304 } as const;

/** Compiles what a rule demands of the first bytes inside a tunnel; undefined when that is nothing. */
export function compileInside({ protocols, sni, tls, ja4 }: RuleSettings): InsideDemand | undefined {
  if (protocols === undefined && sni === undefined && tls === undefined && ja4 === undefined) return undefined;
  return {
    protocols: new Set<InsideProtocol>(protocols ?? ["tls"]),
    ...(sni !== undefined && { sni: sni === "match" ? sni : new ServerNames(sni, sni.values().map(readName)) }),
    ...(tls !== undefined && { minVersion: versions[tls.min] }),
    ...(ja4 !== undefined && { ja4: new Set(ja4) }),
  };
}

function readName(text: string): TargetPattern {
  const parsed = parseTargetPattern(text);
  if (!parsed.ok) throw new Error(`The server name ${text} is unchecked`);
  return parsed.pattern;
}
