import { expect } from "bun:test";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { findExecutable } from "../support/build-executable.ts";
import { needs } from "../support/needs.ts";
import { expectProgram, runProgram, startProgram } from "../support/program.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const root = join(import.meta.dir, "../..");

needs("npm", "node")(
  "the packages for npm install offline, run the executable with signals and exit codes, and have types and a module",
  async () => {
    await using folder = await makeFolder({
      "app/package.json": { name: "app", private: true, type: "module" },
      "app/app.ts": `import { defineConfig, env } from "penstock";\nexport default defineConfig({ users: [{ name: "ann", password: env("PW") }] });\n`,
      "app/wrong.ts": `import { defineConfig } from "penstock";\nexport default defineConfig({ listenn: ["8080"] });\n`,
      "app/app.js": `import { defineConfig, env } from "penstock";\nconsole.log(JSON.stringify(defineConfig({ x: env("PW") })));\n`,
      "app/proxy.config.json": { listen: ["127.0.0.1:0"] },
    });
    const target = `${process.platform}-${process.arch}`;
    const packer = [process.execPath, join(root, ".ci/package-npm.ts")];
    const packed = join(folder.path, "npm");
    const written = await runProgram([...packer, "--out", packed, `${target}=${await findExecutable()}`]);
    expect(written).toMatchObject({ code: 0, stdout: `${packed}/penstock\n${packed}/penstock-${target}\n` });
    const npm = {
      cwd: folder.path,
      env: { npm_config_cache: join(folder.path, "cache"), npm_config_update_notifier: "false", HOME: folder.path },
    };
    expect(await runProgram(["npm", "pack", "--offline", `${packed}/penstock`], npm)).toMatchObject({ code: 0 });
    // As npm packs it, but for the time that its compression takes.
    await expectProgram(["mv", `${packed}/penstock-${target}`, join(folder.path, "package")]);
    const tarball = join(folder.path, `penstock-${target}-${manifest.version}.tgz`);
    await expectProgram(["tar", "-I", "gzip -1", "-cf", tarball, "-C", folder.path, "package"]);
    const app = { ...npm, cwd: join(folder.path, "app") };
    const { version } = manifest;
    const tarballs = ["penstock", `penstock-${target}`].map((name) => `../${name}-${version}.tgz`);
    const installed = await runProgram(["npm", "install", "--offline", "--no-audit", "--no-fund", ...tarballs], app);
    expect(installed).toMatchObject({ code: 0 });

    const shown = await runProgram(["npx", "--offline", "penstock", "version"], app);
    expect(shown.stdout).toStartWith(`penstock ${version} (`);
    expect(shown.code).toBe(0);
    const launcher = join(app.cwd, "node_modules/.bin/penstock");
    expect((await runProgram([launcher, "check", "--config", "none.json"], app)).code).toBe(78);
    await using proxy = startProgram([launcher], app);
    await proxy.untilTold("Listening on ");
    proxy.signal("SIGTERM");
    expect(await proxy.exited).toBe(0);
    expect(proxy.told.some((message) => message.startsWith("SIGTERM: "))).toBe(true);

    const check = (file: string) =>
      runProgram([join(root, "node_modules/.bin/tsc"), "--noEmit", "--strict", "--module", "nodenext", file], app);
    expect(await check("app.ts")).toMatchObject({ code: 0, stdout: "" });
    expect((await check("wrong.ts")).stdout).toContain("listenn");
    expect((await runProgram(["node", "app.js"], app)).stdout).toBe('{"x":{"env":"PW"}}\n');
  },
);
