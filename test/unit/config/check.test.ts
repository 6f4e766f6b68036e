import { describe, expect, test } from "bun:test";

import { checkConfig } from "../../../src/config/check.ts";
import { formatProblem } from "../../../src/config/problem.ts";

/** The problems of a configuration as a person reads them. */
function listProblems(raw: unknown): string[] {
  const checked = checkConfig(raw);
  return checked.ok ? [] : checked.problems.map(formatProblem);
}

/** The message first, for the name of the test. */
function flip([raw, message]: [raw: unknown, message: string]) {
  return [message, raw] as const;
}

describe("checkConfig() on single settings", () => {
  test("accepts an empty configuration and fills the defaults in", () => {
    const checked = checkConfig({});
    expect(checked.ok && checked.value).toMatchObject({
      listen: [{ host: "127.0.0.1", port: 8080 }],
      open: false,
      auth: { realm: "penstock", cacheTtl: "5m" },
      rules: [],
      limits: { perUser: { connections: 0 }, headBytes: "32KiB", headFields: 100 },
      timeouts: { handshake: "10s", connect: "10s", idle: "10m", drain: "10s", hook: "5s" },
    });
  });

  test("tells of a number beyond all bounds once", () => {
    expect(listProblems({ limits: { connections: 1e99 } })).toEqual([
      "limits.connections: Found 1e+99. Write a whole number from 1 to 1000000.",
    ]);
  });

  test("lets a listener beyond loopback do without users when clients need certificates, which name the users", () => {
    const tls = { cert: "c", key: "k", clientCa: "ca.pem" };
    const rules = [{ users: ["alice@corp.test"], allow: true }];
    expect(listProblems({ listen: [{ host: "0.0.0.0", tls }], rules })).toEqual([]);
  });

  test("accepts everything that the design shows", () => {
    const raw = {
      listen: [{ port: 8080 }, "[::1]:8081"],
      users: [
        { name: "ci", password: "$argon2id$x" },
        { name: "b", password: { env: "B" } },
      ],
      upstreams: {
        corp: { url: "http://proxy.corp:3128", username: "edge", password: { env: "CORP_PASSWORD" } },
        exit: "socks5h://10.0.0.7",
        safe: { url: "https://exit-b:8443", ca: ["ca.pem"], cert: "c.pem", key: "k.pem", serverName: "b" },
      },
      rules: [
        { name: "no-mail", to: ["*:25"], deny: true },
        { name: "registry", users: ["ci"], to: ["*.npmjs.org:443"], via: "corp" },
        { from: ["192.0.2.0/24"], to: ["10.20.0.0/16"], allowPrivate: true, sourceAddress: "192.0.2.9" },
        { via: ["corp", "exit"] },
        { via: () => "corp" },
        () => undefined,
      ],
      default: ["corp", "exit"],
      clients: ["192.0.2.0/24", "::1"],
      limits: { connections: 5, perUser: { connections: 200 }, perClient: { connections: 1 }, headBytes: "16KiB" },
      timeouts: { idle: "0", drain: "0" },
      sidecar: { port: 9080, token: "t" },
      log: { access: "json" },
    };
    expect(listProblems(raw)).toEqual([]);
  });

  test.each([
    ["one function for all rules", { rules: () => undefined }],
    ["a function that knows the users", { users: async () => true }],
    ["a file that knows the users", { users: { file: "users.htpasswd" } }],
    ["the upstream of the environment", { upstream: "environment" }],
    ["the shorthand upstream by its name", { upstream: "http://p:3128", rules: [{ via: "upstream" }] }],
    ["denying by default", { default: "deny" }],
    ["a sidecar on a Unix socket", { sidecar: { unix: "penstock.sock" } }],
    ["an open proxy that says so", { listen: ["0.0.0.0:8080"], open: true }],
    ["an open proxy behind a load balancer that says so", { listen: [{ proxyProtocol: ["::1"] }], open: true }],
    ["users behind a load balancer", { listen: [{ proxyProtocol: ["::1"] }], users: [{ name: "a", password: "p" }] }],
    ["the address of a JSON Schema", { $schema: "./penstock.schema.json" }],
  ])("accepts %s", (_, raw) => {
    expect(listProblems(raw)).toEqual([]);
  });

  test.each(
    (
      [
        [[], "Found a list. Write a map of settings, as defineConfig() takes it."],
        [null, "Found null. Write a map of settings, as defineConfig() takes it."],
        [{ lisen: [] }, 'lisen: There is no such setting. Did you mean "listen"?'],
        [{ listen: [{ prt: 1 }] }, 'listen[0].prt: There is no such setting. Did you mean "port"?'],
        [{ listen: "8080" }, 'listen: Found "8080". Write a list of addresses to listen on. Put brackets around it.'],
        [{ listen: [] }, "listen: Found an empty list. Write a list of addresses to listen on, or leave it out."],
        [{ listen: [true] }, 'listen[0]: Found true. Write "host:port", a port or { host, port }.'],
        [{ listen: [{ port: 65_536 }] }, "listen[0].port: Found 65536. Write a whole number from 0 to 65535."],
        [{ listen: [{ port: 1.5 }] }, "listen[0].port: Found 1.5. Write a whole number from 0 to 65535."],
        [{ open: "yes" }, 'open: Found "yes". Write true or false.'],
        [
          { users: "alice" },
          'users: Found a text. Write a list of { name, password }, { file: "users.htpasswd" }, { url: "https://…" }, { jwks: "https://…", issuer, audience } or a function.',
        ],
        [{ users: [{ name: "a" }] }, 'users[0].password: Required. Write a text, { env: "NAME" } or { file: "path" }.'],
        [{ users: [{ password: "x" }] }, "users[0].name: Required. Write a user name."],
        [{ users: [{ name: "a:b", password: "x" }] }, "users[0].name: A text has a colon"],
        [{ users: {} }, 'users: Found a map. Write a list of { name, password }, { file: "users.htpasswd" }'],
        [{ timeouts: { idle: 10 } }, 'timeouts.idle: Found 10. Write a duration such as "10s".'],
        [{ timeouts: { connect: "0" } }, 'timeouts.connect: "0" would leave no time at all.'],
        [{ timeouts: { drain: "soon" } }, 'timeouts.drain: "soon" is not a duration.'],
        [{ limits: { headBytes: "1B" } }, 'limits.headBytes: "1B" is out of range. Write from 1KiB to 1MiB.'],
        [{ limits: { headBytes: 5 } }, 'limits.headBytes: Found 5. Write a size such as "32KiB".'],
        [{ clients: ["10.0.0.1/8"] }, 'clients[0]: "10.0.0.1/8" has bits set beyond the prefix.'],
        [
          { log: { access: "jsn" } },
          'log.access: Found "jsn". Write one of "json", "text", "squid", "combined", "off". Did you mean "json"?',
        ],
        [{ upstream: "proxy" }, 'upstream: The URL has no scheme. Write one, as in "http://proxy.example:3128".'],
        [{ upstreams: { a: 5 } }, "upstreams.a: Found a number. Write a URL, or a map with a url, a pool or a pac."],
        [{ upstreams: { a: {} } }, 'upstreams.a.url: Required. Write a URL such as "http://proxy.example:3128".'],
        [{ rules: [5] }, "rules[0]: Found 5. Write a rule, or a function."],
        [{ rules: [{ to: ["a:0"], deny: true }] }, 'rules[0].to[0]: "a:0" has no valid ports after the colon.'],
        [{ rules: [{ via: 7 }] }, 'rules[0].via: Found 7. Write "direct", the name of an upstream'],
        [{ rules: [{ name: "", deny: true }] }, "rules[0].name: Found an empty text. Write a name."],
        [{ rules: [{ deny: true, sourceAddress: "x" }] }, 'rules[0].sourceAddress: "x" is not an IP address.'],
        [
          { sidecar: { port: 1, token: { evn: "X" } } },
          'sidecar.token.evn: There is no such setting. Did you mean "env"?',
        ],
      ] satisfies [unknown, string][]
    ).map(flip),
  )("says %s", (message, raw) => {
    expect(listProblems(raw).join("\n")).toContain(message);
  });

  test("tells all problems at once, of the schema and of the whole", () => {
    const raw = {
      listen: ["0.0.0.0:8080", "a"],
      rules: [{ via: "nowhere" }, { to: ["["], deny: true }],
      timeouts: { idle: 1 },
      unknown: 1,
    };
    const problems = listProblems(raw);
    expect(problems).toHaveLength(6);
    for (const path of ["listen[0]", "listen[1]", "rules[0].via", "rules[1].to[0]", "timeouts.idle", "unknown"])
      expect(problems.some((problem) => problem.startsWith(`${path}: `))).toBe(true);
  });

  test("never repeats a secret", () => {
    const secrets = {
      users: [{ name: "a", password: ["hunter2"] }],
      upstreams: { a: { url: "http://u:hunter2@h", password: "hunter2" } },
      upstream: "htp://u:hunter2@h:1",
      sidecar: { port: 1, token: { env: "A", file: "B" } },
    };
    const text = listProblems(secrets).join("\n");
    expect(text).not.toContain("hunter2");
  });
});

describe("checkConfig() on settings that contradict each other", () => {
  test.each(
    (
      [
        [
          { listen: ["0.0.0.0:8080"] },
          'listen[0]: Cannot bind 0.0.0.0:8080: the listener has no users. Set "users", or "open: true" to run an open proxy.',
        ],
        [
          { listen: [{ host: "::" }] },
          'listen[0]: Cannot bind [::]:8080: the listener has no users. Set "users", or "open: true" to run an open proxy.',
        ],
        [
          { listen: [{ port: 1, proxyProtocol: ["127.0.0.1"] }] },
          'listen[0]: Cannot bind 127.0.0.1:1: the listener has no users, and load balancers bring clients from beyond this machine to it ("proxyProtocol"). Set "users", or "open: true" to run an open proxy.',
        ],
        [
          { listen: [{ host: "::", tls: { cert: "c", key: "k" } }] },
          'listen[0]: Cannot bind [::]:8080: the listener has no users. Set "users", or "open: true" to run an open proxy.',
        ],
        [
          { listen: [{ host: "::", tls: { cert: "c", key: "k", clientCa: "ca", clientCertificate: "optional" } }] },
          'listen[0]: Cannot bind [::]:8080: the listener has no users. Set "users", or "open: true" to run an open proxy.',
        ],
        [
          { listen: [{ tls: { cert: "c", key: "k", clientCertificate: "required" } }] },
          'listen[0].tls.clientCertificate: Found no authority to ask clients about. Set "clientCa" too.',
        ],
        [{ listen: [{ tls: { cert: "c" } }] }, "listen[0].tls.key: Required. Write"],
        [{ listen: ["8080", "127.0.0.1:8080"] }, "listen[1]: Found 127.0.0.1:8080 twice. Give each its own"],
        [
          {
            users: [
              { name: "a", password: "x" },
              { name: "a", password: "y" },
            ],
          },
          'users[1].name: Found the user "a" twice. Write each user once.',
        ],
        [{ upstreams: { direct: "socks5://h" } }, 'upstreams.direct: The name "direct" has a meaning of its own.'],
        [{ upstreams: { "a b": "socks5://h" } }, 'upstreams["…"]: The name of the upstream has other characters.'],
        [
          { upstreams: { a: { url: "socks5://u:p@h", username: "u" } } },
          "upstreams.a.username: Found credentials in the URL as well. Write them in one place.",
        ],
        [
          { upstreams: { a: { url: "socks5://h", password: "p" } } },
          'upstreams.a.password: Found a password without a user. Set "username" too.',
        ],
        [
          { upstreams: { a: { url: "socks5://u:p@h", password: "p" } } },
          "upstreams.a.password: Found credentials in the URL as well. Write them in one place.",
        ],
        [
          { upstreams: { a: { url: "socks5://u:p@h", auth: "digest" } } },
          "upstreams.a.auth: The upstream is of kind socks5, which has one scheme only.",
        ],
        [
          { upstreams: { a: { url: "http://h:1", auth: "digest" } } },
          'upstreams.a.auth: Found a way to show credentials and none to show. Set "username" and "password" too.',
        ],
        [
          { upstreams: { a: { url: "http://h:1", proxyProtocol: 3 } } },
          "upstreams.a.proxyProtocol: Found 3. Write 1 or 2.",
        ],
        [
          { upstreams: { a: "http://h:1" }, rules: [{ via: "a", proxyProtocol: 2 }] },
          'rules[0].proxyProtocol: The rule goes through an upstream. Set "proxyProtocol" there, or leave "via" out.',
        ],
        [{ rules: [{ deny: true, proxyProtocol: 2 }] }, "rules[0].proxyProtocol: The rule denies."],
        [
          { upstreams: { a: { url: "http://h:1", ca: "ca.pem" } } },
          "upstreams.a.ca: The upstream is of kind http, without TLS.",
        ],
        [
          { upstreams: { a: { url: "https://h", cert: "c.pem" } } },
          'upstreams.a.cert: Found only one of "cert" and "key".',
        ],
        [
          { rules: [{ to: ["*"] }] },
          'rules[0]: The rule does nothing. Set "deny", "allow", "ask", "allowPrivate", "webhook" or "via".',
        ],
        [{ rules: [{ deny: true, sni: "match" }] }, 'rules[0].sni: The rule denies. Leave out "deny" or "sni".'],
        [{ rules: [{ deny: true, protocols: ["tls"] }] }, "rules[0].protocols: The rule denies."],
        [
          { rules: [{ protocols: ["ssh"], tls: { min: "1.2" } }] },
          'rules[0].tls: "protocols" does not have "tls". Add it, or leave out "tls".',
        ],
        [{ rules: [{ deny: true, via: "direct" }] }, 'rules[0].via: The rule denies. Leave out "deny" or "via".'],
        [{ rules: [{ deny: true, allowPrivate: true }] }, "rules[0].allowPrivate: The rule denies."],
        [
          {
            rules: [
              { name: "a", deny: true },
              { name: "a", deny: true },
            ],
          },
          'rules[1]: Found the rule "a" twice. Give each rule a name of its own.',
        ],
        [
          { rules: [{ name: "rule-2", deny: true }, { deny: true }] },
          'rules[1]: Found the rule "rule-2" twice. Give each rule a name of its own.',
        ],
        [
          { rules: [{ via: "crop" }], upstreams: { corp: "socks5://h" } },
          'rules[0].via: There is no upstream "crop". Did you mean "corp"?',
        ],
        [
          { rules: [{ via: "x" }], upstreams: { corp: "socks5://h" } },
          'rules[0].via: There is no upstream "x". Write "direct", "environment" or the name of an upstream ("corp").',
        ],
        [
          { default: "http://u:hunter2@h:1" },
          'default: Found a URL. Give it a name in "upstreams", and write that name here.',
        ],
        [
          { rules: [{ via: ["a", "direct"] }], upstreams: { a: "socks5://h" } },
          'rules[0].via[1]: "direct" cannot be part of a chain. Write it alone.',
        ],
        [{ rules: [{ via: "deny" }] }, 'rules[0].via: "deny" is not a way. Write "deny: true" in a rule'],
        [
          { rules: [{ users: ["a"], deny: true }] },
          'rules[0].users[0]: There is no user "a": the proxy asks for no credentials.',
        ],
        [
          { users: [{ name: "alice", password: "x" }], rules: [{ users: ["alcie"], deny: true }] },
          'rules[0].users[0]: There is no user "alcie". Did you mean "alice"?',
        ],
        [
          { default: "block" },
          'default: There is no upstream "block". Write "direct", "deny", "ask", "environment" or the name of an upstream.',
        ],
        [{ default: ["deny", "direct"] }, 'default[0]: "deny" is not a way.'],
        [
          { default: "direct", upstream: "socks5://h" },
          'default: Found "upstream" as well, which sets the default way.',
        ],
      ] satisfies [unknown, string][]
    ).map(flip),
  )("says %s", (message, raw) => {
    expect(listProblems(raw).join("\n")).toContain(message);
  });

  test("does not ask who the users of a file or of a function are", () => {
    const rules = [{ users: ["anybody"], deny: true }];
    expect(listProblems({ users: { file: "f" }, rules })).toEqual([]);
    expect(listProblems({ users: () => true, rules })).toEqual([]);
  });
});
