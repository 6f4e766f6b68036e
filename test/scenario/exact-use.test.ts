import { expect, test } from "bun:test";
import { type Socket as TlsSocket } from "bun";
import { openTunnel } from "../support/ask-tunnel.ts";
import { makeCertificate } from "../support/certificate.ts";
import { basic, startProxy, type TestProxy } from "../support/proxy.ts";
import { driveTunnel, type Random } from "../support/random-tunnel.ts";
import { connectRaw, listenEcho, listenRaw, type RawPeer } from "../support/raw-peer.ts";
import { createRandom } from "../support/seeded-random.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

/** Tunnels and requests: as many as the variable says. */
const TUNNELS = Number(process.env["RANDOM_TUNNELS"] ?? 150) * 2;
const WIDTH = 16;
const USERS = ["ann", "bob", "cho", "dee"];

/** Opens a tunnel as a SOCKS5 client. */
async function openSocks(port: number, target: number, user: string): Promise<RawPeer> {
  const peer = await connectRaw(port);
  const password = `secret-of-${user}`;
  const login = Buffer.concat([
    Buffer.from([1, user.length]),
    Buffer.from(user),
    Buffer.from([password.length]),
    Buffer.from(password),
  ]);
  peer.write(Buffer.from([5, 1, 2]));
  await peer.until(({ receivedBytes }) => receivedBytes === 2, "the method");
  peer.write(login);
  await peer.until(({ receivedBytes }) => receivedBytes === 4, "the login");
  peer.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, target >> 8, target & 255]));
  await peer.until(({ receivedBytes }) => receivedBytes === 14, "the reply");
  peer.take();
  peer.receivedBytes = 0;
  return peer;
}

/** Has an echo send bytes back to a client that speaks TLS with the proxy, which leaves in order or not. */
async function driveTls(port: number, target: number, user: string, random: Random): Promise<void> {
  const field = basic(user, `secret-of-${user}`)["Proxy-Authorization"];
  const wanted = 1 + random.below(20_000);
  const isRude = random.below(3) === 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  let got = -1;
  const data = (socket: TlsSocket, chunk: Uint8Array): void => {
    if (got < 0) {
      got = 0;
      socket.write(Buffer.alloc(wanted, "t"));
      return;
    }
    got += chunk.length;
    if (got >= wanted || (isRude && got > 0)) socket.end();
  };
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    tls: { rejectUnauthorized: false },
    socket: {
      open: (socket) =>
        void socket.write(
          `CONNECT 127.0.0.1:${target} HTTP/1.1\r\nHost: 127.0.0.1:${target}\r\nProxy-Authorization: ${field}\r\n\r\n`,
        ),
      data,
      close: () => resolve(),
      error: () => resolve(),
    },
  });
  await promise;
}

/** Forwards a request with a body, whose response has one, too; some clients leave in the middle. */
async function driveRequest(proxy: TestProxy, origin: number, user: string, random: Random): Promise<void> {
  const leave = random.below(5) === 0 ? new AbortController() : undefined;
  const size = random.below(30_000);
  try {
    const answer = await fetch(`http://127.0.0.1:${origin}/${random.below(200_000)}`, {
      method: "POST",
      body: new Uint8Array(size),
      proxy: `http://${user}:secret-of-${user}@127.0.0.1:${proxy.port}`,
      ...(leave && { signal: leave.signal }),
    });
    leave?.abort();
    await answer.arrayBuffer();
  } catch (error) {
    if (leave === undefined) throw error;
  }
}

test("use is to the byte the sum of the access lines of random tunnels and requests, in relay and lanes, over TLS and SOCKS", async () => {
  await using folder = await makeFolder();
  const { cert, key } = await makeCertificate();
  const users = USERS.map((name) => ({ name, password: `secret-of-${name}`, limits: { bytes: { month: "1TB" } } }));
  using echo = listenEcho();
  using pages = Bun.serve({
    port: 0,
    async fetch(request) {
      await request.arrayBuffer();
      return new Response("r".repeat(Number(new URL(request.url).pathname.slice(1))));
    },
  });
  await using proxy = await startProxy(
    {
      listen: [{ port: 0 }, { port: 0, tls: { cert: "cert.pem", key: "key.pem" } }],
      users,
      state: { folder: `${folder.path}/state` },
      spliceAfter: "10KiB",
    },
    { files: { "cert.pem": cert, "key.pem": key } },
  );
  const tlsPort = proxy.daemon.listeners[1]?.port ?? 0;
  let begun = 0;
  const work = async (): Promise<void> => {
    using origin = listenRaw();
    while (begun < TUNNELS) {
      begun += 1;
      const random = createRandom(begun * 7919);
      const user = USERS[random.below(USERS.length)] ?? "";
      const kind = random.below(5);
      if (kind === 0) await driveTls(tlsPort, echo.port, user, random);
      else if (kind === 1) await driveRequest(proxy, pages.port ?? 0, user, random);
      else {
        const client =
          kind === 2
            ? await openSocks(proxy.port, origin.port, user)
            : await openTunnel(proxy.port, `127.0.0.1:${origin.port}`, `${user}:secret-of-${user}`);
        await driveTunnel(client, await origin.next(), random);
      }
    }
  };
  await Promise.all(Array.from({ length: WIDTH }, work));
  await waitFor(() => proxy.records.length === TUNNELS, "every record", 60_000);
  const recorded = (user: string): { up: number; down: number } => {
    const own = proxy.records.filter((record) => record["user"] === user);
    const sum = (field: string) => own.reduce((all, record) => all + Number(record[field]), 0);
    return { up: sum("bytes_up"), down: sum("bytes_down") };
  };
  const wanted = USERS.map((user) => ({ user, ...recorded(user) }));
  expect(wanted.reduce((sum, { up, down }) => sum + up + down, 0)).toBeGreaterThan(TUNNELS * 1000);
  const seen = async (query: string) => {
    const { usage } = (await (await proxy.ask(`/usage?${query}`)).json()) as {
      usage: { user: string; since: { up: number; down: number } }[];
    };
    return usage
      .map(({ user, since: { up, down } }) => ({ user, up, down }))
      .sort((one, other) => one.user.localeCompare(other.user));
  };
  expect(await seen("since=month")).toEqual(wanted);
  // From the file.
  expect(await seen("since=90d")).toEqual(wanted);
}, 1_800_000);
