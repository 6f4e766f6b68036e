import { describe, expect, test } from "bun:test";
import { rename, symlink } from "node:fs/promises";
import { join } from "node:path";
import { askInVain, openTunnel } from "../support/ask-tunnel.ts";
import { runExecutable, type ServingExecutable, startExecutable } from "../support/executable.ts";
import { ok, serveHttp } from "../support/http-origin.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

const TOKEN = "reload-test-token";
const config = (rules: readonly object[], more: object = {}) => ({
  listen: ["127.0.0.1:0"],
  sidecar: { unix: "s.sock", token: TOKEN },
  rules,
  ...more,
});
const allow = { name: "allow", to: ["127.0.0.1"], allowPrivate: true };
const deny = { name: "deny", to: ["127.0.0.1"], deny: true };
const needsRestart = 'spliceAfter: "1MiB" needs a restart. Until then "128KiB" stays in effect.';
const env = { PENSTOCK_SIDECAR_TOKEN: TOKEN };

const status = async (proxy: ServingExecutable, port: number) =>
  (await askInVain(proxy.port, `127.0.0.1:${port}`)).split(" ")[1];

describe("the executable", () => {
  test("reloads at SIGHUP, and a tunnel goes on", async () => {
    await using folder = await makeFolder({ "proxy.config.json": config([allow]) });
    using echo = listenEcho();
    await using proxy = await startExecutable({ cwd: folder.path });
    using client = await openTunnel(proxy.port, `127.0.0.1:${echo.port}`);
    await folder.write({ "proxy.config.json": config([deny]) });
    proxy.signal("SIGHUP");
    await proxy.untilTold("Reloaded.");
    expect(await status(proxy, echo.port)).toBe("403");
    client.write("still here");
    await client.untilText("still here");
  });

  test("reads a file in TypeScript and what it imports afresh, a thousand times without a leak", async () => {
    await using folder = await makeFolder({
      "proxy.config.ts": `import { rule, list } from "./rules.ts"; export default { listen: ["127.0.0.1:0"], rules: [rule, (target) => list.length > 0 && { deny: true }] };`,
      "rules.ts": `export const rule = { name: "n0", to: ["127.0.0.1"], deny: true };\nexport const list = Array.from({ length: 20_000 }, (_, at) => "a text " + at);`,
    });
    await using proxy = await startExecutable({ cwd: folder.path });
    const reload = async (round: number) => {
      const list = `export const list = Array.from({ length: 20_000 }, (_, at) => "a text " + at);`;
      await folder.write({
        "rules.ts": `export const rule = { name: "n${round}", to: ["127.0.0.1"], deny: true };\n${list}`,
      });
      proxy.signal("SIGHUP");
      await proxy.untilTold(`"n${round}"`);
    };
    for (let round = 1; round <= 100; round += 1) await reload(round);
    const before = await proxy.readRss();
    for (let round = 101; round <= 1000; round += 1) await reload(round);
    const grown = (await proxy.readRss()) - before;
    // Each version has about 1 MB. The heap takes some hundred reloads to find its size.
    expect(grown).toBeLessThan(150_000_000);
  }, 300_000);

  test("keeps the name in Via, by which it knows a loop, at a reload", async () => {
    using origin = serveHttp(() => ok("x"));
    await using folder = await makeFolder({ "proxy.config.json": config([allow]) });
    await using proxy = await startExecutable({ cwd: folder.path });
    const get = () => fetch(`http://127.0.0.1:${origin.port}/`, { proxy: `http://127.0.0.1:${proxy.port}` });
    await get();
    await folder.write({ "proxy.config.json": config([allow], { timeouts: { idle: "1m" } }) });
    await runExecutable(["reload", "--sidecar", "unix:s.sock"], { cwd: folder.path, env });
    await get();
    const [first, second] = origin.heads.map((head) => /^Via: .*$/m.exec(head)?.[0]);
    expect(first).toMatch(/^Via: 1\.1 penstock-[0-9a-f]{10}/);
    expect(second).toBe(first);
  });

  test("penstock reload prints what changed, and with 78 what is wrong", async () => {
    await using folder = await makeFolder({ "proxy.config.json": config([allow]) });
    await using proxy = await startExecutable({ cwd: folder.path });
    const reload = () => runExecutable(["reload", "--sidecar", "unix:s.sock"], { cwd: folder.path, env });
    await folder.write({ "proxy.config.json": config([allow], { timeouts: { idle: "1m" } }) });
    const diff = await runExecutable(["check", "--diff"], { cwd: folder.path, env });
    expect([diff.code, diff.stdout]).toEqual([0, 'timeouts.idle: "10m" → "1m"\n']);
    await folder.write({ "proxy.config.json": config([allow], { timeouts: { idle: "1m" }, spliceAfter: "1MiB" }) });
    const fixed = await runExecutable(["check", "--diff"], { cwd: folder.path, env });
    expect([fixed.code, fixed.stdout, fixed.stderr]).toEqual([0, diff.stdout, `Warning: ${needsRestart}\n`]);
    await folder.write({ "proxy.config.json": config([allow], { timeouts: { idle: "1m" } }) });
    const program = await runExecutable(["check", "--diff", "--json"], { cwd: folder.path, env });
    expect([program.code, program.stderr]).toEqual([0, ""]);
    expect(JSON.parse(program.stdout)).toMatchObject({ valid: true, problems: [], changes: [diff.stdout.trimEnd()] });
    const good = await reload();
    expect([good.code, good.stdout]).toEqual([0, 'timeouts.idle: "10m" → "1m"\n']);
    await folder.write({ "proxy.config.json": config([{ to: 5 }]) });
    const bad = await reload();
    expect(bad.code).toBe(78);
    expect(bad.stderr).toContain("rules[0].to");
    await proxy.untilTold("The one before stays in effect");
  });
});

describe("watch", () => {
  test("reloads when an editor renames a new file over the old one, and when a file that it names changes", async () => {
    const text = config([{ ...deny, name: "one" }], { watch: true, users: { file: "users" } });
    await using folder = await makeFolder({ "proxy.config.json": text, users: "" });
    await using proxy = await startExecutable({ cwd: folder.path });
    await folder.write({ next: config([{ ...deny, name: "two" }], { watch: true, users: { file: "users" } }) });
    await rename(join(folder.path, "next"), join(folder.path, "proxy.config.json"));
    await proxy.untilTold('"two"');
    await folder.write({ users: `ann:${await Bun.password.hash("pw", { algorithm: "bcrypt", cost: 4 })}\n` });
    await proxy.untilTold('file "users": other content');
    await folder.write({ "proxy.config.json": "{ broken" });
    await proxy.untilTold("The one before stays in effect");
    await folder.write({ "proxy.config.json": config([{ ...deny, name: "three" }], { watch: true }) });
    await proxy.untilTold('"three"');
  });

  test("reloads when the link of a ConfigMap leads to another folder", async () => {
    const text = (name: string) => JSON.stringify(config([{ ...deny, name }], { watch: true }));
    await using folder = await makeFolder({ "v1/proxy.config.json": text("one"), "v2/proxy.config.json": text("two") });
    const at = (name: string) => join(folder.path, name);
    await symlink("v1", at("..data"));
    await symlink("..data/proxy.config.json", at("proxy.config.json"));
    await using proxy = await startExecutable({ cwd: folder.path });
    await symlink("v2", at("..data_tmp"));
    await rename(at("..data_tmp"), at("..data"));
    await proxy.untilTold('"two"');
  });

  test("reloads when a module changes that a file in TypeScript imports from another folder", async () => {
    await using folder = await makeFolder({
      "proxy.config.ts": `import { name } from "./deep/name.ts"; export default { listen: ["127.0.0.1:0"], watch: true, rules: [{ name, to: ["127.0.0.1"], deny: true }] };`,
      "deep/name.ts": `export const name = "one";`,
    });
    await using proxy = await startExecutable({ cwd: folder.path });
    await folder.write({ "deep/name.ts": `export const name = "two";` });
    await proxy.untilTold('"two"');
    await folder.write({ "deep/name.ts": `export * from "./other.ts";`, "deep/other.ts": `export const name = ` });
    await proxy.untilTold("The one before stays in effect");
    await folder.write({ "deep/other.ts": `export const name = "three";` });
    await waitFor(() => proxy.told.some((line) => line.includes('"three"')), "the third");
  });
});
