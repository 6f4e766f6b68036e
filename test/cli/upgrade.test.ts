import { describe, expect, setDefaultTimeout } from "bun:test";
import { chmod, copyFile, readdir, readFile, readlink, stat, symlink, writeFile } from "node:fs/promises";
import { version } from "../../src/version.ts";
import { openTunnel } from "../support/ask-tunnel.ts";
import { findExecutable } from "../support/build-executable.ts";
import { makeAuthority } from "../support/certificate-authority.ts";
import { needs } from "../support/needs.ts";
import { writeVersion } from "../support/next-version.ts";
import { expectProgram, type Ran, runProgram } from "../support/program.ts";
import { Clients, startFamily, TOKEN, writeConfig } from "../support/proxy-family.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder, type TemporaryFolder } from "../support/temporary-folder.ts";

// Executables of 120 MB are copied and started.
setDefaultTimeout(300_000);

const withMinisign = needs("minisign");
const withSsh = needs("ssh-keygen");
const NEXT = "9.1.0";
const present = `penstock ${version} (`;
const next = `penstock ${NEXT} (`;

/** A folder with the executable, a next version of it, and a configuration. */
async function makeStand(config = writeConfig()): Promise<TemporaryFolder> {
  const folder = await makeFolder(config);
  await copyFile(await findExecutable(), `${folder.path}/penstock`);
  await writeVersion(`${folder.path}/new`, NEXT);
  return folder;
}

async function signWithSsh({ path }: TemporaryFolder, name = "new"): Promise<void> {
  if (!(await Bun.file(`${path}/key.pub`).exists()))
    await expectProgram(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", `${path}/key`]);
  await expectProgram(["ssh-keygen", "-q", "-Y", "sign", "-f", `${path}/key`, "-n", "file", `${path}/${name}`]);
}

function upgrade({ path }: TemporaryFolder, ...args: readonly string[]): Promise<Ran> {
  return runProgram([`${path}/penstock`, "upgrade", ...args], { cwd: path, env: TOKEN });
}

async function readVersion({ path }: TemporaryFolder): Promise<string> {
  return expectProgram([`${path}/penstock`, "version"]);
}

describe("penstock upgrade", () => {
  withMinisign("replaces the executable under load, and no tunnel and no client notices", async () => {
    await using folder = await makeStand();
    const { path } = folder;
    const secret = ["-s", `${path}/k.key`];
    await expectProgram(["minisign", "-G", "-W", "-p", `${path}/k.pub`, ...secret]);
    await expectProgram(["minisign", "-Sm", `${path}/new`, "-t", "Penstock 9.1.0", ...secret]);
    await chmod(`${path}/penstock`, 0o751);
    using echo = listenEcho();
    await using family = await startFamily(folder, [`${path}/penstock`]);
    using tunnel = await openTunnel(family.port, `127.0.0.1:${echo.port}`);
    await using clients = new Clients(family.port, echo.port, 4);
    await clients.untilServed(20);

    const { code, stdout, stderr } = await upgrade(folder, "--from", "new", "--key", "k.pub", "--json");
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      executable: `${path}/penstock`,
      replaced: true,
      version: { before: version, after: NEXT },
      previous: `${path}/penstock.previous`,
      handedOver: { pid: family.pids[1], version: NEXT },
    });
    await clients.untilServed(20);
    tunnel.write("still here");
    await tunnel.untilText("still here");
    expect(await readVersion(folder)).toStartWith(next);
    expect((await stat(`${path}/penstock`)).mode & 0o777).toBe(0o751);

    const back = await upgrade(folder, "--rollback");
    expect([back.code, back.stderr]).toEqual([0, expect.stringContaining(`(Penstock ${version}).`)]);
    await clients.untilServed(20);
    tunnel.write(" and here");
    await tunnel.untilText(" and here");
    expect(clients.failures).toEqual([]);
    expect(await readVersion(folder)).toStartWith(present);
    expect(await readlink(`/proc/${family.pids[2]}/exe`)).toBe(`${path}/penstock`);
    expect((await readdir(path)).filter((name) => name.startsWith(".penstock"))).toEqual([]);
  });

  withSsh("takes back the old executable when the proxy does not hand over", async () => {
    await using folder = await makeStand();
    await signWithSsh(folder);
    await using server = Bun.serve({
      unix: `${folder.path}/s.sock`,
      fetch: () => Response.json({ detail: "The proxy is shutting down." }, { status: 409 }),
    });
    const before = await stat(`${folder.path}/penstock`);
    const { code, stderr } = await upgrade(folder, "--from", "new", "--key", "key.pub");
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining(
        `No hand-over (409): The proxy is shutting down. ${folder.path}/penstock is as it was before.\n`,
      ),
    ]);
    expect((await stat(`${folder.path}/penstock`)).ino).toBe(before.ino);
    expect((await readdir(folder.path)).filter((name) => name.includes("penstock"))).toEqual(["penstock"]);
    expect(server.pendingRequests).toBe(0);
  });

  withSsh("refuses what was changed since it was signed, and takes what nobody signed only when told so", async () => {
    await using folder = await makeStand();
    const { path } = folder;
    await signWithSsh(folder);
    await writeFile(`${path}/changed`, Buffer.concat([await readFile(`${path}/new`), Buffer.from("\0")]));
    const signed = ["--key", "key.pub", "--signature", "new.sig"];
    expect(await upgrade(folder, "--from", "changed", ...signed)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("new.sig does not belong to these bytes."),
    });
    expect(await readVersion(folder)).toStartWith(present);
    await folder.write({ SHA256SUMS: await expectProgram(["sha256sum", "new"], { cwd: path }) });
    const trusting = ["--insecure-unsigned", "--sha256", "SHA256SUMS"];
    expect(await upgrade(folder, "--from", "new", ...trusting)).toMatchObject({ code: 0 });
    expect(await readVersion(folder)).toStartWith(next);
    expect(await upgrade(folder, "--from", "new", ...trusting)).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("is this very file. Nothing to do."),
    });
  });

  withSsh("refuses what does not run here, does not take the configuration, or is older", async () => {
    await using folder = await makeStand();
    const { path } = folder;
    const refused = async (args: readonly string[], code: number, message: string): Promise<void> => {
      const ran = await upgrade(folder, "--insecure-unsigned", ...args);
      expect([ran.code, ran.stderr]).toEqual([code, expect.stringContaining(message)]);
      expect(await readVersion(folder)).toStartWith(present);
      expect((await readdir(path)).filter((name) => name.includes("penstock"))).toEqual(["penstock"]);
    };
    await writeFile(`${path}/cut`, (await readFile(`${path}/new`)).subarray(0, 5_000_000));
    await refused(["--from", "cut"], 1, "The executable does not start");
    await writeVersion(`${path}/old`, "0.0.9");
    await refused(["--from", "old"], 1, `0.0.9 is older than ${version}, which is in use.`);
    await refused(["--from", "new", "--dry-run"], 0, "--dry-run: nothing was replaced.");
    await folder.write({ "bad.json": { rules: [{ to: [], nonsense: 1 }] } });
    await refused(
      ["--from", "new", "--config", "bad.json", "--replace-only"],
      78,
      "cannot use the present configuration",
    );
    expect(await upgrade(folder, "--from", "old", "--insecure-unsigned", "--allow-downgrade")).toMatchObject({
      code: 0,
    });
    expect(await readVersion(folder)).toStartWith("penstock 0.0.9 (");
  });

  withSsh("takes a file from a URL, and replaces the file behind a link", async () => {
    await using folder = await makeStand();
    const { path } = folder;
    await using authority = await makeAuthority();
    const { cert, key } = await authority.issue();
    await signWithSsh(folder);
    await folder.write({ "ca.pem": authority.cert });
    await using server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert, key },
      fetch(request) {
        const { pathname } = new URL(request.url);
        if (pathname === "/clear") return Response.redirect("http://127.0.0.1:1/new");
        if (pathname === "/moved") return Response.redirect("/new");
        return new Response(Bun.file(`${path}${pathname}`));
      },
    });
    const origin = `https://localhost:${server.port}`;
    const args = ["--key", "key.pub", "--ca", "ca.pem", "--executable", "link"];
    await symlink("penstock", `${path}/link`);
    expect(await upgrade(folder, "--from", `${origin}/clear`, ...args)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("/clear redirects from TLS to clear text."),
    });
    expect(await upgrade(folder, "--from", `${origin}/new`, "--key", "key.pub")).toMatchObject({ code: 1 });
    const from = `${origin}/moved?token=s3cret`;
    const done = await upgrade(folder, "--from", from, "--signature", `${origin}/new.sig`, ...args);
    expect(done).toMatchObject({ code: 0 });
    expect(done.stderr).not.toContain("s3cret");
    expect(await readVersion(folder)).toStartWith(next);
    expect(await readlink(`${path}/link`)).toBe("penstock");
  });
});
