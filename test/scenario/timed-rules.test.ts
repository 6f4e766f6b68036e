import { afterEach, expect, setSystemTime, test } from "bun:test";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { startProxy } from "../support/proxy.ts";
import { runCli } from "../../src/cli/run-cli.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { listenEcho } from "../support/raw-peer.ts";

afterEach(() => {
  setSystemTime();
});

const loopback = ["127.0.0.0/8"];

test("a rule with hours holds for requests of a kept connection that begin within them", async () => {
  using origin = serveHttp(() => ok("ok"));
  await using proxy = await startProxy({
    rules: [{ name: "office", to: loopback, allowPrivate: true, hours: "Mon-Fri 08:00-18:00 Europe/Berlin" }],
    default: "deny",
  });
  using peer = await proxy.connect();
  // A Friday, in winter. The second request and those after it take the short path.
  for (const [at, status] of [
    ["2026-11-27T16:59:00Z", "200"],
    ["2026-11-27T16:59:30Z", "200"],
    ["2026-11-27T16:59:59Z", "200"],
    ["2026-11-27T17:00:00Z", "403"],
  ] as const) {
    setSystemTime(new Date(at));
    peer.write(ask("GET", origin.uri()));
    const { head } = await takeResponse(peer);
    expect(head).toStartWith(`HTTP/1.1 ${status} `);
  }
});

test("a rule that denies in some hours refuses requests of a kept connection from then on", async () => {
  using origin = serveHttp(() => ok("ok"));
  await using proxy = await startProxy({
    rules: [
      { name: "night", to: loopback, deny: true, hours: ["Fri 22:00-06:00 UTC"] },
      { name: "usual", to: loopback, allowPrivate: true, until: "2027-01-01" },
    ],
    default: "deny",
  });
  using peer = await proxy.connect();
  for (const [request, [at, status, rule]] of (
    [
      ["2026-11-28T06:00:00Z", "200", "usual"],
      ["2026-11-28T21:59:59Z", "200", "usual"],
      ["2026-12-04T22:00:00Z", "403", "night"],
    ] as const
  ).entries()) {
    setSystemTime(new Date(at));
    peer.write(ask("GET", origin.uri()));
    const { head } = await takeResponse(peer);
    expect(head).toStartWith(`HTTP/1.1 ${status} `);
    expect(await proxy.record(request)).toMatchObject({ rule });
  }
});

test("an open tunnel stays open when its rule ends", async () => {
  using echo = listenEcho();
  await using proxy = await startProxy({
    rules: [{ to: loopback, allowPrivate: true, until: "2026-11-28" }],
    default: "deny",
  });
  setSystemTime(new Date("2026-11-28T23:59:59Z"));
  const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
  expect(head).toStartWith("HTTP/1.1 200 ");
  setSystemTime(new Date("2026-11-29T00:00:00Z"));
  peer.write("still");
  await peer.untilText("still");
  const { head: refused } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
  expect(refused).toStartWith("HTTP/1.1 403 ");
  peer[Symbol.dispose]();
});

test("explain says what holds at a time, and check warns of a rule that has ended", async () => {
  await using folder = await makeFolder({
    "proxy.config.json": JSON.stringify({
      rules: [
        { name: "office", to: ["192.0.2.0/24"], allowPrivate: true, hours: "Mon-Fri 08:00-18:00 Europe/Berlin" },
        { name: "past", to: ["old.example"], allow: true, until: "2026-01-01" },
      ],
      default: "deny",
    }),
  });
  const run = async (...args: string[]) => {
    const io = createFakeIo({ folder: folder.path });
    const code = await runCli([...args], io);
    return { code, told: io.told.join("\n"), printed: io.printed() };
  };
  const inside = await run("explain", "192.0.2.1:443", "--at", "2026-11-27T17:59 Europe/Berlin");
  expect(inside.printed).toContain("2026-11-27T16:59:00.000Z");
  expect(inside.printed).toMatch(/rule: +office/);
  expect((await run("explain", "192.0.2.1:443", "--at", "2026-11-27T18:00 Europe/Berlin")).printed).toMatch(
    /rule: +default/,
  );
  const wrong = await run("explain", "192.0.2.1:443", "--at", "2026-11-27");
  expect([wrong.code, wrong.told]).toEqual([2, expect.stringContaining("is no time with its zone")]);
  expect((await run("check")).told).toContain("rules[1].until: The rule ended at 2026-01-02T00:00:00.000Z");
});
