import { describe, expect, test } from "bun:test";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { findExecutable } from "../support/build-executable.ts";
import { runExecutable, startExecutable } from "../support/executable.ts";
import { startFamily } from "../support/proxy-family.ts";
import { connectRaw, listenEcho, type RawPeer } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

const TIMEOUT_MS = 120_000;
const READER = { PENSTOCK_SIDECAR_TOKEN: "may-read" };
const OPERATOR = { PENSTOCK_SIDECAR_TOKEN: "may-operate" };

async function connectTo(port: number, target: string): Promise<RawPeer> {
  const peer = await connectRaw(port);
  peer.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  return peer;
}

describe("penstock approvals", () => {
  test(
    "answers with a token that may operate; ten minutes go to the next process, and always outlives a restart",
    async () => {
      await using upstream = await startConnectUpstream();
      using echo = listenEcho();
      await using folder = await makeFolder({
        "proxy.config.json": {
          listen: ["127.0.0.1:0"],
          upstreams: { corp: `http://127.0.0.1:${upstream.port}` },
          rules: [{ name: "others", ask: true, via: "corp" }],
          default: "deny",
          state: { folder: "state" },
          sidecar: {
            unix: "s.sock",
            tokens: [
              { name: "reader", token: "may-read", may: ["read"] },
              { name: "ops", token: "may-operate", may: ["read", "operate"] },
            ],
          },
        },
      });
      const run = (args: readonly string[], env: Record<string, string> = OPERATOR) =>
        runExecutable([...args, "--sidecar", "unix:s.sock"], { cwd: folder.path, env });
      const findId = (target: string) =>
        waitFor(async () => {
          const { stdout } = await run(["approvals", "--json"], READER);
          const { approvals } = JSON.parse(stdout) as { approvals: { id: string; target: string; waiting: number }[] };
          return approvals.find((each) => each.target === target && each.waiting > 0)?.id;
        }, `the question for ${target}`);
      const [timed, kept] = [`timed.example:${echo.port}`, `kept.example:${echo.port}`];
      {
        await using family = await startFamily(folder, [await findExecutable()]);
        const { port } = family;
        using one = await connectTo(port, timed);
        const id = await findId(timed);
        const refused = await run(["approvals", "approve", id], READER);
        expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('The token "reader" may read.')]);
        expect((await run(["approvals", "approve", id, "--for", "10m"])).code).toBe(0);
        await one.untilText("\r\n\r\n");
        expect(one.text).toStartWith("HTTP/1.1 200 ");
        using two = await connectTo(port, kept);
        expect((await run(["approvals", "approve", await findId(kept), "--for", "always"])).code).toBe(0);
        await two.untilText("\r\n\r\n");

        using waits = await connectTo(port, "waits.example:443");
        await findId("waits.example:443");
        const handed = await run(["handover"]);
        expect([handed.code, handed.stderr]).toEqual([0, expect.any(String)]);
        // Nobody could answer it in the old process: the client asks again.
        await waits.untilEnd();
        expect(waits.text).toStartWith("HTTP/1.1 503 ");
        using again = await connectTo(port, timed);
        await again.untilText("\r\n\r\n");
        expect(again.text).toStartWith("HTTP/1.1 200 ");
      }
      const path = join(folder.path, "state/approvals.txt");
      expect(((await stat(path)).mode & 0o777).toString(8)).toBe("600");
      expect(await Bun.file(path).text()).toContain(`\n${kept}  # asked by client 127.0.0.1, allowed by ops, `);
      await using restarted = await startExecutable({ cwd: folder.path });
      using last = await connectTo(restarted.port, kept);
      await last.untilText("\r\n\r\n");
      expect(last.text).toStartWith("HTTP/1.1 200 ");
      using forgotten = await connectTo(restarted.port, timed);
      await findId(timed);
      expect(forgotten.text).toBe("");
    },
    TIMEOUT_MS,
  );
});
