import { expect, test } from "bun:test";
import { chmod } from "node:fs/promises";
import { runCli } from "../../src/cli/run-cli.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const FILE = '#!/bin/sh\necho "penstock 0.2.0 (a script)"\n';

/** Upgrades to the file that is there already, beside a sidecar that answers so. */
async function upgradeAgain(answers: Readonly<Record<string, () => Response>>, ...more: readonly string[]) {
  await using folder = await makeFolder({
    penstock: FILE,
    new: FILE,
    "proxy.config.json": { sidecar: { unix: "s.sock", token: "t0ken" } },
  });
  const { path } = folder;
  await chmod(`${path}/penstock`, 0o755);
  const asked: string[] = [];
  await using _ = Bun.serve({
    unix: `${path}/s.sock`,
    fetch({ method, url }) {
      const name = `${method} ${new URL(url).pathname}`;
      asked.push(name);
      return answers[name]?.() ?? new Response(null, { status: 404 });
    },
  });
  const io = createFakeIo({ folder: path, variables: { PATH: process.env["PATH"] } });
  const args = ["upgrade", "--executable", "penstock", "--from", "new", "--insecure-unsigned", ...more];
  const code = await runCli(args, io);
  return { code, asked, told: io.told.join("\n").replaceAll(path, "."), printed: io.printed() };
}

const runs = (version: string) => ({ "GET /status": () => Response.json({ version, pid: 1 }) });
const handsOver = { "POST /handover": () => Response.json({ pid: 2 ** 30, version: "0.2.0" }) };

test("a proxy that still runs another version hands over to a file that needs no replacement", async () => {
  const { code, asked, told } = await upgradeAgain({ ...runs("0.1.0"), ...handsOver });
  expect([code, asked]).toEqual([0, ["GET /status", "POST /handover"]]);
  expect(told).toEndWith(
    `./penstock is this very file: nothing to replace. The running proxy is Penstock 0.1.0, and not 0.2.0.\nHanded over to process ${2 ** 30} (Penstock 0.2.0).`,
  );
  const { printed } = await upgradeAgain({ ...runs("0.1.0"), ...handsOver }, "--json");
  expect(JSON.parse(printed)).toMatchObject({ ok: true, replaced: false, handedOver: { version: "0.2.0" } });
});

test("there is nothing to do for a proxy that runs this version", async () => {
  const { code, asked, told } = await upgradeAgain({ ...runs("0.2.0"), ...handsOver });
  expect([code, asked]).toEqual([0, ["GET /status"]]);
  expect(told).toEndWith("./penstock is this very file. Nothing to do.");
});

test("a proxy that does not say its version, or does not hand over, is a failure", async () => {
  const silent = await upgradeAgain({ "GET /status": () => Response.json({ detail: "No." }, { status: 403 }) });
  expect([silent.code, silent.asked]).toEqual([1, ["GET /status"]]);
  expect(silent.told).toEndWith(
    "Which version the proxy runs is not known (403): No. To have it run the file: penstock handover",
  );
  const busy = { "POST /handover": () => Response.json({ detail: "The proxy is shutting down." }, { status: 409 }) };
  const refused = await upgradeAgain({ ...runs("0.1.0"), ...busy });
  expect([refused.code, refused.asked]).toEqual([1, ["GET /status", "POST /handover"]]);
  expect(refused.told).toEndWith("No hand-over (409): The proxy is shutting down.");
});

test.each(["--dry-run", "--replace-only"])("with %s no proxy is asked", async (flag) => {
  const { code, asked, told } = await upgradeAgain({ ...runs("0.1.0"), ...handsOver }, flag);
  expect([code, asked]).toEqual([0, []]);
  expect(told).toEndWith(
    "nothing to replace. A running proxy goes on with the file that it was started from until its next start.",
  );
});
