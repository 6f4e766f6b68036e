import { describe, expect, test } from "bun:test";

import { formatEndpoint } from "../../../src/address/endpoint.ts";
import type { Materials } from "../../../src/config/materials.ts";
import type { Hop } from "../../../src/proxy/route/hop.ts";
import { compileForTest, listCompileProblems } from "../../support/compile-for-test.ts";

describe("compileConfig() on upstreams", () => {
  function describeHop({ kind, endpoint, credentials, tls, sourceAddress }: Hop) {
    return {
      url: `${kind}://${formatEndpoint(endpoint)}`,
      ...(credentials && { credentials: [credentials.user, credentials.password.reveal()] }),
      ...(tls && { tls }),
      ...(sourceAddress !== undefined && { sourceAddress }),
    };
  }

  function compileHops(raw: object, materials: Partial<Materials> = {}) {
    const { upstreams } = compileForTest(raw, materials).runtime;
    return Object.fromEntries([...upstreams].map(([name, hop]) => [name, describeHop(hop as Hop)]));
  }

  test("takes credentials from the URL or from the settings beside it", () => {
    const upstreams = {
      a: "http://u:p%40@h:3128",
      b: { url: "socks5://h", username: "u", password: { env: "B" } },
      c: { url: "socks4a://h", username: "id" },
      d: { url: "socks5h://h", sourceAddress: "192.0.2.1" },
    };
    expect(compileHops({ upstreams }, { variables: { B: "secret" } })).toEqual({
      a: { url: "http://h:3128", credentials: ["u", "p@"] },
      b: { url: "socks5://h:1080", credentials: ["u", "secret"] },
      c: { url: "socks4a://h:1080", credentials: ["id", ""] },
      d: { url: "socks5h://h:1080", sourceAddress: "192.0.2.1" },
    });
  });

  test("takes an empty password for SOCKS5 and HTTP", () => {
    const upstreams = { a: "socks5h://token@h", b: "socks5://token:@h", c: "http://token@h:1" };
    expect(Object.values(compileHops({ upstreams })).map(({ credentials }) => credentials)).toEqual(
      Array.from({ length: 3 }, () => ["token", ""]),
    );
  });

  test("refuses credentials that could never be sent, without repeating them", () => {
    const colon =
      "The user name has a colon, which Basic and Digest cannot carry (RFC 7617). Ask for a user name without one.";
    const long = "The user name or the password has more than 255 bytes, which SOCKS cannot carry (RFC 1929).";
    const control = "The user name or the password has a control character. Leave it out.";
    const cases: [object, string][] = [
      [{ upstream: "http://HUSH%3Aa:pw@h:1" }, `upstream: ${colon}`],
      [{ upstreams: { a: "https://HUSH%3Aa@h" } }, `upstreams.a: ${colon}`],
      [
        { upstreams: { a: { url: "http://h:1", username: "HUSH:a", password: "p", auth: "digest" } } },
        `upstreams.a: ${colon}`,
      ],
      [{ upstreams: { a: `socks5://${"u".repeat(256)}:HUSH@h` } }, `upstreams.a: ${long}`],
      [{ upstreams: { a: `socks5h://HUSH:${"%C3%BC".repeat(128)}@h` } }, `upstreams.a: ${long}`],
      [{ upstreams: { a: { url: "socks4a://h", username: "u".repeat(256) } } }, `upstreams.a: ${long}`],
      [{ upstreams: { a: { url: "socks5://h", username: "u", password: { env: "P" } } } }, `upstreams.a: ${control}`],
    ];
    for (const [raw, problem] of cases) {
      const problems = listCompileProblems(raw, { variables: { P: "HUSH\0" } });
      expect(problems).toEqual([problem]);
      expect(problems.join()).not.toContain("HUSH");
    }
  });

  test("takes what can be sent: a colon for SOCKS, and 255 bytes", () => {
    const upstreams = { a: "socks5://a%3Ab:c%3Ad@h", b: `socks5://${"u".repeat(255)}:${"p".repeat(255)}@h` };
    expect(listCompileProblems({ upstreams })).toEqual([]);
    expect(listCompileProblems({ upstreams: { a: `http://u:${"p".repeat(300)}@h:1` } })).toEqual([]);
  });

  test("verifies the name of the URL for TLS unless told another", () => {
    const upstreams = {
      a: "https://exit.example",
      b: { url: "https://10.0.0.1:8443", serverName: "exit.example" },
      c: { url: "https://h:1", serverName: "Bücher.example." },
    };
    expect(compileHops({ upstreams })).toEqual({
      a: { url: "https://exit.example:443", tls: { serverName: "exit.example" } },
      b: { url: "https://10.0.0.1:8443", tls: { serverName: "exit.example" } },
      c: { url: "https://h:1", tls: { serverName: "xn--bcher-kva.example" } },
    });
  });

  test("compiles how an upstream learns of us and of the client", () => {
    const upstreams = { a: { url: "http://u:p@h:1", auth: "digest", proxyProtocol: 2 }, b: "http://h:1" };
    const { runtime } = compileForTest({ upstreams, rules: [{ allow: true, proxyProtocol: 1 }] });
    expect(runtime.upstreams.get("a")).toMatchObject({ auth: "digest", proxyProtocol: 2 });
    for (const key of ["auth", "proxyProtocol"]) expect(runtime.upstreams.get("b")).not.toHaveProperty(key);
    expect(runtime.policy.rules[0]?.verdict).toMatchObject({ proxyProtocol: 1 });
  });

  test("makes an upstream of the shorthand and the default way of it", () => {
    const { runtime } = compileForTest({ upstream: "http://h:3128" });
    expect([...runtime.upstreams.keys()]).toEqual(["upstream"]);
    expect(runtime.policy.fallback).toEqual({ kind: "allow", via: ["upstream"] });
  });

  test("asks the environment only when told to", () => {
    const variables = { https_proxy: "http://h:3128" };
    expect(compileForTest({}, { variables }).runtime.environment).toBeUndefined();
    for (const raw of [{ upstream: "environment" }, { default: ["environment"] }, { rules: [{ via: "environment" }] }])
      expect(compileForTest(raw, { variables }).runtime.environment?.tunnel?.name).toBe("https_proxy");
    expect(compileForTest({ upstream: "environment" }).runtime.policy.fallback).toEqual({
      kind: "allow",
      via: ["environment"],
    });
  });

  test("names the conventional variable that cannot be read", () => {
    const variables = { https_proxy: "ftp://u:hunter2@h:1" };
    expect(listCompileProblems({ upstream: "environment" }, { variables })).toEqual([
      'https_proxy: The URL begins with "ftp". Upstreams are http, https, socks5, socks5h or socks4a.',
    ]);
  });

  test("tells of PEM files without what is wanted, and reads those that have it", () => {
    const upstreams = { a: { url: "https://h", ca: ["ca"], cert: "cert", key: "key" } };
    const files = new Map([
      ["ca", "no"],
      ["cert", "no"],
      ["key", "no"],
    ]);
    expect(listCompileProblems({ upstreams }, { files })).toEqual([
      'upstreams.a.ca[0]: "ca" has no certificate in PEM form.',
      'upstreams.a.cert: "cert" has no certificate in PEM form.',
      'upstreams.a.key: "key" has no unencrypted private key in PEM form.',
    ]);
  });
});

describe("compileConfig() on certificates", () => {
  const upstreams = { a: { url: "https://h", ca: "cert", cert: "cert", key: "key" } };
  const read = (name: string) => Bun.file(`${import.meta.dir}/../../fixtures/config/${name}`).text();

  test("hands the texts of certificate and key to the upstream", async () => {
    const [cert, key] = [await read("edge.cert.pem"), await read("edge.key.pem")];
    const { runtime } = compileForTest(
      { upstreams },
      {
        files: new Map([
          ["cert", cert],
          ["key", key],
        ]),
      },
    );
    expect((runtime.upstreams.get("a") as Hop).tls).toEqual({
      serverName: "h",
      ca: [cert],
      cert,
      certFile: "cert",
      key,
    });
  });

  test("refuses a key that belongs to another certificate", async () => {
    const files = new Map([
      ["cert", await read("edge.cert.pem")],
      ["key", await read("other.key.pem")],
    ]);
    expect(listCompileProblems({ upstreams }, { files })).toEqual([
      'upstreams.a.key: The key "key" does not belong to the first certificate in "cert". Put the certificate of that key first, and those that signed it after it.',
    ]);
  });
});
