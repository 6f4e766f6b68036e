import { describe, expect, test } from "bun:test";
import { parseAuthority } from "../../../src/address/endpoint.ts";
import { parseIp } from "../../../src/address/ip.ts";
import { explainTarget } from "../../../src/explain/explain-target.ts";
import { compileForTest } from "../../support/compile-for-test.ts";
import { createFakeResolver } from "../../support/fake-resolver.ts";

async function explain(source: string): Promise<string[]> {
  const compiled = compileForTest(
    { upstreams: { corp: { pac: "proxy.pac" } }, default: "corp" },
    { files: new Map([["proxy.pac", source]]) },
  );
  const target = parseAuthority("a.example:443");
  const client = parseIp("192.0.2.1");
  if (!target.ok || client === undefined) throw new Error("The question is wrong");
  const resolver = createFakeResolver({ "a.example": ["93.184.216.34"] });
  return explainTarget(compiled, resolver, { client, user: undefined, target: target.endpoint });
}

describe("explain on an upstream with a PAC file", () => {
  test("says what the file chose, in order", async () => {
    const lines = await explain(
      `function FindProxyForURL() { return "PROXY 192.0.2.7:8080; SOCKS 192.0.2.8; DIRECT"; }`,
    );
    expect(lines).toContain("pac:     corp chose http://192.0.2.7:8080, then socks5h://192.0.2.8:1080, then direct");
    expect(lines.slice(-7)).toEqual([
      "route:   corp (PAC file: http://192.0.2.7:8080, socks5h://192.0.2.8:1080, direct)",
      "pool:    corp, health unknown: not asked (nobody was asked)",
      "chosen:  http://192.0.2.7:8080, unknown: first in the answer of the PAC file",
      "then:    socks5h://192.0.2.8:1080, unknown: next in the answer",
      "then:    direct, unknown: next in the answer",
      "address: left to the upstream to resolve",
      "verdict: allowed",
    ]);
    expect(await explain(`function FindProxyForURL() { return "PROXY 192.0.2.7:8080"; }`)).toContain(
      "pac:     corp chose http://192.0.2.7:8080",
    );
    expect(await explain(`function FindProxyForURL() {}`)).toEqual(
      expect.arrayContaining(["pac:     corp chose direct", "route:   direct", "verdict: allowed"]),
    );
  });

  test("says why the file gave no answer", async () => {
    const lines = await explain(`function FindProxyForURL() { return undefined.x; }`);
    expect(lines.find((line) => line.startsWith("note:"))).toContain("The PAC file of upstream corp threw TypeError");
    expect(lines).toContain("verdict: refused with 502");
  });
});
