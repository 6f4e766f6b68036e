import type { Cidr } from "../../address/cidr.ts";

/** Hosts that browsers reach without a proxy. Names and suffixes are in lower case. */
export type DirectPattern =
  | { readonly kind: "name"; readonly name: string }
  /** Every name below `suffix`, which is not one of them. */
  | { readonly kind: "suffix"; readonly suffix: string }
  /** Addresses that are written in a URL. Names are not resolved. */
  | { readonly kind: "cidr"; readonly cidr: Cidr };

/**
 * Writes a PAC file for browsers. `proxies` are entries such as `PROXY host:port`,
 * which browsers try in order; at least one. There is no DIRECT after them: a
 * browser must not leave the proxy because it is down. It asks for no DNS, and
 * uses nothing that Internet Explorer 11 does not know, as WinHTTP still does.
 */
export function writePac(proxies: readonly string[], direct: readonly DirectPattern[]): string {
  const names = direct.flatMap((pattern) => (pattern.kind === "name" ? [pattern.name] : []));
  const suffixes = direct.flatMap((pattern) => (pattern.kind === "suffix" ? [`.${pattern.suffix}`] : []));
  const ranges = direct.flatMap((pattern) => (pattern.kind === "cidr" ? [describeRange(pattern.cidr)] : []));
  return [
    "function FindProxyForURL(url, host) {",
    ...(direct.length === 0 ? [] : ['  if (isDirect(host.toLowerCase().replace(/\\.$/, ""))) return "DIRECT";']),
    `  return ${JSON.stringify(proxies.join("; "))};`,
    "}",
    ...(direct.length === 0 ? [] : writeDirect(names, suffixes, ranges)),
    "",
  ].join("\n");
}

function writeDirect(names: readonly string[], suffixes: readonly string[], ranges: readonly string[]): string[] {
  return [
    "",
    "function isDirect(host) {",
    "  var i;",
    `  var names = ${JSON.stringify(names)};`,
    "  for (i = 0; i < names.length; i++) if (host === names[i]) return true;",
    `  var suffixes = ${JSON.stringify(suffixes)};`,
    "  for (i = 0; i < suffixes.length; i++) if (dnsDomainIs(host, suffixes[i])) return true;",
    ...(ranges.length === 0
      ? ["  return false;", "}"]
      : [
          `  var ranges = [${ranges.join(", ")}];`,
          "  var groups = readAddress(host);",
          "  if (groups === null) return false;",
          "  for (i = 0; i < ranges.length; i++) if (isInRange(groups, ranges[i])) return true;",
          "  return false;",
          "}",
          "",
          ...ADDRESS_FUNCTIONS,
        ]),
  ];
}

/** `[[10, 0, 0, 0], 8]`: the numbers of the address, of one byte (IPv4) or two (IPv6), and the bits that count. */
function describeRange({ family, base, prefix }: Cidr): string {
  const bytes = [...base];
  const groups =
    family === 4 ? bytes : Array.from({ length: 8 }, (_, at) => (bytes[at * 2] ?? 0) * 256 + (bytes[at * 2 + 1] ?? 0));
  return `[${JSON.stringify(groups)}, ${prefix}]`;
}

/** The numbers of an address, and whether it is in a range. A host may have brackets in some browsers. */
const ADDRESS_FUNCTIONS = String.raw`function readAddress(host) {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(host)) return host.split(".").map(Number);
  var text = host.replace(/^\[|\]$/g, "");
  if (!/^[0-9a-f:]+$/.test(text) || text.indexOf(":") < 0) return null;
  var halves = text.split("::");
  var head = halves[0] === "" ? [] : halves[0].split(":");
  var tail = halves.length < 2 || halves[1] === "" ? [] : halves[1].split(":");
  while (halves.length > 1 && head.length + tail.length < 8) head.push("0");
  var groups = head.concat(tail).map(function (group) { return parseInt(group, 16); });
  return groups.length === 8 ? groups : null;
}

function isInRange(groups, range) {
  var size = groups.length === 4 ? 8 : 16;
  if (groups.length !== range[0].length) return false;
  for (var i = 0; i < groups.length; i++) {
    var bits = Math.max(0, Math.min(size, range[1] - i * size));
    var shift = size - bits;
    if (groups[i] >> shift !== range[0][i] >> shift) return false;
  }
  return true;
}`.split("\n");
