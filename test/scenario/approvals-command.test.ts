import { describe, expect, test } from "bun:test";
import { runCli } from "../../src/cli/run-cli.ts";
import { asking, connectAsking, findQuestion, statusOf } from "../support/approvals.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { startProxy, type TestProxy, waitFor } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";

/** Runs `penstock approvals` against the sidecar of a proxy. */
async function run(proxy: TestProxy, ...args: string[]) {
  const io = createFakeIo({ variables: { PENSTOCK_SIDECAR_TOKEN: "scenario-token" } });
  const sidecar = `http://127.0.0.1:${proxy.daemon.sidecar?.port}`;
  const code = await runCli(["approvals", ...args, "--sidecar", sidecar], io);
  return { code, printed: io.printed(), told: io.told };
}

describe("penstock approvals", () => {
  test("lists what waits in 80 columns, answers it, and lists the answers that hold", async () => {
    await using upstream = await startConnectUpstream();
    using echo = listenEcho();
    await using proxy = await startProxy(asking(upstream));
    expect(await run(proxy)).toEqual({ code: 0, printed: "", told: ["Nothing waits for an operator."] });
    const target = `new.example:${echo.port}`;
    const long = `${"x".repeat(60)}.example:443`;
    using ann = await connectAsking(proxy, target);
    using bob = await connectAsking(proxy, long, "bob");
    const [{ id }, other] = await Promise.all([findQuestion(proxy, target), findQuestion(proxy, long)]);
    const listed = await run(proxy);
    const lines = listed.printed.split("\n");
    expect(lines[0]).toBe("ID       WHO                TARGET                         RULE         AGE WAIT");
    expect(lines[1]).toMatch(new RegExp(`^${id} ann +${target.replaceAll(".", "\\.")} +others +\\S+ +1$`));
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    const json = JSON.parse((await run(proxy, "--json")).printed) as object;
    expect(json).toMatchObject({ approvals: [{ id }, { id: other.id, target: long }], answers: [], always: false });

    expect(await run(proxy, "approve", id, "--for", "10m")).toEqual({
      code: 0,
      printed: "",
      told: [`Allowed ${target} for 10 minutes (1 connection).`],
    });
    expect(await statusOf(ann)).toBe("200");
    const denied = await run(proxy, "deny", other.id, "--json");
    expect(JSON.parse(denied.printed)).toEqual([
      { id: other.id, target: long, allow: false, for: "once", released: 1 },
    ]);
    expect(await statusOf(bob)).toBe("403");
    const after = await run(proxy);
    expect(after.told).toEqual(["Nothing waits for an operator."]);
    expect(after.printed).toMatch(new RegExp(`\\n${id} ann +new\\.example:\\d+ +allow 10m +\\S+\\n$`));

    const gone = await run(proxy, "approve", other.id);
    expect([gone.code, gone.told]).toEqual([
      1,
      [
        "The sidecar refused (404): There is no question of that id: it may be answered, or too old. It may be of an older version.",
      ],
    ]);
  });

  test("prints each question once as it comes with --watch", async () => {
    await using upstream = await startConnectUpstream();
    await using proxy = await startProxy(asking(upstream));
    using one = await connectAsking(proxy, "one.example:443");
    await findQuestion(proxy, "one.example:443");
    const io = createFakeIo({ variables: { PENSTOCK_SIDECAR_TOKEN: "scenario-token" } });
    const sidecar = `http://127.0.0.1:${proxy.daemon.sidecar?.port}`;
    const watching = runCli(["approvals", "--watch", "--json", "--sidecar", sidecar], io);
    await waitFor(() => io.printed().includes("one.example"), "the first one");
    using two = await connectAsking(proxy, "two.example:443");
    await waitFor(() => io.printed().includes("two.example"), "the second one");
    io.signal("SIGINT");
    expect(await watching).toBe(0);
    const targets = io
      .printed()
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { target: string }).target);
    expect(targets).toEqual(["one.example:443", "two.example:443"]);
    expect([one.text, two.text]).toEqual(["", ""]);
  });

  test.each([
    [["allow", "x"], 'Found "allow". Write approve ID, deny ID, or nothing for the list.'],
    [["approve"], 'Missing the id after approve. "penstock approvals" lists them.'],
    [["approve", "x", "--for", "1h"], '--for is "1h". Wanted is once, 10m or always.'],
    [
      ["deny", "x", "--for", "always"],
      "Nothing is denied for always here. Deny for 10m, and write a rule that denies.",
    ],
    [["--for", "10m"], "Found --for without approve ID or deny ID."],
    [["approve", "x", "--watch"], "Found --watch beside approve. Leave one of them out."],
  ])("refuses %p", async (args, message) => {
    const io = createFakeIo({});
    expect(await runCli(["approvals", ...args], io)).toBe(2);
    expect(io.told).toEqual([message]);
  });
});
