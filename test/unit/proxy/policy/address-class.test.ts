import { describe, expect, test } from "bun:test";
import { parseCidr } from "../../../../src/address/cidr.ts";
import { type Ip, ipFromBytes, parseIp } from "../../../../src/address/ip.ts";
import { classifyAddress, isPublic, specialRanges } from "../../../../src/proxy/policy/address-class.ts";

/** The IANA registries as published, the multicast blocks beside them: every range that must not be public. */
const registries = [
  "0.0.0.0/8",
  "0.0.0.0/32",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.0.0/29",
  "192.0.0.8/32",
  "192.0.0.9/32",
  "192.0.0.10/32",
  "192.0.0.170/32",
  "192.0.0.171/32",
  "192.0.2.0/24",
  "192.31.196.0/24",
  "192.52.193.0/24",
  "192.88.99.0/24",
  "192.88.99.2/32",
  "192.168.0.0/16",
  "192.175.48.0/24",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "240.0.0.0/4",
  "255.255.255.255/32",
  "224.0.0.0/4",
  "::1/128",
  "::/128",
  "::/96",
  "::ffff:0:0:0/96",
  "64:ff9b::/96",
  "64:ff9b:1::/48",
  "100::/64",
  "100:0:0:1::/64",
  "2001::/23",
  "2001::/32",
  "2001:1::1/128",
  "2001:1::2/128",
  "2001:1::3/128",
  "2001:2::/48",
  "2001:3::/32",
  "2001:4:112::/48",
  "2001:10::/28",
  "2001:20::/28",
  "2001:30::/28",
  "2001:db8::/32",
  "2002::/16",
  "2620:4f:8000::/48",
  "3fff::/20",
  "5f00::/16",
  "fc00::/7",
  "fe80::/10",
  "fec0::/10",
  "ff00::/8",
  "::/8",
  "100::/8",
  "200::/7",
  "400::/6",
  "800::/5",
  "1000::/4",
  "4000::/3",
  "6000::/3",
  "8000::/3",
  "a000::/3",
  "c000::/3",
  "e000::/4",
  "f000::/5",
  "f800::/6",
  "fe00::/9",
];

function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (!parsed) throw new Error(text);
  return parsed;
}

/** Below, first, last, above: as a number moved by one, undefined past the end of the family. */
function edges(range: string): { first: Ip; last: Ip; below: Ip | undefined; above: Ip | undefined } {
  const result = parseCidr(range);
  if (!result.ok) throw new Error(`${range} ${result.reason}`);
  const { base, prefix } = result.cidr;
  const bits = base.length * 8;
  const low = BigInt(`0x${base.toHex()}`);
  const high = low | ((1n << BigInt(bits - prefix)) - 1n);
  const at = (value: bigint) =>
    value < 0n || value >> BigInt(bits)
      ? undefined
      : ipFromBytes(Uint8Array.fromHex(value.toString(16).padStart(bits / 4, "0")));
  return { first: ipFromBytes(base), last: at(high) ?? ip("::"), below: at(low - 1n), above: at(high + 1n) };
}

describe("classifyAddress()", () => {
  test.each(registries)("calls no address of %s public", (range) => {
    const { first, last } = edges(range);
    expect([first.text, isPublic(first)]).toEqual([first.text, false]);
    expect([last.text, isPublic(last)]).toEqual([last.text, false]);
  });

  // A sibling range begins right there, or the range has a narrower one at its edge.
  const nextToAnother = new Set(["224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32"]);
  test.each(
    specialRanges.filter(([range]) => !range.includes(":") && !nextToAnother.has(range) && !range.endsWith("/32")),
  )("begins and ends %s exactly", (range, kind) => {
    const { first, last, below, above } = edges(range);
    expect(classifyAddress(first)).toBe(kind);
    expect(classifyAddress(last)).toBe(kind);
    if (below) expect(classifyAddress(below)).toBe("public");
    if (above) expect(classifyAddress(above)).toBe("public");
  });

  test.each([
    ["223.255.255.255", "public"],
    ["224.0.0.0", "multicast"],
    ["239.255.255.255", "multicast"],
    ["240.0.0.0", "reserved"],
    ["255.255.255.254", "reserved"],
    ["255.255.255.255", "broadcast"],
    ["1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "reserved"],
    ["2000::", "public"],
    ["2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "public"],
    ["2001::", "teredo"],
    ["2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "teredo"],
    ["2001:1::", "protocol-assignments"],
    ["2001:1::1", "protocol-assignments"],
    ["2001:2::", "benchmarking"],
    ["2001:2:0:ffff::", "benchmarking"],
    ["2001:2:1::", "protocol-assignments"],
    ["2001:3::1", "amt"],
    ["2001:4:112::1", "as112"],
    ["2001:4:113::1", "protocol-assignments"],
    ["2001:10::", "orchid"],
    ["2001:2f:ffff::", "orchid"],
    ["2001:3f:ffff::", "drone-id"],
    ["2001:40::", "protocol-assignments"],
    ["2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "protocol-assignments"],
    ["2001:200::", "public"],
    ["2001:db7:ffff::", "public"],
    ["2001:db8::", "documentation"],
    ["2001:db9::", "public"],
    ["2001:ffff::1", "public"],
    ["2002::", "6to4"],
    ["2002:ffff:ffff::", "6to4"],
    ["2003::", "public"],
    ["2620:4f:7fff::1", "public"],
    ["2620:4f:8000::1", "as112"],
    ["2620:4f:8001::1", "public"],
    ["3ffe:ffff::", "public"],
    ["3fff::", "documentation"],
    ["3fff:fff:ffff::", "documentation"],
    ["3fff:1000::", "public"],
    ["3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "public"],
    ["4000::", "reserved"],
    ["5f00::1", "segment-routing"],
    ["5f01::1", "reserved"],
    ["64:ff9b::1", "nat64"],
    ["64:ff9b::1:0:0", "reserved"],
    ["64:ff9b:1:ffff::1", "nat64"],
    ["64:ff9b:2::1", "reserved"],
    ["100::ffff:ffff:ffff:ffff", "discard"],
    ["100:0:0:1::", "dummy"],
    ["100:0:0:2::", "reserved"],
    ["::2", "ipv4-embedded"],
    ["::1:0:0", "reserved"],
    ["fbff::1", "reserved"],
    ["fc00::", "unique-local"],
    ["fdff:ffff::", "unique-local"],
    ["fe00::", "reserved"],
    ["fe80::", "link-local"],
    ["febf::", "link-local"],
    ["fec0::", "site-local"],
    ["feff::", "site-local"],
    ["ff00::", "multicast"],
    ["::ffff:10.0.0.1", "private"],
    ["::ffff:8.8.8.8", "public"],
  ] as const)("calls %s %s", (text, expected) => {
    expect(classifyAddress(ip(text))).toBe(expected);
  });

  test.each(specialRanges.filter(([, kind]) => kind === "metadata"))(
    "knows %s, where a cloud keeps its credentials",
    (range) => {
      expect(classifyAddress(edges(range).first)).toBe("metadata");
    },
  );

  test.each([
    ["2606:4700::5efe:10.0.0.1", "ipv4-embedded"],
    ["2606:4700::200:5efe:127.0.0.1", "ipv4-embedded"],
    ["2606:4700::300:5efe:169.254.169.254", "ipv4-embedded"],
    ["2606:4700:1:2:100:5efe:192.168.0.1", "ipv4-embedded"],
    ["2606:4700::200:5efe:8.8.8.8", "public"],
    ["2606:4700::400:5efe:127.0.0.1", "public"],
    ["2606:4700::1:5efe:127.0.0.1", "public"],
    ["2606:4700::5eff:127.0.0.1", "public"],
  ] as const)("looks inside the ISATAP form %s: %s", (text, expected) => {
    expect(classifyAddress(ip(text))).toBe(expected);
  });
});

describe("specialRanges", () => {
  test("names each range once, in canonical spelling, with its source", () => {
    const written = specialRanges.map(([range]) => range);
    expect(new Set(written).size).toBe(written.length);
    for (const [range, , source] of specialRanges) {
      const result = parseCidr(range);
      expect(result.ok && result.cidr.text).toBe(range);
      expect(source).not.toBe("");
    }
  });
});
