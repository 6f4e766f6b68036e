import { describe, expect, test } from "bun:test";

import { formatEndpoint } from "../../../src/address/endpoint.ts";
import { checkConfig } from "../../../src/config/check.ts";
import { type CompiledConfig, compileConfig } from "../../../src/config/compile.ts";
import type { Materials } from "../../../src/config/materials.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import { Secret } from "../../../src/proxy/auth/secret.ts";
import type { Hop } from "../../../src/proxy/route/route.ts";

const HASH = await Bun.password.hash("correct horse", { algorithm: "argon2id", memoryCost: 8, timeCost: 1 });

function tryCompile(raw: unknown, materials: Partial<Materials> = {}) {
  const checked = checkConfig(raw);
  if (!checked.ok) throw new Error(checked.problems.map(formatProblem).join("\n"));
  return compileConfig(checked.value, {
    files: new Map(),
    variables: {},
    folder: "/etc/penstock",
    terminal: false,
    ...materials,
  });
}

function compile(raw: unknown, materials: Partial<Materials> = {}): CompiledConfig {
  const compiled = tryCompile(raw, materials);
  if (!compiled.ok) throw new Error(compiled.problems.map(formatProblem).join("\n"));
  return compiled.value;
}

function listProblems(raw: unknown, materials: Partial<Materials> = {}): string[] {
  const compiled = tryCompile(raw, materials);
  return compiled.ok ? [] : compiled.problems.map(formatProblem);
}

describe("compileConfig()", () => {
  test("compiles the defaults: loopback, direct, nobody asked, no sidecar", () => {
    const compiled = compile({});
    expect(compiled.listeners).toEqual([{ host: "127.0.0.1", port: 8080 }]);
    expect(compiled.drainMs).toBe(10_000);
    expect(compiled.sidecar).toBeUndefined();
    expect(compiled.usersFile).toBeUndefined();
    const { authenticator, policy, timeouts, limits, ...runtime } = compiled.runtime;
    expect(authenticator.required).toBe(false);
    expect(policy).toEqual({ rules: [], fallback: { kind: "allow", via: [] } });
    expect(timeouts).toEqual({ handshakeMs: 10_000, connectMs: 10_000, idleMs: 600_000, hookMs: 5000 });
    expect(limits).toEqual({
      connections: 10_000,
      connectionsPerUser: 0,
      connectionsPerClient: 0,
      headBytes: 32_768,
      headFields: 100,
    });
    expect(runtime).toEqual({ upstreams: new Map(), agent: "penstock" });
  });

  test("writes access lines as text on a terminal and as JSON elsewhere, unless told", () => {
    expect(compile({}, { terminal: true }).log.access).toBe("text");
    expect(compile({}, { terminal: false }).log.access).toBe("json");
    expect(compile({ log: { access: "off" } }, { terminal: true }).log.access).toBe("off");
  });

  test("reads listeners, limits, timeouts and client ranges", () => {
    const compiled = compile({
      listen: ["[::1]:0", "9000", { port: 1 }],
      clients: ["192.0.2.0/24"],
      limits: { connections: 7, perUser: { connections: 2 }, perClient: { connections: 3 }, headBytes: "4KB" },
      timeouts: { handshake: "1s", connect: "2s", idle: "0", drain: "0", hook: "30ms" },
    });
    expect(compiled.listeners).toEqual([
      { host: "::1", port: 0 },
      { host: "127.0.0.1", port: 9000 },
      { host: "127.0.0.1", port: 1 },
    ]);
    expect(compiled.drainMs).toBe(0);
    expect(compiled.runtime.timeouts).toEqual({ handshakeMs: 1000, connectMs: 2000, idleMs: 0, hookMs: 30 });
    expect(compiled.runtime.limits).toMatchObject({
      connections: 7,
      connectionsPerUser: 2,
      connectionsPerClient: 3,
      headBytes: 4000,
    });
    expect(compiled.runtime.clients?.map((range) => range.text)).toEqual(["192.0.2.0/24"]);
  });

  test("places the sidecar on loopback, or on a socket beside the file", () => {
    expect(compile({ sidecar: { port: 9080 } }).sidecar).toEqual({
      at: { kind: "tcp", host: "127.0.0.1", port: 9080 },
    });
    const variables = { TOKEN: "t" };
    const { sidecar } = compile({ sidecar: { unix: "run/p.sock", token: { env: "TOKEN" } } }, { variables });
    expect(sidecar?.at).toEqual({ kind: "unix", path: "/etc/penstock/run/p.sock" });
    expect(sidecar?.token?.reveal()).toBe("t");
  });
});

describe("compileConfig() on users", () => {
  test("knows the users of a list, by hash and in plain", async () => {
    const { authenticator } = compile({
      users: [
        { name: "ci", password: HASH },
        { name: "dev", password: "plain" },
      ],
    }).runtime;
    expect(authenticator.required).toBe(true);
    expect(await authenticator.verifyPassword("ci", new Secret("correct horse"))).toEqual({ ok: true, user: "ci" });
    expect(await authenticator.verifyPassword("ci", new Secret("wrong"))).toMatchObject({ ok: false });
    expect(await authenticator.verifyPassword("dev", new Secret("plain"))).toEqual({ ok: true, user: "dev" });
  });

  test("takes passwords from the environment and from files, less the line break at their end", async () => {
    const { authenticator } = compile(
      {
        users: [
          { name: "a", password: { env: "A" } },
          { name: "b", password: { file: "b.txt" } },
        ],
      },
      { variables: { A: "one" }, files: new Map([["b.txt", "two\r\n"]]) },
    ).runtime;
    expect(await authenticator.verifyPassword("a", new Secret("one"))).toMatchObject({ ok: true });
    expect(await authenticator.verifyPassword("b", new Secret("two"))).toMatchObject({ ok: true });
  });

  test("asks a function", async () => {
    const { authenticator } = compile({ users: (name: string, password: string) => name === password }).runtime;
    expect(await authenticator.verifyPassword("x", new Secret("x"))).toEqual({ ok: true, user: "x" });
    expect(await authenticator.verifyPassword("x", new Secret("y"))).toMatchObject({ ok: false });
  });

  test("shows the realm in the challenge", () => {
    const { authenticator } = compile({ users: [{ name: "a", password: "b" }], auth: { realm: "lab" } }).runtime;
    expect(authenticator.challenge()[0]).toContain('realm="lab"');
  });

  test("names the user whose hash cannot be used, and the line of a file", () => {
    const users = [
      { name: "a", password: "fine" },
      { name: "b", password: "$apr1$x$y" },
    ];
    expect(listProblems({ users })[0]).toStartWith('users[1].password: "b" has a hash of the kind "$apr1$".');
    const files = new Map([["u", "a:plain\n"]]);
    expect(listProblems({ users: { file: "u" } }, { files })[0]).toStartWith(
      'users.file: "u", line 1: "a" has no hash',
    );
  });

  test("gives a new runtime for a changed users file, with everything else as it was", async () => {
    const files = new Map([["u", `a:${HASH}\n`]]);
    const { usersFile, runtime } = compile({ users: { file: "u" } }, { files });
    expect(usersFile?.path).toBe("/etc/penstock/u");
    expect(usersFile?.text).toBe(`a:${HASH}\n`);
    const next = usersFile?.recompile(`b:${HASH}\n`);
    if (!next?.ok) throw new Error("The new text is fine");
    expect(await next.value.authenticator.verifyPassword("b", new Secret("correct horse"))).toEqual({
      ok: true,
      user: "b",
    });
    expect(await next.value.authenticator.verifyPassword("a", new Secret("correct horse"))).toMatchObject({
      ok: false,
    });
    expect({ ...next.value, authenticator: runtime.authenticator }).toEqual(runtime);
  });

  test("refuses a bad new users file", () => {
    const { usersFile } = compile({ users: { file: "u" } }, { files: new Map([["u", `a:${HASH}\n`]]) });
    expect(usersFile?.recompile("nonsense\n")).toMatchObject({ ok: false, problems: [{ path: ["users", "file"] }] });
  });
});

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
    const { upstreams } = compile(raw, materials).runtime;
    return Object.fromEntries([...upstreams].map(([name, hop]) => [name, describeHop(hop)]));
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

  test("verifies the name of the URL for TLS unless told another", () => {
    const upstreams = { a: "https://exit.example", b: { url: "https://10.0.0.1:8443", serverName: "exit.example" } };
    expect(compileHops({ upstreams })).toEqual({
      a: { url: "https://exit.example:443", tls: { serverName: "exit.example" } },
      b: { url: "https://10.0.0.1:8443", tls: { serverName: "exit.example" } },
    });
  });

  test("makes an upstream of the shorthand and the default way of it", () => {
    const { runtime } = compile({ upstream: "http://h:3128" });
    expect([...runtime.upstreams.keys()]).toEqual(["upstream"]);
    expect(runtime.policy.fallback).toEqual({ kind: "allow", via: ["upstream"] });
  });

  test("asks the environment only when told to", () => {
    const variables = { https_proxy: "http://h:3128" };
    expect(compile({}, { variables }).runtime.environment).toBeUndefined();
    for (const raw of [{ upstream: "environment" }, { default: ["environment"] }, { rules: [{ via: "environment" }] }])
      expect(compile(raw, { variables }).runtime.environment?.tunnel?.name).toBe("https_proxy");
    expect(compile({ upstream: "environment" }).runtime.policy.fallback).toEqual({
      kind: "allow",
      via: ["environment"],
    });
  });

  test("names the conventional variable that cannot be read", () => {
    const variables = { https_proxy: "ftp://u:hunter2@h:1" };
    expect(listProblems({ upstream: "environment" }, { variables })).toEqual([
      'https_proxy: "ftp://[redacted]@h:1" begins with "ftp". Upstreams are http, https, socks5, socks5h or socks4a.',
    ]);
  });

  test("tells of PEM files without what is wanted, and reads those that have it", () => {
    const upstreams = { a: { url: "https://h", ca: ["ca"], cert: "cert", key: "key" } };
    const files = new Map([
      ["ca", "no"],
      ["cert", "no"],
      ["key", "no"],
    ]);
    expect(listProblems({ upstreams }, { files })).toEqual([
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
    const { runtime } = compile(
      { upstreams },
      {
        files: new Map([
          ["cert", cert],
          ["key", key],
        ]),
      },
    );
    expect(runtime.upstreams.get("a")?.tls).toEqual({ serverName: "h", ca: [cert], cert, key });
  });

  test("refuses a key that belongs to another certificate", async () => {
    const files = new Map([
      ["cert", await read("edge.cert.pem")],
      ["key", await read("other.key.pem")],
    ]);
    expect(listProblems({ upstreams }, { files })).toEqual([
      'upstreams.a.key: The key "key" does not belong to the certificate "cert".',
    ]);
  });
});

describe("compileConfig() on rules", () => {
  test("compiles every form of a rule", () => {
    const { rules } = compile({
      users: [{ name: "ci", password: "x" }],
      upstreams: { corp: "socks5://h", exit: "socks5://i" },
      rules: [
        { name: "no-mail", to: ["*:25"], deny: true },
        { users: ["ci"], to: ["*.npmjs.org:443"], via: "corp" },
        { from: ["::1"], to: ["10.0.0.0/8"], allowPrivate: true, sourceAddress: "10.0.0.9" },
        { via: ["corp", "exit"], allow: true },
        { via: "direct" },
        { via: ["direct"] },
      ],
    }).runtime.policy;
    expect(rules.map(({ name, verdict }) => [name, verdict])).toEqual([
      ["no-mail", { kind: "deny" }],
      ["rule-2", { kind: "allow", allowPrivate: false, via: ["corp"] }],
      ["rule-3", { kind: "allow", allowPrivate: true, via: undefined, sourceAddress: "10.0.0.9" }],
      ["rule-4", { kind: "allow", allowPrivate: false, via: ["corp", "exit"] }],
      ["rule-5", { kind: "allow", allowPrivate: false, via: [] }],
      ["rule-6", { kind: "allow", allowPrivate: false, via: [] }],
    ]);
    expect(rules[0]?.to).toEqual([{ host: { kind: "any" }, ports: [[25, 25]] }]);
    expect(rules[1]?.users).toEqual(new Set(["ci"]));
    expect(rules[2]?.from?.map((range) => range.text)).toEqual(["::1/128"]);
  });

  test.each([
    ["direct", { kind: "allow", via: [] }],
    ["deny", { kind: "deny" }],
    ["corp", { kind: "allow", via: ["corp"] }],
    [["corp", "exit"], { kind: "allow", via: ["corp", "exit"] }],
  ])("compiles the default %p", (fallback, wanted) => {
    const upstreams = { corp: "socks5://h", exit: "socks5://i" };
    expect<unknown>(compile({ upstreams, default: fallback }).runtime.policy.fallback).toEqual(wanted);
  });

  const query = { client: "192.0.2.1", user: undefined, host: "example.org", port: 443 };

  async function ask(hook: unknown) {
    const [rule] = compile({ rules: [hook] }).runtime.policy.rules;
    if (rule?.verdict.kind !== "hook") throw new Error("A function is a hook");
    return rule.verdict.ask(query);
  }

  test("lets a rule that is a function answer with a way as the file writes it", async () => {
    expect(await ask(() => undefined)).toBeUndefined();
    expect(await ask(() => ({ deny: true }))).toEqual({ deny: true });
    expect(await ask(() => ({ allow: true }))).toEqual({ allow: true });
    expect(await ask(() => ({ allow: true, via: "corp" }))).toEqual({ allow: true, via: ["corp"] });
    expect(await ask(async () => ({ allow: true, via: "direct", allowPrivate: true }))).toEqual({
      allow: true,
      allowPrivate: true,
      via: [],
    });
  });

  test("hands what is no verdict on as it is, for the policy to refuse", async () => {
    expect<unknown>(await ask(() => "yes")).toBe("yes");
    expect<unknown>(await ask(async () => null)).toBeNull();
    expect<unknown>(await ask(() => ({ allow: "yes", via: 5 }))).toEqual({ allow: "yes", via: 5 });
  });

  test("takes one function for all rules", () => {
    expect(compile({ rules: () => undefined }).runtime.policy.rules.map((rule) => rule.name)).toEqual(["rules"]);
  });

  test("lets a function choose the way of a rule", async () => {
    const [rule] = compile({ rules: [{ via: async (asked: typeof query) => asked.host }] }).runtime.policy.rules;
    const via = rule?.verdict.kind === "allow" ? rule.verdict.via : undefined;
    expect(typeof via === "function" && (await via(query))).toEqual(["example.org"]);
  });
});

describe("the effective configuration", () => {
  test("fills in what holds and hides what is secret", () => {
    const { effective } = compile(
      {
        $schema: "x",
        users: [
          { name: "a", password: "hunter2" },
          { name: "b", password: { env: "B" } },
        ],
        upstreams: { p: "http://u:hunter2@h:1", q: { url: "socks5://h", username: "u", password: "hunter2" } },
        rules: [() => undefined, { via: () => "direct" }],
        sidecar: { port: 1, token: "hunter2" },
      },
      { variables: { B: "hunter2" } },
    );
    const text = JSON.stringify(effective);
    expect(text).not.toContain("hunter2");
    expect(effective).toMatchObject({
      listen: [{ host: "127.0.0.1", port: 8080 }],
      users: [
        { name: "a", password: "[redacted]" },
        { name: "b", password: { env: "B" } },
      ],
      upstreams: { p: "http://[redacted]@h:1", q: { password: "[redacted]" } },
      rules: ["[function]", { via: "[function]" }],
      sidecar: { port: 1, token: "[redacted]" },
      default: "direct",
      log: { access: "json" },
    });
    expect(effective).not.toHaveProperty("$schema");
  });

  test("says which way the shorthand makes the default", () => {
    expect(compile({ upstream: "http://h:1" }).effective["default"]).toBe("upstream");
    expect(compile({ upstream: "environment" }).effective["default"]).toBe("environment");
  });
});
