import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { allowLoopback, basic, startProxy, waitFor } from "../support/proxy.ts";
import { connectRaw, listenEcho, type RawServer } from "../support/raw-peer.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

let echo: RawServer;
beforeAll(() => {
  echo = listenEcho();
});
afterAll(() => echo[Symbol.dispose]());

const target = () => `127.0.0.1:${echo.port}`;

describe("reload.endDenied", () => {
  test("ends the tunnels that the new rules deny, and no others", async () => {
    await using proxy = await startProxy({
      users: [
        { name: "ann", password: "pw" },
        { name: "ben", password: "pw" },
      ],
    });
    const { peer: ann } = await proxy.tunnel(target(), basic("ann", "pw"));
    const { peer: ben } = await proxy.tunnel(target(), basic("ben", "pw"));
    await proxy.reload({
      users: [
        { name: "ann", password: "pw" },
        { name: "ben", password: "pw" },
      ],
      rules: [{ name: "no-ben", users: ["ben"], deny: true }, allowLoopback],
      reload: { endDenied: true },
    });
    await ben.untilEnd();
    expect(await proxy.record()).toMatchObject({ user: "ben", end: "denied" });
    ann.write("still here");
    await ann.untilText("still here");
    ann[Symbol.dispose]();
    expect(proxy.messages).toContain("Ended 1 tunnel that the new rules deny.");
  });

  test("asks a slow function about some tunnels at a time", async () => {
    await using proxy = await startProxy();
    const peers = await Promise.all(Array.from({ length: 40 }, async () => (await proxy.tunnel(target())).peer));
    const { promise: several, resolve } = Promise.withResolvers<void>();
    let [running, most] = [0, 0];
    const decide = async () => {
      running += 1;
      most = Math.max(most, running);
      if (running === 32) resolve();
      await several;
      running -= 1;
      return { deny: true } as const;
    };
    await proxy.reload({ rules: decide, reload: { endDenied: true } });
    await Promise.all(peers.map((peer) => peer.untilEnd()));
    expect(most).toBe(32);
    await waitFor(() => proxy.messages.includes("Ended 40 tunnels that the new rules deny."), "the message");
    for (const peer of peers) peer[Symbol.dispose]();
  });

  test("ends no tunnel because a list of what is denied has no content yet", async () => {
    await using proxy = await startProxy();
    const { peer } = await proxy.tunnel(target());
    const url = `http://127.0.0.1:${await reserveClosedPort()}/list.txt`;
    await proxy.reload({
      rules: [{ name: "blocked", to: [{ url }], deny: true }, allowLoopback],
      reload: { endDenied: true },
    });
    peer.write("still here");
    await peer.untilText("still here");
    peer[Symbol.dispose]();
    using newcomer = await connectRaw(proxy.port);
    newcomer.write(`CONNECT ${target()} HTTP/1.1\r\nHost: ${target()}\r\n\r\n`);
    await newcomer.untilEnd();
    const records = await waitFor(() => proxy.records.length >= 2 && proxy.records, "both records");
    expect(records.find((record) => record["status"] === 403)).toMatchObject({ detail: "list_unavailable" });
    expect(records.filter(({ end }) => end === "denied")).toEqual([]);
  });

  test("ends tunnels of clients that may not connect any more", async () => {
    await using proxy = await startProxy();
    const { peer } = await proxy.tunnel(target());
    await proxy.reload({ clients: ["192.0.2.0/24"], reload: { endDenied: true } });
    await peer.untilEnd();
    expect(await proxy.record()).toMatchObject({ end: "denied" });
  });
});
