import { describe, expect, test } from "bun:test";
import { checkConfig } from "../../../src/config/check.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import { compileForTest, listCompileProblems } from "../../support/compile-for-test.ts";

const names = ["proxy.example.org"];
const change = () => {};

function write(acme: object, more: object = {}) {
  return { listen: [{ port: 0, tls: { acme, ...more } }], state: { folder: "state" } };
}

function plan(acme: object) {
  return compileForTest(write({ names, ...acme })).listeners[0]?.acme;
}

function listProblems(acme: object, more?: object): string[] {
  const checked = checkConfig(write(acme, more));
  return checked.ok ? [] : checked.problems.map(formatProblem);
}

describe("tls.acme", () => {
  test("asks Let's Encrypt over the listener itself, unless it is told otherwise", () => {
    expect(plan({})).toEqual({
      directory: "https://acme-v02.api.letsencrypt.org/directory",
      ca: undefined,
      names,
      email: undefined,
      profile: undefined,
      eab: undefined,
      challenge: { type: "tls-alpn-01" },
    });
    expect(plan({ staging: true })?.directory).toBe("https://acme-staging-v02.api.letsencrypt.org/directory");
  });

  test("takes names as people write them, each once", () => {
    expect(plan({ names: ["Proxy.Example.ORG", "proxy.example.org", "bücher.example"] })?.names).toEqual([
      "proxy.example.org",
      "xn--bcher-kva.example",
    ]);
  });

  test("takes a port or a folder for http-01, and functions for dns-01", () => {
    expect(plan({ challenge: "http-01" })?.challenge).toEqual({ type: "http-01", port: 80 });
    expect(plan({ challenge: "http-01", httpPort: 8080 })?.challenge).toEqual({ type: "http-01", port: 8080 });
    expect(plan({ challenge: "http-01", webroot: "www" })?.challenge).toEqual({
      type: "http-01",
      webroot: "/etc/penstock/www",
    });
    const dns = { add: change, remove: change };
    expect(plan({ names: ["*.example.org"], challenge: "dns-01", dns })?.challenge).toEqual({
      type: "dns-01",
      add: change,
      remove: change,
      waitMs: 30_000,
    });
  });

  test("reads the key of an account elsewhere from a variable, and shows it nowhere", () => {
    const eab = { kid: "kid-1", hmac: { env: "EAB" } };
    const compiled = compileForTest(write({ names, eab }), { variables: { EAB: "c2VjcmV0LXNlY3JldA" } });
    expect(compiled.listeners[0]?.acme?.eab).toEqual({ kid: "kid-1", secret: "c2VjcmV0LXNlY3JldA" });
    const { secrets } = compileForTest(write({ names, eab: { kid: "kid-1", hmac: "c2VjcmV0LXNlY3JldA" } }));
    expect(secrets).toContain("c2VjcmV0LXNlY3JldA");
    expect(
      JSON.stringify(compileForTest(write({ names, eab: { kid: "k", hmac: "c2VjcmV0LXNlY3JldA" } })).effective),
    ).not.toContain("c2Vj");
  });

  test.each([
    [{}, "listen[0].tls.acme.names: Required."],
    [{ names: [] }, "listen[0].tls.acme.names: Found an empty list."],
    [{ names: ["192.0.2.1"] }, 'listen[0].tls.acme.names[0]: "192.0.2.1" is no DNS name.'],
    [{ names: ["localhost"] }, 'listen[0].tls.acme.names[0]: "localhost" is no public name'],
    [{ names: ["a.*.example"] }, 'listen[0].tls.acme.names[0]: "a.*.example" is no DNS name.'],
    [{ names: ["*.example.org"] }, 'listen[0].tls.acme.names[0]: A certificate for a wildcard needs "dns-01".'],
    [{ names, email: "ops" }, 'listen[0].tls.acme.email: "ops" is no e-mail address.'],
    [{ names, challenge: "tls-sni-01" }, 'listen[0].tls.acme.challenge: Found "tls-sni-01".'],
    [{ names, httpPort: 80 }, 'listen[0].tls.acme.httpPort: This is for "http-01".'],
    [{ names, webroot: "www" }, 'listen[0].tls.acme.webroot: This is for "http-01".'],
    [
      { names, challenge: "http-01", webroot: "www", httpPort: 80 },
      'listen[0].tls.acme.webroot: Found "httpPort", too.',
    ],
    [{ names, challenge: "dns-01" }, "listen[0].tls.acme.dns: Found no functions that change records."],
    [{ names, dns: { add: change, remove: change } }, 'listen[0].tls.acme.dns: This is for "dns-01".'],
    [{ names, challenge: "dns-01", dns: { add: "x", remove: change } }, "listen[0].tls.acme.dns.add: Found"],
    [
      { names, directory: "http://acme.example/" },
      'listen[0].tls.acme.directory: "http://acme.example/" is no https:// URL.',
    ],
    [
      { names, staging: true, directory: "https://acme.example/" },
      'listen[0].tls.acme.staging: Found "directory", too.',
    ],
    [{ names, ca: "ca.pem" }, "listen[0].tls.acme.ca: Let's Encrypt is verified"],
  ] as const)("refuses %j", (acme, problem) => {
    expect(listProblems(acme).join("\n")).toStartWith(problem);
  });

  test("refuses files beside it, which would be another first certificate", () => {
    expect(listProblems({ names }, { cert: "a.pem", key: "a.key" })).toEqual([
      expect.stringContaining("listen[0].tls.cert: There is no such setting."),
      expect.stringContaining("listen[0].tls.key: There is no such setting."),
    ]);
  });

  test("needs a folder where keys and certificates are kept", () => {
    const listen = [{ port: 0, tls: { acme: { names } } }];
    expect(listCompileProblems({ listen })).toEqual([
      expect.stringContaining('listen[0].tls.acme: Found no "state.folder"'),
    ]);
    expect(listCompileProblems({ listen }, { variables: { STATE_DIRECTORY: "/var/lib/penstock" } })).toEqual([]);
  });

  test("needs a port of its own for http-01", () => {
    const list = (acme: object, others: readonly object[], more: object = {}) =>
      listCompileProblems({
        listen: [{ port: 8443, tls: { acme: { names, challenge: "http-01", ...acme } } }, ...others],
        state: { folder: "state" },
        ...more,
      });
    const isTaken = (port: number, owner: string) => [
      expect.stringContaining(`listen[0].tls.acme.httpPort: Port ${port} is that of ${owner}, and "http-01" needs it`),
    ];
    expect(list({ httpPort: 8080 }, [{ port: 8080 }])).toEqual(isTaken(8080, "listen[1]"));
    expect(list({}, [{ host: "127.0.0.1", port: 80 }])).toEqual(isTaken(80, "listen[1]"));
    expect(list({ httpPort: 8443 }, [])).toEqual(isTaken(8443, "listen[0]"));
    expect(list({ httpPort: 9080 }, [], { sidecar: { port: 9080 } })).toEqual(isTaken(9080, "the sidecar"));
    expect(list({ httpPort: 8080 }, [{ port: 8081 }])).toEqual([]);
    // The service manager says where that one is.
    expect(list({ httpPort: 8080 }, [{ port: 8080, name: "web" }])).toEqual([]);
    expect(list({ webroot: "www" }, [{ port: 80 }])).toEqual([]);
  });

  test("warns of `clients` that keep Let's Encrypt out", () => {
    const list = (acme: object, more: object = {}) =>
      compileForTest({ ...write({ names, ...acme }), ...more }).warnings.map(formatProblem);
    const clients = ["10.0.0.0/8"];
    expect(list({}, { clients })).toEqual([
      expect.stringContaining('listen[0].tls.acme.challenge: "clients" lets only some addresses connect'),
    ]);
    expect(list({ staging: true }, { clients })).toHaveLength(1);
    expect(list({})).toEqual([]);
    expect(list({ challenge: "http-01" }, { clients })).toEqual([]);
    expect(list({ directory: "https://acme.inside.example/" }, { clients })).toEqual([]);
  });

  test("may be the same at two listeners, and not for the same names in two ways", () => {
    const listen = (first: object, second: object) => ({
      listen: [first, second].map((acme) => ({ port: 0, tls: { acme: { names, ...acme } } })),
      state: { folder: "state" },
    });
    expect(listCompileProblems(listen({}, {}))).toEqual([]);
    expect(listCompileProblems(listen({}, { names: ["other.example.org"] }))).toEqual([]);
    expect(listCompileProblems(listen({}, { challenge: "http-01" }))).toEqual([
      expect.stringContaining('listen[1].tls.acme: Found the same names as in listen[0], "proxy.example.org" first'),
    ]);
  });
});
