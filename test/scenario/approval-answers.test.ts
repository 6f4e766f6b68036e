import { describe, expect, test } from "bun:test";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { answerQuestion, asking, connectAsking, findQuestion, listApprovals, statusOf } from "../support/approvals.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { startProxy, waitFor } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

describe("an answer of an operator", () => {
  test("holds ten minutes for the user, over a reload, and the connection is asked about again each time", async () => {
    await using upstream = await startConnectUpstream();
    using echo = listenEcho();
    const config = asking(upstream);
    await using proxy = await startProxy(config);
    const target = `new.example:${echo.port}`;
    using first = await connectAsking(proxy, target);
    await answerQuestion(proxy, (await findQuestion(proxy, target)).id, { allow: true, for: "10m" });
    expect(await statusOf(first)).toBe("200");
    await proxy.reload({ ...config, timeouts: { ask: "90s" } });
    using second = await connectAsking(proxy, target);
    expect(await statusOf(second)).toBe("200");
    using bob = await connectAsking(proxy, target, "bob");
    expect((await findQuestion(proxy, target)).user).toBe("bob");
    const { answers } = await listApprovals(proxy);
    expect(answers).toMatchObject([{ user: "ann", target, allow: true, for: "10m", by: "sidecar.token" }]);
    expect(bob.text).toBe("");
  });

  test("names the target of an absolute name as the question does: in its answer, in the list and in the event", async () => {
    await using upstream = await startConnectUpstream();
    using echo = listenEcho();
    await using proxy = await startProxy(asking(upstream));
    const target = `new.example:${echo.port}`;
    const events = await proxy.ask("/events?type=approval");
    using ann = await connectAsking(proxy, `New.Example.:${echo.port}`);
    const { id } = await findQuestion(proxy, target);
    expect(await (await answerQuestion(proxy, id, { allow: true, for: "10m" })).json()).toMatchObject({ target });
    expect(await statusOf(ann)).toBe("200");
    expect((await listApprovals(proxy)).answers).toMatchObject([{ target }]);
    let told = "";
    for await (const bytes of events.body ?? []) {
      told += Buffer.from(bytes).toString();
      if (told.includes('"answered"')) break;
    }
    expect(told.split(`"target":"${target}"`)).toHaveLength(3);
  });

  test("always adds the target to a file that is a list, for its own user alone, and people can change it", async () => {
    await using folder = await makeFolder();
    await using upstream = await startConnectUpstream();
    using echo = listenEcho();
    const path = join(folder.path, "allowed.txt");
    await using proxy = await startProxy(asking(upstream, { approvals: { list: path } }));
    const target = `new.example:${echo.port}`;
    using ann = await connectAsking(proxy, target);
    using bob = await connectAsking(proxy, target, "bob");
    const { id } = await waitFor(
      async () => (await listApprovals(proxy)).approvals.find(({ user }, _, all) => user === "ann" && all.length === 2),
      "both questions",
    );
    expect(await (await answerQuestion(proxy, id, { allow: true, for: "always" })).json()).toMatchObject({
      released: 2,
    });
    expect([await statusOf(ann), await statusOf(bob)]).toEqual(["200", "200"]);
    const text = await Bun.file(path).text();
    expect(text).toContain(`\n${target}  # asked by user ann, allowed by sidecar.token, 20`);
    expect(((await stat(path)).mode & 0o777).toString(8)).toBe("600");
    using again = await connectAsking(proxy, target, "bob");
    expect(await statusOf(again)).toBe("200");
    // What is wrong with it leaves what held before, and is told.
    await Bun.write(path, `${text}not a target at all\n`);
    using third = await connectAsking(proxy, target);
    expect(await statusOf(third)).toBe("200");
    expect(proxy.messages.filter((message) => message.includes(path))).toHaveLength(1);
    await Bun.write(path, "# nothing\n");
    using last = await connectAsking(proxy, target);
    await findQuestion(proxy, target);
    expect(last.text).toBe("");
  });

  test("of many that come at once each is told when it takes effect, and those that are cut off have none", async () => {
    await using folder = await makeFolder();
    await using upstream = await startConnectUpstream();
    const path = join(folder.path, "allowed.txt");
    await using proxy = await startProxy(asking(upstream, { approvals: { list: path, max: 100, maxPerClient: 100 } }));
    // A connection that was kept goes first when others come: also when its next request comes with them.
    await listApprovals(proxy);
    await using stack = new AsyncDisposableStack();
    for (let count = 0; count < 60; count += 1) stack.use(await connectAsking(proxy, `host${count}.example:443`));
    const open = await waitFor(async () => {
      const { approvals } = await listApprovals(proxy);
      return approvals.length === 60 && approvals;
    }, "60 questions");
    const told = await Promise.all(
      open.map(async ({ id, target }) => {
        const answer = await answerQuestion(proxy, id, { allow: true, for: "always" }).catch(() => undefined);
        return answer?.status === 200 ? [target] : [];
      }),
    );
    const lines = (await Bun.file(path).text()).split("\n").slice(1, -1);
    expect(lines.map((line) => line.split(" ")[0] ?? "").sort()).toEqual(told.flat().sort());
    expect(lines.length).toBeGreaterThanOrEqual(1);
    const left = new Set((await listApprovals(proxy)).approvals.map(({ target }) => target));
    expect(told.flat().filter((target) => left.has(target))).toEqual([]);
    expect(left.size).toBe(60 - lines.length);
  });

  test("always is refused where there is no file, and what is not an answer is told", async () => {
    await using upstream = await startConnectUpstream();
    await using proxy = await startProxy(asking(upstream));
    using peer = await connectAsking(proxy, "new.example:443");
    const { id } = await findQuestion(proxy, "new.example:443");
    const tries: [unknown, number][] = [
      [{ allow: true, for: "always" }, 409],
      [{ allow: false, for: "always" }, 400],
      [{ allow: "yes" }, 400],
      [{ allow: true, for: "1h" }, 400],
      [{ allow: true, more: 1 }, 400],
      ["{", 400],
      ["", 400],
      [" ".repeat(2000), 400],
      [" ".repeat(100_000), 413],
    ];
    for (const [body, status] of tries) expect((await answerQuestion(proxy, id, body)).status).toBe(status);
    expect((await answerQuestion(proxy, "nothing", { allow: true })).status).toBe(404);
    expect((await proxy.ask("/approvals", "POST")).status).toBe(405);
    await findQuestion(proxy, "new.example:443");
    expect(peer.text).toBe("");
    expect((await answerQuestion(proxy, id, { allow: false })).status).toBe(200);
    await peer.untilEnd();
    expect(peer.text).not.toContain("Retry-After");
    expect((await answerQuestion(proxy, id, { allow: false })).status).toBe(404);
  });

  test("is waited for all the same when the webhook that is told fails, which the operator learns", async () => {
    const bodies: unknown[] = [];
    await using upstream = await startConnectUpstream();
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        bodies.push([request.headers.get("x-key"), await request.json()]);
        return new Response("no", { status: 500 });
      },
    });
    await using proxy = await startProxy(
      asking(upstream, {
        approvals: { notify: { url: `http://127.0.0.1:${server.port}/`, headers: { "x-key": "k3y" } } },
      }),
    );
    using peer = await connectAsking(proxy, "new.example:443");
    const { id } = await findQuestion(proxy, "new.example:443");
    const told = await waitFor(
      () => proxy.messages.find((message) => message.includes("approvals.notify")),
      "what the operator is told",
    );
    expect(told).toBe(
      "The webhook of approvals.notify answered with 500. The question is at the sidecar all the same.",
    );
    expect(bodies).toMatchObject([["k3y", { id, user: "ann", host: "new.example", port: 443, rule: "others" }]]);
    expect(peer.text).toBe("");
    await server.stop(true);
  });
});
