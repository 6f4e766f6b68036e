import { describe, expect, test } from "bun:test";
import { basic, startProxy, type TestProxy } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";

const headers = { Authorization: "Bearer scenario-token" };

function ask(proxy: TestProxy, path: string, method = "GET"): Promise<Response> {
  return fetch(`http://127.0.0.1:${proxy.daemon.sidecar?.port}${path}`, { method, headers });
}

async function list(proxy: TestProxy, query = ""): Promise<Record<string, unknown>[]> {
  const { tunnels } = (await (await ask(proxy, `/tunnels${query}`)).json()) as { tunnels: Record<string, unknown>[] };
  return tunnels;
}

describe("a forwarded request under way", () => {
  test("is among the tunnels, and can be ended", async () => {
    using origin = listenRaw();
    await using proxy = await startProxy({ users: [{ name: "alice", password: "pw" }] });
    const target = `127.0.0.1:${origin.port}`;
    const client = await proxy.connect();
    const [[name, value] = ["", ""]] = Object.entries(basic("alice", "pw"));
    client.write(`GET http://${target}/ HTTP/1.1\r\nHost: ${target}\r\n${name}: ${value}\r\n\r\n`);
    await (await origin.next()).untilText("\r\n\r\n");
    const [row] = await list(proxy, "?user=alice");
    expect(row).toMatchObject({
      kind: "request",
      method: "GET",
      scheme: "http",
      target,
      user: "alice",
      route: "direct",
    });
    expect(await list(proxy, "?user=bob")).toEqual([]);
    expect(await list(proxy, `?host=${target}`)).toHaveLength(1);

    expect((await ask(proxy, `/tunnels/${String(row?.["id"])}`, "DELETE")).status).toBe(204);
    await client.untilEnd();
    expect(await proxy.record()).toMatchObject({ id: row?.["id"], detail: "killed", error: "connection_terminated" });
    expect(await list(proxy)).toEqual([]);
    expect((await ask(proxy, `/tunnels/${String(row?.["id"])}`, "DELETE")).status).toBe(404);
  });

  test("is there on a kept connection as well, and gone between two requests", async () => {
    using origin = listenRaw((peer) => {
      let answered = 0;
      peer.consume = () => {
        answered += 1;
        if (answered < 3)
          peer.write("HTTP/1.1 200 OK\r\nDate: Fri, 27 Nov 2026 23:17:51 GMT\r\nContent-Length: 2\r\n\r\nok");
      };
    });
    await using proxy = await startProxy();
    const target = `127.0.0.1:${origin.port}`;
    const client = await proxy.connect();
    for (let count = 1; count <= 2; count += 1) {
      client.write(`GET http://${target}/ HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
      await client.until((peer) => peer.text.split("\r\n\r\nok").length === count + 1, `answer ${count}`);
      expect(await list(proxy)).toEqual([]);
    }
    client.write(`GET http://${target}/ HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
    let rows: Record<string, unknown>[] = [];
    while (rows.length === 0) rows = await list(proxy);
    const [row] = rows;
    expect(row).toMatchObject({ kind: "request", method: "GET", target });
    expect(await (await ask(proxy, `/tunnels?host=${target}`, "DELETE")).json()).toEqual({ ended: 1 });
    await client.untilEnd();
    expect(await proxy.record(2)).toMatchObject({ id: row?.["id"], detail: "killed" });
  });
});

test.each([
  ["Basic", basic("mallory", "guess")],
  [
    "Digest",
    {
      "Proxy-Authorization":
        'Digest username="mallory", realm="penstock", nonce="x", uri="127.0.0.1:1", algorithm=MD5, response="00000000000000000000000000000000", qop=auth, nc=00000001, cnonce="y"',
    },
  ],
])("a record of wrong credentials names who was claimed to ask: %s", async (_, fields) => {
  await using proxy = await startProxy({
    users: [{ name: "alice", password: "pw" }],
    auth: { schemes: ["basic", "digest"] },
  });
  expect((await proxy.tunnel("127.0.0.1:1", fields)).head).toStartWith("HTTP/1.1 407 ");
  expect(await proxy.record()).toMatchObject({ detail: "credentials_wrong", user: "mallory" });
});

test("a name that was made up is escaped and bounded in the record", async () => {
  await using proxy = await startProxy({ users: [{ name: "alice", password: "pw" }] });
  await proxy.tunnel("127.0.0.1:1", basic(`\u202e${"m".repeat(240)}`, "guess"));
  const { user } = await proxy.record();
  expect(user).toStartWith("\u202emmm");
  expect(String(user).length).toBeLessThanOrEqual(128);
});
