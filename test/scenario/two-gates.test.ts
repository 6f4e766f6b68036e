import { describe, expect, test } from "bun:test";
import type { Resolver } from "../../src/net/dns/resolver.ts";
import { compileForTest } from "../support/compile-for-test.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { openGate as open, type OpenGateOptions, type TestGate } from "../support/open-gate.ts";
import { allowLoopback, basic, waitFor } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";

type Engine = NonNullable<OpenGateOptions["sockets"]>;

function openGate(config: Parameters<typeof open>[0], sockets: Engine, resolver?: Resolver): TestGate {
  return open(config, { sockets, ...(resolver && { resolver }) });
}

const pairs: readonly (readonly [Engine, Engine])[] = [
  ["auto", "auto"],
  ["runtime", "runtime"],
  ["auto", "runtime"],
];

describe.each(pairs)("two gates in one process, driven by %s and %s,", (first, second) => {
  test("have users, rules and answers of their own", async () => {
    using echo = listenEcho();
    const target = `127.0.0.1:${echo.port}`;
    await using one = openGate({ users: [{ name: "ann", password: "one" }] }, first);
    await using two = openGate({ users: [{ name: "bob", password: "two" }], rules: [], default: "deny" }, second);
    const statuses = async (gate: TestGate) =>
      Promise.all(
        [basic("ann", "one"), basic("bob", "two"), basic("bob", "two")].map(
          async (fields) => (await gate.tunnel(target, fields)).status,
        ),
      );
    // What one gate knows of a password says nothing to the other one.
    expect(await statuses(one)).toEqual(["200", "407", "407"]);
    expect(await statuses(two)).toEqual(["407", "403", "403"]);
    expect(await statuses(one)).toEqual(["200", "407", "407"]);
    expect(one.gate.metrics.failures).toMatchObject({ credentials_wrong: 4, denied_by_default: 0 });
    expect(two.gate.metrics.failures).toMatchObject({ credentials_wrong: 1, denied_by_default: 2 });
  });

  test("count, list and record their own connections, and hold slots of their own", async () => {
    using echo = listenEcho();
    const target = `127.0.0.1:${echo.port}`;
    await using one = openGate({ limits: { connections: 1 } }, first);
    await using two = openGate({ limits: { connections: 2 } }, second);
    const held = [await one.tunnel(target), await two.tunnel(target), await two.tunnel(target)];
    expect(held.map(({ status }) => status)).toEqual(["200", "200", "200"]);
    expect([one, two].map(({ gate }) => [gate.live.size, gate.admission.connections])).toEqual([
      [1, 1],
      [2, 2],
    ]);
    expect((await one.tunnel(target)).status).toBe("429");
    expect([one, two].map(({ gate }) => gate.metrics.failures.too_many_connections)).toEqual([1, 0]);

    const [id] = one.gate.live.list(0).map((flow) => flow.id);
    expect(two.gate.live.kill({ id: id ?? "" })).toBe(0);
    expect(one.gate.live.kill({})).toBe(1);
    await held[0]?.peer.untilEnd();
    await waitFor(() => one.lines.some((line) => line["end"] === "killed"), "the record of the tunnel");
    expect([two.lines, two.gate.live.size]).toEqual([[], 2]);
  });

  test("keep names and connections to origins for their own clients", async () => {
    using left = serveHttp(() => ok("left"));
    using right = serveHttp(() => ok("right"));
    const table = (): Resolver => createFakeResolver({ "origin.test": ["127.0.0.1"] });
    await using one = openGate({}, first, table());
    await using two = openGate({ forward: { originIdle: "0" } }, second, table());
    const get = async (gate: TestGate, port: number): Promise<string> => {
      const peer = await gate.connect();
      peer.write(ask("GET", `http://origin.test:${port}/`));
      return (await takeResponse(peer)).body;
    };
    expect([await get(one, left.port), await get(two, right.port), await get(one, left.port)]).toEqual([
      "left",
      "right",
      "left",
    ]);
    expect([await get(two, left.port), await get(two, right.port)]).toEqual(["left", "right"]);
    // The connection that the first gate keeps is used again by its next client, and never by the second gate.
    expect([left.server.accepted.length, right.server.accepted.length]).toEqual([2, 2]);
    expect([one, two].map(({ gate }) => gate.forwarding.origins.size)).toEqual([1, 0]);
  });

  test("watch their own timers: what idles too long in one goes on in the other, and one outlives the other", async () => {
    using echo = listenEcho();
    const target = `127.0.0.1:${echo.port}`;
    await using lasting = openGate({ timeouts: { idle: "1h" } }, second);
    const { peer } = await lasting.tunnel(target);
    {
      await using passing = openGate({ timeouts: { idle: "200ms" } }, first);
      const idle = await passing.tunnel(target);
      await idle.peer.untilEnd();
      await waitFor(() => passing.lines[0]?.["end"] === "idle_timeout", "the record of the idle tunnel");
      passing.gate.beginDrain();
      expect([passing.gate.draining, lasting.gate.draining]).toEqual([true, false]);
    }
    peer.write("still here");
    await peer.untilText("still here");
    expect((await lasting.tunnel(target)).status).toBe("200");
    expect(lasting.gate.live.size).toBe(2);
  });

  test("take new users, and go by them, each for itself", async () => {
    using echo = listenEcho();
    const target = `127.0.0.1:${echo.port}`;
    await using one = openGate({}, first);
    await using two = openGate({}, second);
    const { runtime } = compileForTest({ listen: ["127.0.0.1:0"], users: [{ name: "ann", password: "one" }] });
    one.gate.runtime.swap({ ...one.gate.runtime.current, authenticator: runtime.authenticator });
    expect([(await one.tunnel(target)).status, (await two.tunnel(target)).status]).toEqual(["407", "200"]);
  });

  test("verify passwords each for itself, and keep what they know through a reload", async () => {
    using echo = listenEcho();
    const target = `127.0.0.1:${echo.port}`;
    const users = [{ name: "ann", password: await Bun.password.hash("one", { algorithm: "bcrypt", cost: 4 }) }];
    await using one = openGate({ users }, first);
    await using two = openGate({ users }, second);
    const enter = async ({ tunnel }: TestGate) => (await tunnel(target, basic("ann", "one"))).status;
    expect([await enter(one), await enter(two)]).toEqual(["200", "200"]);
    one.gate.runtime.swap(compileForTest({ listen: ["127.0.0.1:0"], rules: [allowLoopback], users }).runtime);
    expect(await enter(one)).toBe("200");
    expect([one, two].map(({ gate: { checks } }) => [checks.cache.hits, checks.cache.misses])).toEqual([
      [1, 1],
      [0, 1],
    ]);
  });
});
