import { describe, expect, test } from "bun:test";
import { startProxy } from "../support/proxy.ts";
import { listenEcho, type RawPeer } from "../support/raw-peer.ts";
import { reserveClosedPort } from "../support/unreachable.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";

const users = [{ name: "ann", password: "secret" }];
const loopback = [127, 0, 0, 1];

function ipv4Request(port: number, command = 1): Uint8Array {
  return Uint8Array.of(5, command, 0, 1, ...loopback, port >> 8, port & 0xff);
}

function nameRequest(name: string, port: number): Uint8Array {
  return Uint8Array.of(5, 1, 0, 3, name.length, ...Buffer.from(name), port >> 8, port & 0xff);
}

function login(user: string, password: string): Uint8Array {
  return Uint8Array.of(1, user.length, ...Buffer.from(user), password.length, ...Buffer.from(password));
}

async function say(peer: RawPeer, bytes: Uint8Array, answerLength: number): Promise<number[]> {
  const before = peer.receivedBytes;
  peer.write(bytes);
  await peer.untilReceived(before + answerLength);
  return [...peer.take()];
}

describe("a SOCKS client for which a limit on connections leaves no room", () => {
  type Protocol = "http" | "socks5" | "socks4";
  const all: Protocol[] = ["http", "socks5", "socks4"];
  test.each<[protocol: string, listener: string, protocols: Protocol[], says: number[], refused: number[]]>([
    ["SOCKS5", "with HTTP", all, [5, 1, 0], [5, 255]],
    ["SOCKS4", "with HTTP", all, [4, 1, 0, 80, ...loopback, 0], [0, 91, 0, 0, 0, 0, 0, 0]],
    ["SOCKS5", "of its own, whatever it says", ["socks5"], [], [5, 255]],
    ["SOCKS4", "of its own, whatever it says", ["socks4"], [], [0, 91, 0, 0, 0, 0, 0, 0]],
  ])("is told so in %s, on a listener %s", async (_protocol, _listener, protocols, says, refused) => {
    await using proxy = await startProxy({
      listen: [{ host: "127.0.0.1", port: 0, protocols }],
      limits: { perClient: { connections: 1 } },
    });
    // The first that connects is the first that is accepted.
    using _held = await proxy.connect();
    using client = await proxy.connect();
    client.write(Uint8Array.from(says));
    await client.untilEnd();
    expect([...client.take()]).toEqual(refused);
    expect(await proxy.record()).toMatchObject({ detail: "too_many_connections", limit: "perClient.connections" });
  });
});

describe("a SOCKS5 client on the HTTP port", () => {
  test("gets a tunnel without credentials where none are asked", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    expect(await say(client, Uint8Array.of(5, 2, 0, 2), 2)).toEqual([5, 0]);
    expect(await say(client, ipv4Request(echo.port), 10)).toEqual([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    expect(Buffer.from(await say(client, Buffer.from("hello"), 5)).toString()).toBe("hello");
    client.finish();
    await client.untilEnd();
    expect(await proxy.record()).toMatchObject({ protocol: "socks5", method: "CONNECT", end: "closed", bytes_up: 5 });
  });

  test("logs in with user name and password, byte by byte", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ users });
    using client = await proxy.connect();
    const script: [Uint8Array, number[]][] = [
      [Uint8Array.of(5, 2, 0, 2), [5, 2]],
      [login("ann", "secret"), [1, 0]],
      [ipv4Request(echo.port), [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]],
    ];
    for (const [bytes, answer] of script) {
      const before = client.receivedBytes;
      for (const byte of bytes) {
        client.write(Uint8Array.of(byte));
        await Bun.sleep(0);
      }
      await client.untilReceived(before + answer.length);
      expect([...client.take()]).toEqual(answer);
    }
    client.reset();
    expect(await proxy.record()).toMatchObject({ user: "ann", protocol: "socks5" });
  });

  test("sends everything at once, payload included", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ users });
    using client = await proxy.connect();
    client.write(
      Buffer.concat([Uint8Array.of(5, 1, 2), login("ann", "secret"), ipv4Request(echo.port), Buffer.from("early")]),
    );
    await client.untilText("early");
    expect([...client.take()].slice(0, 5)).toEqual([5, 2, 1, 0, 5]);
  });

  test("is told when its password is wrong, and the connection ends", async () => {
    await using proxy = await startProxy({ users });
    using client = await proxy.connect();
    await say(client, Uint8Array.of(5, 1, 2), 2);
    expect(await say(client, login("ann", "guess"), 2)).toEqual([1, 1]);
    await client.untilEnd();
    expect(await proxy.record()).toMatchObject({ detail: "credentials_wrong", error: "http_request_denied" });
  });

  test("is told when it offers no method that will do", async () => {
    await using proxy = await startProxy({ users });
    using client = await proxy.connect();
    expect(await say(client, Uint8Array.of(5, 1, 0), 2)).toEqual([5, 0xff]);
    await client.untilEnd();
    expect(await proxy.record()).toMatchObject({ detail: "credentials_required" });
  });

  const table: [string, (port: number) => Uint8Array, number][] = [
    ["BIND", (port) => ipv4Request(port, 2), 7],
    ["UDP ASSOCIATE", (port) => ipv4Request(port, 3), 7],
    ["an address type that there is not", () => Uint8Array.of(5, 1, 0, 9, 0, 0), 8],
    ["a port that refuses", ipv4Request, 5],
    ["a private address without a rule", (port) => Uint8Array.of(5, 1, 0, 1, 10, 0, 0, 1, port >> 8, port & 0xff), 2],
    ["a name that does not exist", (port) => nameRequest("gone.example", port), 4],
    ["a name that is no name", (port) => nameRequest("a b", port), 1],
  ];
  for (const [what, request, code] of table) {
    test(`gets reply ${code} for ${what}`, async () => {
      await using proxy = await startProxy({}, { resolver: createFakeResolver({}) });
      using client = await proxy.connect();
      await say(client, Uint8Array.of(5, 1, 0), 2);
      const answer = await say(client, request(await reserveClosedPort()), 10);
      expect(answer.slice(0, 4)).toEqual([5, code, 0, 1]);
      await client.untilEnd();
    });
  }
});

describe("a SOCKS4 client", () => {
  test("gets a tunnel to an address, and to a name with 4a", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({}, { resolver: createFakeResolver({ "here.example": ["127.0.0.1"] }) });
    const port = [echo.port >> 8, echo.port & 0xff];
    for (const request of [
      Uint8Array.of(4, 1, ...port, ...loopback, 0x61, 0),
      Uint8Array.of(4, 1, ...port, 0, 0, 0, 1, 0, ...Buffer.from("here.example"), 0),
    ]) {
      using client = await proxy.connect();
      expect(await say(client, request, 8)).toEqual([0, 90, 0, 0, 0, 0, 0, 0]);
      expect(await say(client, Uint8Array.of(1, 2, 3), 3)).toEqual([1, 2, 3]);
    }
  });

  test("is rejected where a password is asked, since it has none", async () => {
    await using proxy = await startProxy({ users });
    using client = await proxy.connect();
    expect(await say(client, Uint8Array.of(4, 1, 0, 80, ...loopback, 0x61, 0), 8)).toEqual([0, 91, 0, 0, 0, 0, 0, 0]);
    expect(await proxy.record()).toMatchObject({ protocol: "socks4", detail: "credentials_required" });
  });
});
