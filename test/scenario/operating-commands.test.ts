import { describe, expect, test } from "bun:test";
import { runCli } from "../../src/cli/run-cli.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const variables = { PENSTOCK_SIDECAR_TOKEN: "scenario-token" };

async function run(argv: readonly string[], parts: Parameters<typeof createFakeIo>[0] = {}) {
  const io = createFakeIo(parts);
  return { code: await runCli(argv, io), printed: io.printed(), told: io.told };
}

const at = ({ daemon }: TestProxy): string => `127.0.0.1:${daemon.sidecar?.port}`;

describe("penstock drain", () => {
  test("has a proxy drain for a time, and takes that back", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy();
    await proxy.tunnel(`127.0.0.1:${echo.port}`);
    const sidecar = ["--sidecar", `http://${at(proxy)}`];
    const begun = await run(["drain", "--for", "10m", ...sidecar], { variables });
    expect(begun).toMatchObject({ code: 0, told: [] });
    expect(JSON.parse(begun.printed)).toMatchObject({ phase: "draining", tunnels: 1 });
    const back = await run(["drain", "--cancel", ...sidecar], { variables });
    expect(back).toEqual({ code: 0, printed: "", told: ["The proxy accepts connections again."] });
    const again = await run(["drain", "--cancel", ...sidecar], { variables });
    expect(again).toMatchObject({ code: 1, told: ["The sidecar refused (409): The proxy does not drain."] });
  });

  test("says what is wrong with a duration, and drains nothing", async () => {
    await using proxy = await startProxy();
    const { code, told } = await run(["drain", "--for", "soon", "--sidecar", `http://${at(proxy)}`], { variables });
    expect(code).toBe(2);
    expect(told[0]).toStartWith('The sidecar refused (400): "soon" is not a duration.');
    expect((await run(["healthcheck", "--sidecar", at(proxy)])).code).toBe(0);
  });

  test("needs a token, a proxy, and one wish at a time", async () => {
    expect(await run(["drain", "--sidecar", "http://127.0.0.1:1"])).toMatchObject({
      code: 2,
      told: ["Missing the token of the sidecar. Set PENSTOCK_SIDECAR_TOKEN."],
    });
    expect(await run(["drain", "--for", "1m", "--cancel"], { variables })).toMatchObject({ code: 2 });
    const nobody = await run(["drain", "--sidecar", "http://127.0.0.1:1"], { variables });
    expect(nobody.code).toBe(1);
    expect(nobody.told[0]).toStartWith("Cannot reach the sidecar at http://127.0.0.1:1: ");
  });
});

describe("penstock healthcheck", () => {
  test("exits with 0 while the proxy is ready, and with 1 and the reason when it is not", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy();
    await proxy.tunnel(`127.0.0.1:${echo.port}`);
    const ready = await run(["healthcheck", "--sidecar", at(proxy)]);
    expect(ready).toMatchObject({ code: 0, printed: '{"ready":true}\n' });
    void proxy.daemon.drain();
    const draining = await run(["healthcheck", "--sidecar", at(proxy)]);
    expect(draining).toMatchObject({ code: 1, printed: '{"ready":false,"reason":"draining"}\n' });
  });

  test("finds the sidecar in the configuration, and in the environment", async () => {
    await using proxy = await startProxy();
    const port = proxy.daemon.sidecar?.port ?? 0;
    await using folder = await makeFolder({ "proxy.config.json": { sidecar: { port, host: "0.0.0.0", token: "x" } } });
    expect((await run(["healthcheck"], { folder: folder.path })).code).toBe(0);
    const elsewhere = { PENSTOCK_SIDECAR_PORT: String(port) };
    expect((await run(["healthcheck"], { variables: elsewhere })).code).toBe(0);
  });

  test("asks a proxy that runs on while the file on disk cannot be used any more", async () => {
    await using proxy = await startProxy();
    const sidecar = { port: proxy.daemon.sidecar?.port ?? 0, token: { file: "gone" } };
    await using folder = await makeFolder({ "proxy.config.json": { sidecar, rules: "none" } });
    expect((await run(["healthcheck"], { folder: folder.path })).code).toBe(0);
    await folder.write({ "proxy.config.json": "{" });
    expect((await run(["healthcheck", "--sidecar", at(proxy)], { folder: folder.path })).code).toBe(0);
    const elsewhere = { PENSTOCK_SIDECAR_PORT: String(sidecar.port) };
    expect((await run(["healthcheck"], { folder: folder.path, variables: elsewhere })).code).toBe(0);
  });

  test("finds a Unix socket", async () => {
    await using folder = await makeFolder({ "proxy.config.json": { sidecar: { unix: "side.sock" } } });
    await using _ = await startProxy({ sidecar: { unix: `${folder.path}/side.sock` } });
    expect((await run(["healthcheck"], { folder: folder.path })).code).toBe(0);
  });

  test("says so when there is nothing to ask, and nobody who answers", async () => {
    expect((await run(["healthcheck"])).told[0]).toStartWith("There is no sidecar to ask.");
    expect((await run(["healthcheck", "--sidecar", "127.0.0.1:0"])).told[0]).toContain('"sidecar.port" is 0');
    const nobody = await run(["healthcheck", "--sidecar", "127.0.0.1:1"]);
    expect(nobody.code).toBe(1);
    expect(nobody.told[0]).toStartWith("Cannot reach the sidecar at http://127.0.0.1:1: ");
    await using folder = await makeFolder({ "proxy.config.json": { sidecar: { port: "x" } } });
    expect((await run(["healthcheck"], { folder: folder.path })).code).toBe(78);
  });
});
