import { describe, expect, test } from "bun:test";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { askInVain, openTunnel } from "../support/ask-tunnel.ts";
import { runExecutable, startExecutable } from "../support/executable.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const token = { Authorization: "Bearer of-the-sidecar" };

const config = {
  listen: ["127.0.0.1:0"],
  rules: [{ name: "lab", to: ["127.0.0.1"], allowPrivate: true }],
  sidecar: { port: 0, token: "of-the-sidecar" },
};

describe("the executable's sidecar", () => {
  test("lists the tunnels and ends one by its id", async () => {
    await using folder = await makeFolder({ "proxy.config.json": config });
    using echo = listenEcho();
    await using proxy = await startExecutable({ cwd: folder.path });
    const sidecar = await proxy.sidecarUrl();
    using doomed = await openTunnel(proxy.port, `127.0.0.1:${echo.port}`);
    doomed.write("12345");
    await doomed.untilText("12345");
    using other = await openTunnel(proxy.port, `127.0.0.1:${echo.port}`);

    const listed = (await (await fetch(`${sidecar}/tunnels`, { headers: token })).json()) as {
      tunnels: Record<string, unknown>[];
    };
    expect(listed.tunnels).toHaveLength(2);
    const entry = listed.tunnels.find((tunnel) => tunnel["bytes_down"] === 5);
    expect(entry).toMatchObject({ target: `127.0.0.1:${echo.port}`, rule: "lab", route: "direct", bytes_up: 5 });
    const kill = () => fetch(`${sidecar}/tunnels/${String(entry?.["id"])}`, { method: "DELETE", headers: token });
    expect((await kill()).status).toBe(204);
    await doomed.untilEnd();
    expect(await proxy.record()).toMatchObject({ id: entry?.["id"], end: "killed" });
    expect((await kill()).status).toBe(404);
    other.write("unharmed");
    await other.untilText("unharmed");
  });

  test("is asked directly, whatever proxy the environment names: the token is for nobody else", async () => {
    await using folder = await makeFolder({ "proxy.config.json": config });
    await using proxy = await startExecutable({ cwd: folder.path });
    const heard: string[] = [];
    using other = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: ({ url, headers }) => {
        heard.push(`${url} ${headers.get("authorization") ?? ""}`);
        return new Response("{}");
      },
    });
    const named = `http://127.0.0.1:${other.port}`;
    const env = {
      http_proxy: named,
      HTTP_PROXY: named,
      https_proxy: named,
      HTTPS_PROXY: named,
      PENSTOCK_SIDECAR_TOKEN: "of-the-sidecar",
    };
    const sidecar = await proxy.sidecarUrl();
    const run = (...args: string[]) => runExecutable(args, { cwd: folder.path, env });
    const healthy = await run("healthcheck", "--sidecar", new URL(sidecar).host);
    expect([healthy.code, healthy.stdout]).toEqual([0, '{"ready":true}\n']);
    const reloaded = await run("reload", "--sidecar", sidecar);
    expect([reloaded.code, heard]).toEqual([0, []]);
    const taken = JSON.stringify({
      ...config,
      sidecar: { port: Number(new URL(sidecar).port), token: "of-the-sidecar" },
    });
    await folder.write({ "second.json": taken });
    const second = await run("serve", "--config", "second.json");
    expect([second.code, heard]).toEqual([1, []]);
  });

  test("tells strangers about health and nothing else", async () => {
    await using folder = await makeFolder({ "proxy.config.json": config });
    await using proxy = await startExecutable({ cwd: folder.path });
    const sidecar = await proxy.sidecarUrl();
    const ask = async (path: string, headers: Record<string, string>) =>
      (await fetch(`${sidecar}${path}`, { headers })).status;
    for (const path of ["/config", "/metrics", "/tunnels"]) {
      expect(await ask(path, {})).toBe(401);
      expect(await ask(path, { Authorization: "Bearer wrong" })).toBe(401);
      expect(await ask(path, { ...token, Host: "rebound.example" })).toBe(403);
      expect(await ask(path, token)).toBe(200);
    }
    expect(await ask("/healthz", {})).toBe(200);
    expect(await ask("/readyz", {})).toBe(200);
  });

  test("listens on a Unix socket that only its owner may use, and takes it away at the end", async () => {
    await using folder = await makeFolder({
      "proxy.config.json": { ...config, sidecar: { unix: "control.sock", token: "of-the-sidecar" } },
    });
    const unix = join(folder.path, "control.sock");
    await using proxy = await startExecutable({ cwd: folder.path });
    expect(await proxy.untilTold("Sidecar on ")).toBe(`Sidecar on unix:${unix}.`);
    expect((await stat(unix)).mode & 0o777).toBe(0o600);
    const answer = await fetch("http://localhost/config", { unix, headers: token });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ sidecar: { unix: "control.sock" } });
    proxy.signal("SIGTERM");
    expect(await proxy.exited).toBe(0);
    expect(await Bun.file(unix).exists()).toBe(false);
  });

  test("takes over the Unix socket that a killed process left behind", async () => {
    await using folder = await makeFolder({ "proxy.config.json": { ...config, sidecar: { unix: "control.sock" } } });
    const unix = join(folder.path, "control.sock");
    await using killed = await startExecutable({ cwd: folder.path });
    await killed.untilTold("Sidecar on ");
    killed.signal("SIGKILL");
    await killed.exited;
    await using next = await startExecutable({ cwd: folder.path });
    await next.untilTold("Sidecar on ");
    expect((await fetch("http://localhost/healthz", { unix })).status).toBe(200);
  });
});

describe("the executable's secrets", () => {
  test("show in no output, no configuration, no metric, no tunnel and no answer", async () => {
    const secrets = ["of-the-user", "of-the-upstream", "of-the-sidecar", "of-the-list", "guessed"];
    const hash = await Bun.password.hash("of-the-list", { algorithm: "bcrypt", cost: 4 });
    await using folder = await makeFolder({
      "proxy.config.json": {
        ...config,
        users: [
          { name: "ann", password: "of-the-user" },
          { name: "ben", password: hash },
        ],
        upstreams: { corp: { url: "http://127.0.0.1:1", username: "edge", password: { env: "CORP_PASSWORD" } } },
        rules: [
          { name: "lab", to: ["127.0.0.1:1-65534"], allowPrivate: true },
          { name: "parent", to: ["127.0.0.1:65535"], allowPrivate: true, via: "corp" },
        ],
      },
    });
    using echo = listenEcho();
    await using proxy = await startExecutable({ cwd: folder.path, env: { CORP_PASSWORD: "of-the-upstream" } });
    const sidecar = await proxy.sidecarUrl();
    using client = await openTunnel(proxy.port, `127.0.0.1:${echo.port}`, "ann:of-the-user");
    const answers = [
      await askInVain(proxy.port, "127.0.0.1:1", "ann:guessed"),
      await askInVain(proxy.port, "127.0.0.1:65535", "ben:of-the-list"),
      await askInVain(proxy.port, "user:guessed@127.0.0.1:1", "ann:of-the-user"),
    ];
    expect(answers.map((answer) => answer.split(" ")[1])).toEqual(["407", "502", "400"]);
    const pages = await Promise.all(
      ["/config", "/metrics", "/tunnels", "/readyz"].map(async (path) =>
        (await fetch(`${sidecar}${path}`, { headers: token })).text(),
      ),
    );
    client.finish();
    await client.untilEnd();
    proxy.signal("SIGTERM");
    await proxy.exited;

    expect(proxy.records).toHaveLength(4);
    const everything = [...answers, ...pages, proxy.stdout, ...proxy.told].join("\n");
    for (const secret of [...secrets, hash]) {
      expect(everything).not.toContain(secret);
      expect(everything).not.toContain(btoa(secret));
    }
    // The pages are about this proxy, or the absence of secrets would mean nothing.
    expect(everything).toContain('"edge"');
    expect(everything).toContain("penstock_");
  });
});
