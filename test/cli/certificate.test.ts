import { describe, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { X509Certificate } from "node:crypto";
import { runExecutable } from "../support/executable.ts";
import { makeFolder } from "../support/temporary-folder.ts";

describe("penstock cert", () => {
  test("makes an authority and a certificate in an empty folder, and signs again with the same one", async () => {
    await using folder = await makeFolder({});
    const read = async (file: string) => new X509Certificate(await readFile(join(folder.path, file)));
    const first = await runExecutable(["cert", "proxy.test", "127.0.0.1"], { cwd: folder.path });
    expect({ code: first.code, told: first.stderr.split("\n")[0] }).toEqual({
      code: 0,
      told: "Made an authority: ca.pem. Keep its key, ca.key, to yourself.",
    });
    expect(first.stdout).toContain("--proxy-cacert ca.pem");
    const authority = await read("ca.pem");
    const second = await runExecutable(["cert", "proxy.test"], { cwd: folder.path });
    expect({ code: second.code, stderr: second.stderr }).toEqual({
      code: 0,
      stderr: expect.stringMatching(/^Wrote fullchain\.pem and privkey\.pem for proxy\.test, valid until .*\.\n$/),
    });
    expect((await read("fullchain.pem")).verify(authority.publicKey)).toBe(true);
  });
});
