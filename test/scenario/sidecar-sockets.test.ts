import { describe, expect, test } from "bun:test";
import { existsSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { grantAll } from "../support/sidecar-tokens.ts";
import type { ControlPort } from "../../src/sidecar/control-port.ts";
import { type Sidecar, type SidecarAddress, startSidecar } from "../../src/sidecar/serve.ts";
import { serveHttp } from "../../src/net/http/serve-http.ts";
import { createSidecarApp } from "../../src/sidecar/sidecar-app.ts";

const port: ControlPort = {
  readiness: () => ({ ready: true }),
  effectiveConfig: () => ({}),
  metricsText: () => "up 1\n",
  tunnels: () => [],
  kill: () => 0,
};

const bugs: unknown[] = [];

/** Starts a sidecar that is stopped with the scope. A refusal is what the test is about. */
async function start(address: SidecarAddress) {
  const app = createSidecarApp(port, {
    tokens: grantAll("t"),
    ...("host" in address && { allowedHosts: [] }),
  });
  const started = await startSidecar({ app, address, serveHttp, reportBug: (error) => bugs.push(error) });
  return { started, [Symbol.asyncDispose]: async () => (started.ok ? started.sidecar.stop() : undefined) };
}

function expectStarted({ started }: Awaited<ReturnType<typeof start>>): Sidecar {
  if (!started.ok) throw new Error(started.message);
  return started.sidecar;
}

function makeFolder() {
  const path = mkdtempSync(join(tmpdir(), "penstock-sidecar-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

describe("the sidecar on a port", () => {
  test("serves where it says", async () => {
    await using stand = await start({ host: "127.0.0.1", port: 0 });
    const sidecar = expectStarted(stand);
    expect(sidecar.text).toBe(`http://127.0.0.1:${sidecar.port}`);
    const response = await fetch(`${sidecar.text}/healthz`);
    expect(await response.text()).toBe("ok\n");
    expect(response.headers.get("Cache-Control")).toBe("no-store");
  });

  test("serves on IPv6", async () => {
    await using stand = await start({ host: "::1", port: 0 });
    const sidecar = expectStarted(stand);
    expect(sidecar.text).toBe(`http://[::1]:${sidecar.port}`);
    expect((await fetch(`${sidecar.text}/healthz`)).status).toBe(200);
  });

  test("refuses a browser that was led here under another name", async () => {
    await using stand = await start({ host: "127.0.0.1", port: 0 });
    const { text } = expectStarted(stand);
    const response = await fetch(`${text}/metrics`, {
      headers: { Host: "evil.example", Authorization: "Bearer t" },
    });
    expect(response.status).toBe(403);
  });

  test("says which setting to change when the port is taken", async () => {
    await using stand = await start({ host: "127.0.0.1", port: 0 });
    const taken = expectStarted(stand).port ?? 0;
    await using second = await start({ host: "127.0.0.1", port: taken });
    expect(second.started).toEqual({
      ok: false,
      message: `Cannot start the sidecar on 127.0.0.1:${taken}: the port is in use. Set "sidecar.port" to a free one.`,
    });
  });

  test("says which setting to change when the address is not here", async () => {
    await using stand = await start({ host: "203.0.113.7", port: 0 });
    expect(stand.started).toEqual({
      ok: false,
      message:
        'Cannot start the sidecar on 203.0.113.7:0: this machine has no such address. Set "sidecar.host" to one that it has.',
    });
  });

  test("is gone after it was stopped", async () => {
    const stand = await start({ host: "127.0.0.1", port: 0 });
    const sidecar = expectStarted(stand);
    await fetch(`${sidecar.text}/healthz`);
    await sidecar.stop();
    expect(fetch(`${sidecar.text}/healthz`)).rejects.toThrow();
  });
});

describe("the sidecar on a Unix socket", () => {
  test("serves the owner alone, whatever name is asked for", async () => {
    using folder = makeFolder();
    const unix = join(folder.path, "s.sock");
    await using stand = await start({ unix });
    expect(expectStarted(stand).text).toBe(`unix:${unix}`);
    expect(lstatSync(unix).mode & 0o777).toBe(0o600);
    const response = await fetch("http://anything/healthz", { unix });
    expect(await response.text()).toBe("ok\n");
  });

  test("leaves the mask of the process as it was", async () => {
    using folder = makeFolder();
    const mask = process.umask();
    await using stand = await start({ unix: join(folder.path, "s.sock") });
    expectStarted(stand);
    expect(process.umask()).toBe(mask);
  });

  test("asks for the token there too", async () => {
    using folder = makeFolder();
    const unix = join(folder.path, "s.sock");
    await using stand = await start({ unix });
    expectStarted(stand);
    expect((await fetch("http://localhost/metrics", { unix })).status).toBe(401);
    expect((await fetch("http://localhost/metrics", { unix, headers: { Authorization: "Bearer t" } })).status).toBe(
      200,
    );
  });

  test("replaces the socket of a process that died", async () => {
    using folder = makeFolder();
    const unix = join(folder.path, "s.sock");
    // A process that is killed leaves its socket file behind.
    const bind = `import socket; s = socket.socket(socket.AF_UNIX); s.bind(${JSON.stringify(unix)}); s.listen(1)`;
    expect(Bun.spawnSync(["python3", "-c", bind]).exitCode).toBe(0);
    expect(existsSync(unix)).toBe(true);
    await using stand = await start({ unix });
    expectStarted(stand);
    expect((await fetch("http://localhost/healthz", { unix })).status).toBe(200);
  });

  test("does not take the socket of a process that lives", async () => {
    using folder = makeFolder();
    const unix = join(folder.path, "s.sock");
    await using first = await start({ unix });
    expectStarted(first);
    await using second = await start({ unix });
    expect(second.started).toEqual({
      ok: false,
      message: `Cannot start the sidecar on ${unix}: another process serves there. Stop it, or set "sidecar.unix" to another path.`,
    });
    expect((await fetch("http://localhost/healthz", { unix })).status).toBe(200);
  });

  test("does not take the socket of a process that speaks something else", async () => {
    using folder = makeFolder();
    const unix = join(folder.path, "s.sock");
    const other = createServer((socket) => socket.end("220 mail.example ESMTP\r\n"));
    const { promise: listening, resolve } = Promise.withResolvers<void>();
    other.listen(unix, resolve);
    await listening;
    await using stand = await start({ unix });
    expect(stand.started.ok).toBe(false);
    expect(existsSync(unix)).toBe(true);
    other.close();
  });

  test("does not touch a file that is no socket", async () => {
    using folder = makeFolder();
    const unix = join(folder.path, "notes.txt");
    writeFileSync(unix, "dear diary");
    await using stand = await start({ unix });
    expect(stand.started).toEqual({
      ok: false,
      message: `Cannot start the sidecar on ${unix}: a file that is not a socket is there. Set "sidecar.unix" to another path.`,
    });
    expect(await Bun.file(unix).text()).toBe("dear diary");
  });

  test("says what is wrong with the path", async () => {
    using folder = makeFolder();
    await using missing = await start({ unix: join(folder.path, "no", "s.sock") });
    expect(missing.started).toMatchObject({ ok: false, message: expect.stringContaining("the folder does not exist") });
    await using long = await start({ unix: join(folder.path, "s".repeat(120)) });
    expect(long.started).toMatchObject({ ok: false, message: expect.stringContaining("too long for a socket") });
  });

  test("removes its file when it stops", async () => {
    using folder = makeFolder();
    const unix = join(folder.path, "s.sock");
    const stand = await start({ unix });
    await expectStarted(stand).stop();
    expect(existsSync(unix)).toBe(false);
  });
});
