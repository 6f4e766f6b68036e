import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { askInVain, openTunnel } from "../support/ask-tunnel.ts";
import { findExecutable } from "../support/build-executable.ts";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import { runExecutable, type ServingExecutable, startExecutable } from "../support/executable.ts";
import { startProgram } from "../support/program.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { startOnTerminal } from "../support/terminal-program.ts";
import { makeFolder, type TemporaryFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

const TIMEOUT_MS = 180_000;

const READER = { PENSTOCK_SIDECAR_TOKEN: "may-read" };
const OPERATOR = { PENSTOCK_SIDECAR_TOKEN: "may-operate" };
const tokens = [
  { name: "reader", token: "may-read", may: ["read"] },
  { name: "operator", token: "may-operate", may: ["read", "operate"] },
];

let authority: CertificateAuthority;
let files: Record<string, string>;

beforeAll(async () => {
  authority = await makeAuthority();
  const { cert, key } = await authority.issue();
  files = { "cert.pem": cert, "key.pem": key, "ca.pem": authority.cert };
});
afterAll(async () => {
  await authority[Symbol.asyncDispose]();
});

/** A proxy whose sidecar is at one of the places where it can be. */
async function start(sidecar: object): Promise<{ folder: TemporaryFolder; proxy: ServingExecutable; place: string }> {
  const folder = await makeFolder({
    ...files,
    "proxy.config.json": {
      listen: ["127.0.0.1:0"],
      rules: [
        { name: "closed", to: ["closed.example"], deny: true },
        { name: "lab", to: ["127.0.0.1"], allowPrivate: true },
      ],
      sidecar: { ...sidecar, tokens },
    },
  });
  const proxy = await startExecutable({ cwd: folder.path });
  return { folder, proxy, place: await proxy.sidecarUrl() };
}

/** `top` with a token that may read: as lines of JSON, and on a terminal, where it asks to end everything. */
async function watchTop(cwd: string, place: string): Promise<void> {
  await using top = startProgram([await findExecutable(), "top", "--json", "--sidecar", place], {
    cwd,
    env: READER,
  });
  const line = JSON.parse(await waitFor(() => top.stdout.split("\n").slice(0, -1)[0], "a line")) as object;
  expect(line).toMatchObject({ tunnels: 2, connections: 2, total: 2 });
  await using screen = startOnTerminal([await findExecutable(), "top", "--sidecar", place], {
    cwd,
    env: READER,
  });
  await screen.untilShown(/^tunnels 2 +connections 2 /);
  screen.type("A");
  await screen.untilShown(/^End all 2 rows of the table\? Press y or n\.$/);
  screen.type("y");
  await screen.untilShown(/^0 ended\. The sidecar refused \(403\): The token "reader" may read\./);
}

const PLACES = {
  TLS: { port: 0, tls: { cert: "cert.pem", key: "key.pem", ca: "ca.pem" } },
  "a Unix socket": { unix: "side.sock" },
} as const;

describe.each(["TLS", "a Unix socket"] as const)("with a sidecar behind %s", (kind) => {
  test(
    "status, top and tunnels show what /metrics counts, to a token that may read; to end it needs more",
    async () => {
      const { folder, proxy, place } = await start(PLACES[kind]);
      await using stack = new AsyncDisposableStack();
      for (const each of [folder, proxy]) stack.use(each);
      using echo = listenEcho();
      const target = `127.0.0.1:${echo.port}`;
      for (let at = 0; at < 2; at += 1) {
        using over = await openTunnel(proxy.port, target);
        over.write("12345");
        await over.untilText("12345");
      }
      expect(await askInVain(proxy.port, "closed.example:443")).toContain(" 403 ");
      using one = await openTunnel(proxy.port, target);
      one.write("x".repeat(1000));
      await one.untilText("x".repeat(1000));
      using two = await openTunnel(proxy.port, target);
      await waitFor(() => proxy.records.length === 3, "three records");

      const isUnix = place.startsWith("unix:");
      const ask = (path: string) =>
        fetch(isUnix ? `http://localhost${path}` : place + path, {
          headers: { Authorization: "Bearer may-read" },
          ...(isUnix ? { unix: place.slice("unix:".length) } : { tls: { ca: authority.cert } }),
        });
      const metrics = await (await ask("/metrics")).text();
      const sum = (name: string): number =>
        metrics
          .split("\n")
          .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
          .reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
      const run = (args: readonly string[], env: Record<string, string> = READER) =>
        runExecutable([...args, "--sidecar", place], { cwd: folder.path, env });

      const status = await run(["status", "--json"]);
      expect([status.code, status.stderr]).toEqual([0, ""]);
      expect(JSON.parse(status.stdout)).toMatchObject({
        tunnels: sum("penstock_tunnels_open"),
        connections: sum("penstock_connections_open"),
        totals: {
          connections: sum("penstock_connections_total"),
          tunnels: sum("penstock_tunnels_total"),
          failures: sum("penstock_failures_total"),
        },
        bytes_up: sum('penstock_bytes_total{direction="up"}'),
        bytes_down: sum('penstock_bytes_total{direction="down"}'),
        refusals: { denied_by_rule: 1 },
      });
      expect([sum("penstock_tunnels_open"), sum('penstock_bytes_total{direction="down"}')]).toEqual([2, 1010]);
      const shown = (await run(["status"])).stdout;
      expect(shown).toContain("Under way     2 tunnels, 0 requests, 2 connections of at most");
      expect(shown).toContain("Over          2 tunnels, 0 requests, 5 connections, 1 failure\n");
      expect(shown).toContain("Moved         1.0 kB up, 1.0 kB down\n");

      const listed = JSON.parse((await run(["tunnels", "--json"])).stdout) as { tunnels: Record<string, unknown>[] };
      expect(listed.tunnels.map((row) => [row["target"], row["rule"], row["bytes_down"]])).toEqual([
        [target, "lab", 1000],
        [target, "lab", 0],
      ]);
      if (!isUnix) await watchTop(folder.path, place);
      const refused = await run(["tunnels", "--all", "--yes"]);
      expect([refused.code, refused.stderr]).toEqual([
        1,
        '0 ended.\nThe sidecar refused (403): The token "reader" may read. This needs one that may operate: see "may" in "sidecar.tokens".\n',
      ]);
      const ended = await run(["tunnels", "--all", "--yes", "--json"], OPERATOR);
      expect([ended.code, JSON.parse(ended.stdout)]).toEqual([0, { ended: 2, over: 0, missing: [] }]);
      await Promise.all([one.untilEnd(), two.untilEnd()]);
    },
    TIMEOUT_MS,
  );
});

describe("a command that asks a sidecar", () => {
  test(
    "says why the sidecar does not answer: asked in clear, of an unknown authority, without TLS",
    async () => {
      const { folder, proxy, place } = await start(PLACES.TLS);
      await using stack = new AsyncDisposableStack();
      for (const each of [folder, proxy]) stack.use(each);
      await using elsewhere = await makeFolder({ "ca.pem": authority.cert });
      const run = (sidecar: string, env: Record<string, string> = {}) =>
        runExecutable(["status", "--sidecar", sidecar], { cwd: elsewhere.path, env: { ...READER, ...env } });
      const { port } = new URL(place);
      const inClear = await run(`127.0.0.1:${port}`);
      expect([inClear.code, inClear.stderr]).toEqual([
        1,
        "The sidecar refused (400): This speaks TLS. Ask with https:// instead of http://.\n",
      ]);
      const unknown = await run(place);
      expect(unknown.code).toBe(1);
      expect(unknown.stderr).toContain("not trusted here. Name its file in NODE_EXTRA_CA_CERTS");
      expect((await run(place, { NODE_EXTRA_CA_CERTS: join(elsewhere.path, "ca.pem") })).code).toBe(0);
      using plain = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
      expect((await run(`https://127.0.0.1:${plain.port}`)).stderr).toContain("It may speak no TLS: ask with http://.");
    },
    TIMEOUT_MS,
  );

  test(
    "leaves a file alone to which it has nothing to print",
    async () => {
      const { folder, proxy, place } = await start(PLACES["a Unix socket"]);
      await using stack = new AsyncDisposableStack();
      for (const each of [folder, proxy]) stack.use(each);
      const path = join(folder.path, "report.txt");
      await using file = await open(path, "a");
      await file.write("before\n");
      for (const command of ["upstreams", "tunnels"]) {
        const child = Bun.spawn([await findExecutable(), command, "--sidecar", place], {
          cwd: folder.path,
          env: { ...process.env, ...READER },
          stdout: file.fd,
          stderr: "ignore",
        });
        expect(await child.exited).toBe(0);
        expect([command, await readFile(path, "utf8")]).toEqual([command, "before\n"]);
      }
    },
    TIMEOUT_MS,
  );
});
