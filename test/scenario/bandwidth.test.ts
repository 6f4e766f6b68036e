import { describe, expect, test } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { ask, takeResponse } from "../support/http-origin.ts";
import { allowLoopback, basic, startProxy, type TestProxy, waitFor } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";

/** So little that what is under way waits for as long as a test runs. */
const SLOW = "1KiB/s";
const MANY = 400_000;

/** The limits that tunnels and requests wait for at the moment. */
async function listWaiting(proxy: TestProxy): Promise<(string | undefined)[]> {
  const answer = await proxy.ask("/tunnels");
  const { tunnels } = (await answer.json()) as { tunnels: { limit?: string }[] };
  return tunnels.map(({ limit }) => limit);
}

/** Waits until the only tunnel or request waits for this limit. */
async function untilWaiting(proxy: TestProxy, limit: string): Promise<void> {
  await waitFor(async () => (await listWaiting(proxy))[0] === limit, `a wait for ${limit}`);
}

const engines: [string, PenstockConfig][] = [
  ["in the relay", { splice: "off" }],
  ["in a lane", { spliceAfter: "1B" }],
];

describe.each(engines)("a tunnel %s", (_engine, config) => {
  test("waits for the limit of its rule, which a reload lifts, sets again and lifts again", async () => {
    using server = listenRaw();
    const limited = { ...config, rules: [{ ...allowLoopback, bandwidth: { down: SLOW } }] };
    const free = { ...config, rules: [allowLoopback] };
    await using proxy = await startProxy(limited);
    const { peer } = await proxy.tunnel(`127.0.0.1:${server.port}`);
    const target = await server.next();
    target.write("x");
    await peer.untilReceived(peer.receivedBytes + 1);
    const before = peer.receivedBytes - 1;
    target.write(Buffer.alloc(MANY, 7));
    await untilWaiting(proxy, "rules.bandwidth");
    // The other direction goes on.
    peer.write("up");
    await target.untilText("up");
    expect(peer.receivedBytes - before).toBeLessThan(MANY / 2);
    await proxy.reload(free);
    await peer.untilReceived(before + MANY + 1);
    await proxy.reload(limited);
    target.write(Buffer.alloc(MANY, 7));
    await untilWaiting(proxy, "rules.bandwidth");
    await proxy.reload(free);
    await peer.untilReceived(before + 2 * MANY + 1);
    peer.finish();
    target.finish();
    expect(await proxy.record()).toMatchObject({ end: "closed", bytes_down: 2 * MANY + 1, bytes_up: 2 });
    expect(await proxy.metrics()).toMatch(/penstock_parked_seconds_total\{limit="rules.bandwidth"\} [0-9.]*[1-9]/);
  });

  test("comes under a limit that a reload adds", async () => {
    using server = listenRaw();
    await using proxy = await startProxy(config);
    const { peer } = await proxy.tunnel(`127.0.0.1:${server.port}`);
    const target = await server.next();
    target.write(Buffer.alloc(MANY, 7));
    await peer.untilReceived(MANY);
    await proxy.reload({ ...config, limits: { perClient: { bandwidth: SLOW } } });
    // What is on its way to the lane or out of it is not limited yet.
    await waitFor(async () => {
      target.write(Buffer.alloc(MANY, 7));
      return (await listWaiting(proxy))[0] === "perClient.bandwidth";
    }, "the limit");
    peer.reset();
    expect((await proxy.record())["end"]).toBe("client_reset");
  });

  test("is ended while it waits, by an operator and by a client that is gone", async () => {
    using server = listenRaw();
    await using proxy = await startProxy({ ...config, limits: { bandwidth: SLOW } });
    for (const end of ["killed", "client_reset"]) {
      const { peer } = await proxy.tunnel(`127.0.0.1:${server.port}`);
      const target = await server.next();
      target.write(Buffer.alloc(MANY, 7));
      await untilWaiting(proxy, "bandwidth");
      if (end === "killed") await proxy.ask(`/tunnels?client=127.0.0.1`, "DELETE");
      else peer.reset();
      await target.untilEnd();
      await waitFor(() => proxy.records.at(-1)?.["end"] === end, `the record of a tunnel that was ${end}`);
    }
  });
});

/** Another limit than the one before, under which what is under way comes anew. */
const FAST = { limits: { perClient: { bandwidth: "1GB/s" } } };

describe("forwarded bodies", () => {
  test("wait for the limit of their user on the way down, and go on to their end once it is lifted", async () => {
    using server = listenRaw();
    const users = [{ name: "alice", password: "correct horse battery", limits: { bandwidth: { down: SLOW } } }];
    await using proxy = await startProxy({ users, timeouts: { idle: "300ms" } });
    using client = await proxy.connect();
    const login = basic("alice", "correct horse battery");
    const fields = Object.entries(login).map(([name, value]) => `${name}: ${value}\r\n`);
    client.write(ask("GET", `http://127.0.0.1:${server.port}/`, fields.join("")));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    origin.write(`HTTP/1.1 200 OK\r\nContent-Length: ${MANY}\r\n\r\n${"b".repeat(MANY)}`);
    await untilWaiting(proxy, "perUser.bandwidth");
    // It still waits after two tunnels in turn have ended because they were idle.
    for (let ended = 0; ended < 2; ended += 1) {
      const { peer } = await proxy.tunnel(`127.0.0.1:${server.port}`, login);
      await peer.untilEnd();
    }
    expect([client.end, client.receivedBytes < MANY / 2]).toEqual(["open", true]);
    await proxy.reload({
      ...FAST,
      users: [{ name: "alice", password: "correct horse battery" }],
      timeouts: { idle: "5m" },
    });
    expect((await takeResponse(client)).body).toHaveLength(MANY);
    expect(await proxy.record(2)).toMatchObject({ method: "GET", status: 200 });
  });

  test("wait on the way up, and the origin gets all of them in the end", async () => {
    using server = listenRaw();
    const slow = { limits: { bandwidth: { up: SLOW } } };
    await using proxy = await startProxy(slow);
    using client = await proxy.connect();
    client.write(ask("POST", `http://127.0.0.1:${server.port}/`, `Content-Length: ${MANY}\r\n`) + "b".repeat(MANY));
    const origin = await server.next();
    await untilWaiting(proxy, "bandwidth");
    expect(origin.receivedBytes).toBeLessThan(MANY / 2);
    await proxy.reload(FAST);
    await origin.untilReceived(MANY);
    origin.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    expect((await takeResponse(client)).body).toBe("ok");
  });
});

test("users get what each of them may use: one three times as much as the other", async () => {
  using server = listenRaw();
  const make = (name: string, bandwidth: string) => ({
    name,
    password: "correct horse battery",
    limits: { bandwidth },
  });
  await using proxy = await startProxy({ users: [make("one", "1MB/s"), make("three", "3MB/s")] });
  const open = async (user: string) => {
    const { peer } = await proxy.tunnel(`127.0.0.1:${server.port}`, basic(user, "correct horse battery"));
    const target = await server.next();
    target.write(Buffer.alloc(20_000_000, 7));
    return { peer, before: peer.receivedBytes };
  };
  const [one, three] = [await open("one"), await open("three")];
  await three.peer.untilReceived(three.before + 6_000_000);
  expect((three.peer.receivedBytes - three.before) / (one.peer.receivedBytes - one.before)).toBeWithin(2.4, 3.6);
  for (const { peer } of [one, three]) peer.reset();
});
