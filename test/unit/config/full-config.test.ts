import { afterAll, beforeAll, expect, test } from "bun:test";

import { loadConfig } from "../../../src/config/load.ts";
import { formatPath, formatProblem } from "../../../src/config/problem.ts";
import { makeCertificate } from "../../support/certificate.ts";
import { makeFolder, type TemporaryFolder } from "../../support/temporary-folder.ts";

const tls = { cert: "cert.pem", key: "key.pem", clientCa: "ca.pem" };
const jwk = { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", kid: "a" };

/** Configurations that together have every kind of setting with a number, and every kind that names a file. */
const configs: Readonly<Record<string, object>> = {
  plain: {
    open: true,
    listen: [
      { host: "127.0.0.1", port: 8080, tls: { ...tls, certificates: [{ cert: "cert.pem", key: "key.pem" }] } },
      8081,
    ],
    users: [
      { name: "ann", password: { file: "secret.txt" }, limits: { connections: 1 } },
      { name: "bob", password: "pw" },
    ],
    upstreams: {
      two: { url: "https://b.example", ca: "ca.pem", cert: "cert.pem", key: "key.pem", proxyProtocol: 2 },
      exits: {
        pool: [{ url: "http://c.example:1", weight: 2, maxConnections: 3, proxyProtocol: 1 }, "direct"],
        health: { probe: { get: "http://h.example/", status: [200] }, rise: 1, fall: 1 },
        eject: { failures: 1, statuses: [503] },
        attempts: 2,
      },
      pac: { pac: "proxy.pac", ca: "ca.pem" },
    },
    lists: { dev: { file: "list.txt" } },
    rules: [
      {
        from: [{ file: "ranges.txt" }],
        users: [{ file: "users.txt" }],
        to: ["@dev", { file: "list.txt" }],
        via: "two",
      },
      { to: ["c.example"], webhook: { url: "https://w.example/x", ca: "ca.pem" } },
      {
        to: ["b.example"],
        paths: ["*"],
        request: {
          set: { authorization: { file: "secret.txt" } },
          replace: { "sk-placeholder": { file: "secret.txt", in: ["x-api-key"] } },
        },
      },
      { to: ["d.example"], proxyProtocol: 1, sni: [{ file: "list.txt" }] },
      { to: ["e.example"], ask: true },
    ],
    forward: { ca: "ca.pem", idleOrigins: 1, idlePerOrigin: 1 },
    limits: {
      connections: 5,
      perUser: { connections: 1 },
      perClient: { connections: 1, prefix: { v4: 24, v6: 56 } },
      perTarget: { connections: 1 },
      headFields: 50,
    },
    approvals: { max: 5, maxPerClient: 2, notify: { url: "https://a.example/x", ca: "ca.pem" } },
    state: { redis: "rediss://127.0.0.1:1", ca: "ca.pem", password: { file: "secret.txt" }, monthStart: 3 },
    telemetry: {
      otlp: "https://127.0.0.1:4318",
      ca: "ca.pem",
      headers: { "x-key": { file: "secret.txt" } },
      sample: 0.5,
    },
    log: { sample: { ok: 0.5 } },
    sidecar: {
      port: 9080,
      token: { file: "secret.txt" },
      tls: { ...tls, ca: "ca.pem", client: { cert: "cert.pem", key: "key.pem" } },
    },
  },
  hook: { users: { url: "https://u.example/x", ca: "ca.pem" } },
  tokens: { users: { jwks: "https://id.example/jwks", issuer: "i", audience: "a", ca: "ca.pem" } },
  keys: { users: { jwks: { file: "keys.json" }, issuer: "i", audience: "a" } },
  htpasswd: { users: { file: "users.htpasswd" } },
  acme: {
    state: { folder: "state" },
    listen: [
      {
        tls: {
          acme: {
            names: ["a.example.org"],
            challenge: "http-01",
            httpPort: 8088,
            directory: "https://acme.example/",
            ca: "ca.pem",
            eab: { kid: "k", hmac: { file: "secret.txt" } },
          },
        },
      },
    ],
  },
};

let folder: TemporaryFolder;
beforeAll(async () => {
  const { cert, key } = await makeCertificate();
  folder = await makeFolder({
    "cert.pem": cert,
    "key.pem": key,
    "ca.pem": cert,
    "keys.json": { keys: [jwk] },
    "list.txt": "a.example\n",
    "ranges.txt": "10.0.0.0/8\n",
    "users.txt": "ann\n",
    "secret.txt": "c2VjcmV0LWtleS1vZi1hbi1hY2NvdW50LTEyMw",
    "users.htpasswd": `ann:${await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 })}\n`,
    "proxy.pac": 'function FindProxyForURL() { return "DIRECT"; }',
  });
});
afterAll(() => folder[Symbol.asyncDispose]());

type Path = readonly (string | number)[];

/** Every value of a configuration that is neither a list nor a map. */
function* listValues(value: unknown, path: Path = []): Iterable<readonly [path: Path, value: unknown]> {
  if (typeof value !== "object" || value === null) yield [path, value];
  else
    for (const [key, inner] of Object.entries(value))
      yield* listValues(inner, [...path, Array.isArray(value) ? Number(key) : key]);
}

/** The configuration with another value at a path. */
function replace(holder: unknown, [key, ...rest]: Path, value: unknown): unknown {
  if (key === undefined) return value;
  const copy: Record<string | number, unknown> = Object.assign(Array.isArray(holder) ? [] : {}, holder);
  copy[key] = replace(copy[key], rest, value);
  return copy;
}

/** Everything that is wrong with a configuration. A bug throws. */
async function findProblems(config: unknown) {
  await folder.write({ "proxy.config.json": JSON.stringify(config, null, 1) });
  const loaded = await loadConfig({ folder: folder.path, flags: {}, variables: {}, terminal: false });
  return loaded.ok ? [] : loaded.problems;
}

test.each(Object.keys(configs))("the configuration %s is valid", async (name) => {
  expect((await findProblems(configs[name])).map(formatProblem)).toEqual([]);
});

/** A value in the place of each one that it can stand for, and what is told of it: at the setting, or at one around it. */
const wrongs: readonly (readonly [what: string, is: (value: unknown) => boolean, wrong: unknown])[] = [
  ["fraction", Number.isInteger, 1.5],
  ["part that is none", (value) => value === 0.5, 1.5],
  [
    "file that is missing",
    (value) => typeof value === "string" && /^[\w-]+\.[a-z]+$/.test(value) && !value.includes("example"),
    "gone.txt",
  ],
];

test.each(wrongs)("a %s is told with its place, whatever the setting", async (_, is, wrong) => {
  const untold: string[] = [];
  let tried = 0;
  for (const config of Object.values(configs))
    for (const [path, value] of listValues(config)) {
      if (!is(value)) continue;
      tried += 1;
      const problems = await findProblems(replace(config, path, wrong));
      const setting = formatPath(path);
      const isTold = problems.some(({ path: told, place = "" }) => {
        const other = formatPath(told);
        return (setting.startsWith(other) || other.startsWith("rules")) && /:\d+:\d+$/.test(place);
      });
      if (!isTold) untold.push(`${setting}: ${problems.map(formatProblem).join(" ")}`);
    }
  expect(untold).toEqual([]);
  expect(tried).toBeGreaterThan(0);
});

test("a fraction hides no contradiction elsewhere", async () => {
  const problems = await findProblems({ listen: [8080, 8080, 1.5], limits: { connections: 2.5 } });
  expect(problems.map(({ path }) => formatPath(path)).toSorted()).toEqual([
    "limits.connections",
    "listen[1]",
    "listen[2]",
  ]);
});
