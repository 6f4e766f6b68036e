import { describe, expect, test } from "bun:test";
import { runCli } from "../../src/cli/run-cli.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { startProxy } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

/** Runs `penstock trace --format json`: what it told, and the reason of its failure. */
async function trace(...args: string[]) {
  const io = createFakeIo();
  await runCli(["trace", "--format", "json", ...args], io);
  const json = JSON.parse(io.printed() || "{}") as { readonly failure?: { readonly text: string } };
  return { told: io.told, json };
}

describe("penstock trace", () => {
  test("does not write over a file, and asks nobody before it can write", async () => {
    let asked = 0;
    await using folder = await makeFolder({ "old.txt": "old" });
    using origin = listenRaw(() => void asked++);
    const io = createFakeIo({ folder: folder.path });
    const args = ["trace", `http://127.0.0.1:${origin.port}/`, "--timeout", "100ms", "-o"];
    expect(await runCli([...args, "old.txt"], io)).toBe(1);
    expect(await runCli([...args, "none/new.txt"], io)).toBe(1);
    expect(io.told).toEqual([
      expect.stringContaining("old.txt: it is there already. Choose another name, or replace it with --force."),
      expect.stringContaining("none/new.txt: there is no such folder."),
    ]);
    expect([asked, await folder.read("old.txt")]).toEqual([0, "old"]);
    await runCli([...args, "old.txt", "--force"], io);
    expect(await folder.read("old.txt")).toContain("127.0.0.1");
  });

  test("says that a server speaks no TLS, or speaks it, and what to try", async () => {
    using plain = listenRaw((peer) => peer.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const inClear = await trace(`https://127.0.0.1:${plain.port}/a`);
    expect(inClear.json.failure?.text).toBe(`The server does not speak TLS. Try http://127.0.0.1:${plain.port}/a`);
    const proxy = await trace("https://localhost:1/", "--proxy", `https://127.0.0.1:${plain.port}`);
    expect(proxy.json.failure?.text).toBe(`The proxy does not speak TLS. Try --proxy http://127.0.0.1:${plain.port}`);
    using secure = listenRaw((peer) => {
      peer.write(Uint8Array.of(0x15, 3, 1, 0, 2, 2, 70));
      peer.finish();
    });
    const encrypted = await trace(`http://127.0.0.1:${secure.port}/a`);
    expect(encrypted.json.failure?.text).toBe(`The server speaks TLS. Try https://127.0.0.1:${secure.port}/a`);
  });

  test.each(["http", "socks5"])("says that a %s proxy wants a user, and how to write one", async (kind) => {
    await using proxy = await startProxy({ users: [{ name: "ci", password: "secret" }] });
    const { json } = await trace("https://localhost:1/", "--proxy", `${kind}://127.0.0.1:${proxy.port}`);
    expect(json.failure?.text).toBe(`The proxy wants a user: --proxy ${kind}://USER:PASSWORD@127.0.0.1:${proxy.port}`);
  });

  test("says of a file with roots that it is not there", async () => {
    expect((await trace("https://localhost:1/", "--ca", "nope.pem")).told).toEqual([
      'Cannot use --ca "nope.pem": there is no such file or folder.',
    ]);
  });
});
