import { describe, expect, test } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { Secret } from "../../src/secret.ts";
import { DigestClient } from "../../src/proxy/upstream/digest-client.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { allowLoopback, basic, startProxy, type TestProxy } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";

const users = [{ name: "alice", password: "pw" }];
const auth = { parameters: ["session", "country"] };
const config: PenstockConfig = { users, auth };

/** The head of the answer to a CONNECT as that user. The tunnel is closed. */
async function connectAs(proxy: TestProxy, name: string, port: number, password = "pw"): Promise<string> {
  const { peer, head } = await proxy.tunnel(`127.0.0.1:${port}`, basic(name, password));
  peer[Symbol.dispose]();
  return head;
}

function fieldsFor(name: string): string {
  return `Proxy-Authorization: ${basic(name, "pw")["Proxy-Authorization"]}\r\n`;
}

function socksLogin(name: string, password: string): Uint8Array {
  return Uint8Array.of(1, name.length, ...Buffer.from(name), password.length, ...Buffer.from(password));
}

describe("a user name with parameters", () => {
  test("is the user in record, live table and metrics, and the parameters have a field of their own", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy(config);
    const name = "alice-country-de-session-zq7";
    const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`, basic(name, "pw"));
    expect(head).toStartWith("HTTP/1.1 200 ");
    const parameters = { session: "zq7", country: "de" };
    const live = (await (await proxy.ask("/tunnels?user=alice")).json()) as { tunnels: unknown[] };
    expect(live.tunnels).toMatchObject([{ user: "alice", parameters }]);
    peer[Symbol.dispose]();
    const record = await proxy.record();
    expect(record).toMatchObject({ user: "alice", parameters, status: 200 });
    // In the order of the configuration, whatever the client's was.
    expect(JSON.stringify(record["parameters"])).toBe('{"session":"zq7","country":"de"}');
    const metrics = await proxy.metrics();
    expect(["zq7", '"de"', "session="].filter((text) => metrics.includes(text))).toEqual([]);
  });

  test("is the same by SOCKS5", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy(config);
    for (const [name, status] of [
      ["alice-session-s5", 0],
      ["alice-session-", 1],
      ["alice-session-x-session-y", 1],
    ] as const) {
      using client = await proxy.connect();
      client.write(Uint8Array.of(5, 1, 2));
      await client.untilReceived(2);
      client.write(socksLogin(name, "pw"));
      await client.untilReceived(4);
      expect([...client.take()]).toEqual([5, 2, 1, status]);
      if (status === 1) continue;
      client.write(Uint8Array.of(5, 1, 0, 1, 127, 0, 0, 1, echo.port >> 8, echo.port & 0xff));
      await client.untilReceived(14);
      client.reset();
    }
    expect(await proxy.record(0)).toMatchObject({ user: "alice", parameters: { session: "s5" }, protocol: "socks5" });
    expect(await proxy.record(2)).toMatchObject({ detail: "parameters_malformed" });
    expect((await proxy.record(2))["user"]).toBeUndefined();
  });

  test("is the same by Digest", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ users, auth: { ...auth, schemes: ["digest"] } });
    const target = `127.0.0.1:${echo.port}`;
    const client = new DigestClient("alice-session-d1", new Secret("pw")).begin();
    const asked = await proxy.tunnel(target);
    client.refuse([...asked.head.matchAll(/^Proxy-Authenticate: (.*)\r$/gm)].map(([, value = ""]) => value));
    const shown = { "Proxy-Authorization": client.authorize("CONNECT", target) ?? "" };
    const { peer, head } = await proxy.tunnel(target, shown);
    expect(head).toStartWith("HTTP/1.1 200 ");
    peer[Symbol.dispose]();
    expect(await proxy.record(1)).toMatchObject({ user: "alice", parameters: { session: "d1" } });
  });

  test("with malformed parameters is refused with the reason, for known and unknown users alike", async () => {
    await using proxy = await startProxy(config);
    const answers = await Promise.all(
      ["alice", "nobody"].map((user) => connectAs(proxy, `${user}-session-a1-session-b2`, 9)),
    );
    for (const answer of answers) {
      expect(answer).toStartWith("HTTP/1.1 407 Parameters in the user name cannot be read\r\n");
      expect(answer).toContain("parameters_malformed: the parameter session is there twice");
      expect(answer).toContain("\r\nProxy-Authenticate: Basic ");
    }
    const [known = "", unknown] = answers.map((answer) => answer.replace(/Connection: \S+\n/, ""));
    expect(known).toBe(unknown ?? "");
  });

  test("with a wrong password is recorded as the user that is guessed", async () => {
    await using proxy = await startProxy(config);
    expect(await connectAs(proxy, "alice-session-a1", 9, "no")).toStartWith("HTTP/1.1 407 Wrong user name");
    expect(await proxy.record()).toMatchObject({
      user: "alice",
      parameters: { session: "a1" },
      detail: "credentials_wrong",
    });
    expect(await connectAs(proxy, "alice-sesion-a1", 9)).toStartWith("HTTP/1.1 407 Wrong user name");
    expect(await proxy.record(1)).toMatchObject({ user: "alice-sesion-a1" });
  });

  test("counts as the user in limits", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ ...config, limits: { perUser: { connections: 2 } } });
    const open = (name: string) => proxy.tunnel(`127.0.0.1:${echo.port}`, basic(name, "pw"));
    const held = [await open("alice-session-1"), await open("alice-session-2")];
    expect((await open("alice-session-3")).head).toStartWith("HTTP/1.1 429 ");
    for (const { peer } of held) peer[Symbol.dispose]();
    await proxy.record(2);
    const { peer, head } = await open("alice");
    expect(head).toStartWith("HTTP/1.1 200 ");
    peer[Symbol.dispose]();
  });
});

describe("rules and functions", () => {
  test("look at parameters, whatever their case", async () => {
    using echo = listenEcho();
    const rules = [{ name: "no-ru", parameters: { country: ["ru"] }, deny: true }, allowLoopback];
    await using proxy = await startProxy({ ...config, rules });
    const statuses = await Promise.all(
      ["alice", "alice-country-de", "alice-country-ru", "alice-session-1-country-RU"].map(async (name) =>
        (await connectAs(proxy, name, echo.port)).slice(9, 12),
      ),
    );
    expect(statuses).toEqual(["200", "200", "403", "403"]);
  });

  test("get parameters with user and target, also where there are none", async () => {
    using echo = listenEcho();
    const seen: unknown[] = [];
    await using proxy = await startProxy({
      auth,
      users(name, password, parameters) {
        seen.push([name, password, { ...parameters }]);
        return parameters["country"] !== "xx";
      },
      rules: [
        ({ user, parameters }) => {
          seen.push([user, { ...parameters }]);
          return undefined;
        },
        allowLoopback,
      ],
    });
    expect(await connectAs(proxy, "carol-country-de", echo.port)).toStartWith("HTTP/1.1 200 ");
    expect(await connectAs(proxy, "carol-country-xx", echo.port)).toStartWith("HTTP/1.1 407 ");
    expect(await connectAs(proxy, "carol", echo.port)).toStartWith("HTTP/1.1 200 ");
    expect(seen).toEqual([
      ["carol", "pw", { country: "de" }],
      ["carol", { country: "de" }],
      ["carol", "pw", { country: "xx" }],
      ["carol", "pw", {}],
      ["carol", {}],
    ]);
  });

  test("judge each request on a kept connection by its own parameters", async () => {
    using origin = serveHttp(() => ok("x"));
    const rules = [{ parameters: { country: ["ru"] }, deny: true }, allowLoopback];
    await using proxy = await startProxy({ ...config, rules });
    using client = await proxy.connect();
    const names = ["de", "de", "ru", "de", "de", "ru", "at", "de"].map((country) => `alice-country-${country}`);
    const statuses: string[] = [];
    for (const name of names) {
      client.write(ask("GET", origin.uri(), fieldsFor(name)));
      statuses.push((await takeResponse(client)).head.slice(9, 12));
    }
    expect(statuses).toEqual(["200", "200", "403", "200", "200", "403", "200", "200"]);
    await proxy.record(names.length - 1);
    expect(proxy.records.map(({ user, parameters }) => [user, parameters])).toEqual(
      names.map((name) => ["alice", { country: name.slice(-2) }]),
    );
  });

  test("end tunnels at a reload whose parameters are denied now", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ ...config, reload: { endDenied: true } });
    const open = (name: string) => proxy.tunnel(`127.0.0.1:${echo.port}`, basic(name, "pw"));
    const [german, russian] = [await open("alice-country-de"), await open("alice-country-ru")];
    const rules = [{ parameters: { country: ["ru"] }, deny: true }, allowLoopback];
    expect(await proxy.reload({ ...config, rules, reload: { endDenied: true } })).toMatchObject({ kind: "done" });
    await russian.peer.untilEnd();
    german.peer.write("still here");
    await german.peer.untilText("still here");
    german.peer[Symbol.dispose]();
  });
});
