import { describe, expect, test } from "bun:test";
import { findExecutable } from "../support/build-executable.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { runExecutable, startExecutable } from "../support/executable.ts";
import { startProgram } from "../support/program.ts";
import { connectRaw, listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const TIMEOUT_MS = 120_000;
const env = { PENSTOCK_SIDECAR_TOKEN: "t0ken" };

/** The status line of a CONNECT; a tunnel is closed again. */
async function connectTo(port: number, target: string): Promise<string> {
  using peer = await connectRaw(port);
  peer.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  await peer.untilText("\r\n\r\n");
  peer.finish();
  await peer.untilEnd();
  return peer.text.slice(0, peer.text.indexOf("\r\n"));
}

describe("penstock learn", () => {
  test.each([
    ["upstream", (upstream: string) => ({ upstream })],
    ["a named upstream", (corp: string) => ({ upstreams: { corp }, default: "corp" })],
  ])(
    "writes rules of what report mode let through by %s, which allow it and refuse the rest",
    async (_, route) => {
      await using upstream = await startConnectUpstream();
      using echo = listenEcho();
      const ways: Record<string, unknown> = route(`http://127.0.0.1:${upstream.port}`);
      const base = { listen: ["127.0.0.1:0"], ...ways, log: { access: "json" }, sidecar: { port: 0, token: "t0ken" } };
      await using folder = await makeFolder({
        "proxy.config.json": { ...base, mode: "report", rules: [{ name: "closed", deny: true }] },
      });
      const seen = ["a", "b", "c"].map((label) => `${label}.cdn.example.org:${echo.port}`);
      let live = "";
      {
        await using proxy = await startExecutable({ cwd: folder.path });
        expect(proxy.told[0]).toContain("THE RULES REFUSE NOTHING");
        const place = ["--sidecar", await proxy.sidecarUrl()];
        await using watching = startProgram([await findExecutable(), "learn", "--live", "20s", ...place], {
          cwd: folder.path,
          env,
        });
        await watching.untilTold("Watching.");
        for (const target of seen) expect(await connectTo(proxy.port, target)).toStartWith("HTTP/1.1 200 ");
        expect(await connectTo(proxy.port, `169.254.169.254:${echo.port}`)).toContain(" 403 ");
        await watching.untilTold("Requests: 3; different ones: 3; open tunnels: 0.");
        watching.signal("SIGINT");
        expect(await watching.exited).toBe(0);
        live = watching.stdout;
        await proxy.record(({ target }) => target === `169.254.169.254:${echo.port}`);
        await folder.write({ "access.log": proxy.stdout });
      }
      const learn = (...args: string[]) =>
        runExecutable(["learn", "--from", "access.log", ...args], { cwd: folder.path, env });
      const { stdout: written } = await learn();
      expect(written).toContain("# Not learned: 1 refused request.\n");
      const rulesOf = (text: string): string => text.slice(text.indexOf("\nrules:"));
      expect(rulesOf(live)).toBe(rulesOf(written));
      expect((await learn("--review")).stdout).toContain(
        `  *.cdn.example.org:${echo.port}  generalised from 3 names, 3 requests, would be refused by closed\n`,
      );
      const learned = JSON.parse((await learn("--format", "json")).stdout) as object;
      const { default: _default, ...enforced } = base as typeof base & { default?: string };
      await folder.write({ "proxy.config.json": { ...enforced, ...learned } });
      const checked = await runExecutable(["check", "--quiet"], { cwd: folder.path });
      expect([checked.code, checked.stderr]).toEqual([0, ""]);
      await using proxy = await startExecutable({ cwd: folder.path });
      for (const target of seen) expect(await connectTo(proxy.port, target)).toStartWith("HTTP/1.1 200 ");
      for (const target of [`other.example.org:${echo.port}`, `a.cdn.example.org:443`, `169.254.169.254:${echo.port}`])
        expect([target, await connectTo(proxy.port, target)]).toEqual([target, expect.stringContaining(" 403 ")]);
      expect(upstream.asked).toEqual([...seen, ...seen]);
    },
    TIMEOUT_MS,
  );

  test(
    "learns a tunnel that is open when the time is over, and none that was refused for what it held",
    async () => {
      await using upstream = await startConnectUpstream();
      using echo = listenEcho();
      await using folder = await makeFolder({
        "proxy.config.json": {
          listen: ["127.0.0.1:0"],
          upstreams: { corp: `http://127.0.0.1:${upstream.port}` },
          rules: [{ name: "only-tls", via: "corp", protocols: ["tls"] }],
          default: "deny",
          sidecar: { port: 0, token: "t0ken" },
        },
      });
      await using proxy = await startExecutable({ cwd: folder.path });
      await using watching = startProgram(
        [await findExecutable(), "learn", "--live", "20s", "--sidecar", await proxy.sidecarUrl()],
        { cwd: folder.path, env },
      );
      await watching.untilTold("Watching.");
      using peer = await connectRaw(proxy.port);
      peer.write(`CONNECT a.example.org:${echo.port} HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n`);
      await peer.untilEnd();
      using open = await connectRaw(proxy.port);
      open.write(`CONNECT b.example.org:${echo.port} HTTP/1.1\r\nHost: x\r\n\r\n`);
      await open.untilText("\r\n\r\n");
      await watching.untilTold("Requests: 0; different ones: 0; open tunnels: 1.");
      watching.signal("SIGINT");
      expect(await watching.exited).toBe(0);
      expect(watching.stdout).toContain(`"b.example.org:${echo.port}"`);
      expect(watching.stdout).not.toContain("a.example.org");
      expect(watching.told).toContain("Not learned: 1 refused request.");
    },
    TIMEOUT_MS,
  );
});
