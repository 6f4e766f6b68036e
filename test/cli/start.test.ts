import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { askInVain, openTunnel } from "../support/ask-tunnel.ts";
import { findExecutable } from "../support/build-executable.ts";
import { runExecutable, startExecutable } from "../support/executable.ts";
import { readMessage, runProgram } from "../support/program.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const onFreePort = ["--listen", "127.0.0.1:0"];

/** A rule named after the format that sets it, so that the record tells whether the file was read. */
function makeConfig(rule: string) {
  return { listen: ["127.0.0.1:0"], rules: [{ name: rule, to: ["127.0.0.1"], allowPrivate: true }] };
}

const formats: { file: string; text: string }[] = [
  {
    file: "proxy.config.ts",
    text: `import { defineConfig } from "penstock";
export default defineConfig(${JSON.stringify(makeConfig("proxy.config.ts"))});
`,
  },
  { file: "proxy.config.json", text: JSON.stringify(makeConfig("proxy.config.json")) },
  {
    file: "proxy.config.yaml",
    text: `# Written by hand.
listen: ["127.0.0.1:0"]
rules:
  - name: proxy.config.yaml
    to: ["127.0.0.1"]
    allowPrivate: true
`,
  },
  {
    file: "proxy.config.toml",
    text: `listen = ["127.0.0.1:0"]

[[rules]]
name = "proxy.config.toml"
to = ["127.0.0.1"]
allowPrivate = true
`,
  },
];

describe("the executable, started", () => {
  test("serves on loopback from an empty folder with no configuration, and writes nothing there", async () => {
    await using folder = await makeFolder();
    await using proxy = await startExecutable({ cwd: folder.path, args: onFreePort });
    expect(proxy.told.join("\n")).toContain("No configuration file: the defaults hold.");
    expect(proxy.told.join("\n")).toContain(`Listening on 127.0.0.1:${proxy.port}.`);
    const answer = await askInVain(proxy.port, "127.0.0.1:1");
    expect(answer).toStartWith("HTTP/1.1 403 ");
    expect(answer).toContain("destination_ip_prohibited");
    expect(await Array.fromAsync(new Bun.Glob("**").scan({ cwd: folder.path, dot: true, onlyFiles: false }))).toEqual(
      [],
    );
  });

  test("takes port 8080 of loopback when nothing says otherwise, or says that it is taken", async () => {
    await using folder = await makeFolder();
    // Somebody else's server may have the port.
    const { told } = await startOrFail(folder.path);
    expect(told).toMatch(/Listening on 127\.0\.0\.1:8080\.|Cannot listen on 127\.0\.0\.1:8080: the port is in use\./);
  });

  test.each(formats)("reads $file with nothing beside it", async ({ file, text }) => {
    await using folder = await makeFolder({ [file]: text });
    using echo = listenEcho();
    await using proxy = await startExecutable({ cwd: folder.path });
    expect(proxy.told.join("\n")).toContain(`Configuration from ${join(folder.path, file)}.`);
    using client = await openTunnel(proxy.port, `127.0.0.1:${echo.port}`);
    client.finish();
    expect(await proxy.record()).toMatchObject({ rule: file, status: 200 });
  });

  test("does not take a folder that it may not look into for one without a configuration", async () => {
    await using folder = await makeFolder({ "closed/proxy.config.json": { default: "deny" } });
    const closed = join(folder.path, "closed");
    // Root may look everywhere, so that somebody else has to try.
    const isRoot = process.getuid?.() === 0;
    const somebody = isRoot ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : [];
    await chmod(closed, isRoot ? 0o700 : 0o600);
    const executable = await findExecutable();
    const enter = isRoot ? { cwd: closed } : { cwd: folder.path };
    const args = isRoot ? [] : ["--config", join(closed, "proxy.config.json")];
    const { code, stderr } = await runProgram([somebody, executable, "check", args], enter);
    await chmod(closed, 0o700);
    expect([code, stderr]).toEqual([78, expect.stringContaining("the permission is missing")]);
  });

  test("calls functions of a TypeScript file that has types of its own", async () => {
    await using folder = await makeFolder({
      "proxy.config.ts": `import { defineConfig, env } from "penstock";
import { allowed } from "./allowed.ts";
const users = async (name: string, password: string): Promise<boolean> => allowed.has(name) && password === "secret";
export default defineConfig({
  listen: ["127.0.0.1:0"],
  users,
  upstreams: { corp: { url: "http://127.0.0.1:1", username: "edge", password: env("CORP_PASSWORD") } },
});
`,
      "allowed.ts": `export const allowed: ReadonlySet<string> = new Set(["ann"]);\n`,
    });
    await using proxy = await startExecutable({ cwd: folder.path, env: { CORP_PASSWORD: "upstream-secret" } });
    const ask = (credentials: string) => askInVain(proxy.port, "127.0.0.1:1", credentials);
    expect(await ask("ann:secret")).toStartWith("HTTP/1.1 403 ");
    expect(await ask("ben:secret")).toStartWith("HTTP/1.1 407 ");
  });

  test("is not touched by what else lies in its folder", async () => {
    await using folder = await makeFolder({
      ".env": "PENSTOCK_LISTEN=127.0.0.9:0\nPENSTOCK_TYPO=1\n",
      ".env.local": "PENSTOCK_OPEN=true\n",
      ".env.production": "PENSTOCK_OPEN=true\n",
      "bunfig.toml": 'preload = ["./preload.ts"]\n[run]\nbun = true\n',
      "preload.ts": 'await Bun.write("preloaded", "yes");\n',
      "node_modules/penstock/package.json": { name: "penstock", main: "index.js" },
      "node_modules/penstock/index.js": 'throw new Error("The wrong penstock");\n',
      "package.json": { name: "penstock", type: "commonjs", imports: { "#x": "./x.js" } },
      "tsconfig.json": { compilerOptions: { paths: { "*": ["./nowhere/*"] } } },
      "proxy.config.ts": `import { defineConfig } from "penstock";
export default defineConfig({ listen: ["127.0.0.1:0"] });
`,
    });
    await using proxy = await startExecutable({ cwd: folder.path });
    expect(proxy.told.join("\n")).toContain(`Listening on 127.0.0.1:${proxy.port}.`);
    expect(existsSync(join(folder.path, "preloaded"))).toBe(false);
    expect((await runExecutable(["check"], { cwd: folder.path })).stdout).toContain('"open": false');
  });

  test("exits with 1 and names the setting when the port is taken", async () => {
    await using folder = await makeFolder();
    using taken = listenEcho();
    const listener = await runExecutable(["--listen", `127.0.0.1:${taken.port}`], { cwd: folder.path });
    expect(listener.code).toBe(1);
    expect(listener.stderr).toContain(
      `Cannot listen on 127.0.0.1:${taken.port}: the port is in use. Stop what uses it, or set "listen" (--listen) to another.`,
    );
    const sidecar = await runExecutable([...onFreePort, "--sidecar", `127.0.0.1:${taken.port}`], { cwd: folder.path });
    expect(sidecar.code).toBe(1);
    expect(sidecar.stderr).toContain(`Cannot start the sidecar on 127.0.0.1:${taken.port}: the port is in use.`);
    expect(sidecar.stderr).toContain('"sidecar.port"');
  });

  test("refuses to be an open proxy, unless it is told to be one", async () => {
    await using folder = await makeFolder();
    const refused = await runExecutable(["--listen", "0.0.0.0:0"], { cwd: folder.path });
    expect(refused.code).toBe(78);
    expect(refused.stdout).toBe("");
    expect(refused.stderr.split("\n").map(readMessage).join("\n")).toBe(
      'Cannot use the configuration:\n  listen[0] (from --listen): Cannot bind 0.0.0.0:0: the listener has no users. Set "users", or "open: true" to run an open proxy.\n',
    );
    await using proxy = await startExecutable({
      cwd: folder.path,
      args: ["--listen", "0.0.0.0:0"],
      env: { PENSTOCK_OPEN: "true" },
    });
    expect(proxy.told.join("\n")).toContain("This is an open proxy.");
  });
});

async function startOrFail(cwd: string): Promise<{ told: string }> {
  try {
    await using proxy = await startExecutable({ cwd });
    return { told: proxy.told.join("\n") };
  } catch (error) {
    return { told: String(error) };
  }
}
