import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { AcmeFiles, NO_ATTEMPTS } from "../../src/acme/acme-files.ts";
import { openTunnel } from "../support/ask-tunnel.ts";
import { makeAuthority } from "../support/certificate-authority.ts";
import { startExecutable } from "../support/executable.ts";
import { connectRaw, listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

function makeConfig(drain: string) {
  return {
    listen: ["127.0.0.1:0"],
    rules: [{ to: ["127.0.0.1"], allowPrivate: true }],
    timeouts: { drain },
    sidecar: { port: 0 },
  };
}

describe("the executable, told to stop", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("exits with 0 after %s when nothing is open", async (signal) => {
    await using folder = await makeFolder({ "proxy.config.json": makeConfig("1d") });
    await using proxy = await startExecutable({ cwd: folder.path });
    proxy.signal(signal);
    expect(await proxy.exited).toBe(0);
    expect(proxy.told.at(-1)).toStartWith(`${signal}: accepting no more connections`);
  });

  test("does not count an order of a certificate that is under way as a failure", async () => {
    await using authority = await makeAuthority();
    const { cert, key } = await authority.issue({ names: ["IP:127.0.0.1"] });
    const asked = Promise.withResolvers<undefined>();
    await using silent = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert, key },
      fetch() {
        asked.resolve(undefined);
        return new Promise<never>(() => {});
      },
    });
    const directory = `https://127.0.0.1:${silent.port}/directory`;
    const names = ["proxy.example.org"];
    await using folder = await makeFolder({
      "ca.pem": authority.cert,
      "proxy.config.json": {
        listen: [{ port: 0, tls: { acme: { names, directory, ca: "ca.pem" } } }],
        state: { folder: "state" },
      },
    });
    const files = new AcmeFiles(join(folder.path, "state"), { directory, names, profile: undefined, ca: undefined });
    await using proxy = await startExecutable({ cwd: folder.path });
    await asked.promise;
    // Were the process killed now, the next one would have to wait.
    expect(await files.readAttempts()).toMatchObject({ failures: 1 });
    proxy.signal("SIGTERM");
    expect(await proxy.exited).toBe(0);
    expect(await files.readAttempts()).toEqual(NO_ATTEMPTS);
  });

  test("lets tunnels live on, takes nobody new, says that it is not ready, and ends with the last tunnel", async () => {
    await using folder = await makeFolder({ "proxy.config.json": makeConfig("1d") });
    using echo = listenEcho();
    await using proxy = await startExecutable({ cwd: folder.path });
    const sidecar = await proxy.sidecarUrl();
    expect((await fetch(`${sidecar}/readyz`)).status).toBe(200);
    using client = await openTunnel(proxy.port, `127.0.0.1:${echo.port}`);

    proxy.signal("SIGTERM");
    await proxy.untilTold("accepting no more connections");
    const ready = await fetch(`${sidecar}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toEqual({ ready: false, reason: "draining" });
    expect((await fetch(`${sidecar}/healthz`)).status).toBe(200);
    expect(await isRefused(proxy.port)).toBe(true);
    client.write("still here");
    await client.untilText("still here");

    client.finish();
    await client.untilEnd();
    expect(client.end).toBe("fin");
    expect(await proxy.exited).toBe(0);
    expect(proxy.records).toMatchObject([{ end: "closed", bytes_up: 10, bytes_down: 10 }]);
  });

  test("ends the tunnels that are left when the time is over, and records them", async () => {
    await using folder = await makeFolder({ "proxy.config.json": makeConfig("50ms") });
    using echo = listenEcho();
    await using proxy = await startExecutable({ cwd: folder.path });
    using client = await openTunnel(proxy.port, `127.0.0.1:${echo.port}`);
    proxy.signal("SIGTERM");
    await client.untilEnd();
    expect(await proxy.exited).toBe(0);
    expect(proxy.records).toMatchObject([{ stage: "tunnel", end: "drained" }]);
  });

  test("ends at once at the second signal", async () => {
    await using folder = await makeFolder({ "proxy.config.json": makeConfig("1d") });
    using echo = listenEcho();
    await using proxy = await startExecutable({ cwd: folder.path });
    using client = await openTunnel(proxy.port, `127.0.0.1:${echo.port}`);
    proxy.signal("SIGTERM");
    await proxy.untilTold("accepting no more connections");
    proxy.signal("SIGINT");
    await client.untilEnd();
    expect(await proxy.exited).toBe(0);
    expect(proxy.records).toMatchObject([{ stage: "tunnel", end: "drained" }]);
    expect(proxy.told.at(-1)).toBe("SIGINT again: ending all connections.");
  });
});

/** Whether nobody listens on a port any more. */
async function isRefused(port: number): Promise<boolean> {
  try {
    using _ = await connectRaw(port);
    return false;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
  }
}
