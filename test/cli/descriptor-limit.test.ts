import { expect, test } from "bun:test";
import { openTunnel } from "../support/ask-tunnel.ts";
import { runExecutable, startExecutable } from "../support/executable.ts";
import { connectRaw, listenEcho, type RawPeer } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";
import { untilAtRest } from "../support/until-at-rest.ts";

const DESCRIPTORS = 200;
/** More than there are descriptors for, even without targets. */
const CLIENTS = 250;

const config = {
  // Its sockets and its CPU would be counted.
  warmUp: "off",
  listen: ["127.0.0.1:0"],
  rules: [{ to: ["127.0.0.1"], allowPrivate: true }],
  timeouts: { handshake: "5s" },
  sidecar: { port: 0, token: "t" },
};

test("at its limit of descriptors the executable gives every client a clear end, sleeps, and recovers by itself", async () => {
  await using folder = await makeFolder({ "proxy.config.json": config });
  using echo = listenEcho();
  await using proxy = await startExecutable({ cwd: folder.path, descriptors: DESCRIPTORS });
  using before = await openTunnel(proxy.port, `127.0.0.1:${echo.port}`);

  // Those that say no more than a word take what there is, and keep it. Without a word they would be probes.
  const slow = await connectMany(proxy.port, CLIENTS, "GET ");
  await waitFor(() => slow.some((client) => client.end !== "open"), "the first client for whom there is no room");
  await untilAtRest(proxy.readCpuMs);
  before.write("still carried");
  await before.untilText("still carried");

  const asking = await connectMany(
    proxy.port,
    20,
    `CONNECT 127.0.0.1:${echo.port} HTTP/1.1\r\nHost: 127.0.0.1:${echo.port}\r\n\r\n`,
  );
  const all = [...slow, ...asking];
  await waitFor(() => all.every((client) => client.end !== "open"), "the end of every client");
  const answers = new Set(all.map((client) => client.text.slice(0, 12)));
  expect([...answers].filter((answer) => !["", "HTTP/1.1 503", "HTTP/1.1 408"].includes(answer))).toEqual([]);
  // Nobody vanishes without a trace: each that was accepted has a record, whether it could be told or not, or said nothing until its time was over.
  let probes = 0;
  while (proxy.records.length + probes < all.length) probes = await readProbes(readSidecarPort(proxy.told));
  expect(proxy.records.some((record) => record["detail"] === "out_of_resources")).toBe(true);
  // Nobody wrote a limit that does not fit.
  expect(proxy.told.filter((line) => line.includes("may open"))).toEqual([]);
  for (const client of all) client[Symbol.dispose]();

  const after = await retry(() => openTunnel(proxy.port, `127.0.0.1:${echo.port}`));
  after.write("as before");
  await after.untilText("as before");
  after[Symbol.dispose]();
  expect(proxy.told.filter((line) => line.includes("mistake"))).toEqual([]);
}, 300_000);

test("at its limit of descriptors the sidecar answers every check, however many hold connections to it, too", async () => {
  await using folder = await makeFolder({ "proxy.config.json": config });
  await using proxy = await startExecutable({ cwd: folder.path, descriptors: DESCRIPTORS });
  const port = await waitFor(() => readSidecarPort(proxy.told) || undefined, "the sidecar");
  using echo = listenEcho();
  const ask = `CONNECT 127.0.0.1:${echo.port} HTTP/1.1\r\nHost: 127.0.0.1:${echo.port}\r\n\r\n`;
  const clients = await connectMany(proxy.port, CLIENTS, ask);
  await waitFor(() => clients.some((client) => client.end !== "open"), "the first client for whom there is no room");
  const held = await connectMany(port, 300);
  // Those that are refused hold the last descriptors for a moment.
  const refused = await connectMany(proxy.port, CLIENTS);
  await waitFor(() => refused.some(({ end }) => end === "reset"), "the first one that cannot even be refused");
  for (let count = 0; count < 20; count += 1) {
    using client = await connectRaw(port);
    client.write("GET /healthz HTTP/1.0\r\n\r\n");
    await client.untilEnd();
    expect(client.text).toStartWith("HTTP/1.1 200 OK\r\n");
  }
  for (const client of [...clients, ...held, ...refused]) client[Symbol.dispose]();
}, 300_000);

test("the default of limits.connections is what the limit of open files allows, and only a written one warns", async () => {
  await using folder = await makeFolder({ "proxy.config.json": config });
  const room = `may open ${DESCRIPTORS} files, which is enough for 76 connections`;
  {
    await using proxy = await startExecutable({ cwd: folder.path, descriptors: DESCRIPTORS });
    const port = await waitFor(() => readSidecarPort(proxy.told) || undefined, "the sidecar");
    const ask = async (path: string): Promise<unknown> =>
      (await fetch(`http://127.0.0.1:${port}${path}`, { headers: { Authorization: "Bearer t" } })).json();
    expect(await ask("/status")).toMatchObject({ connection_limit: 76 });
    expect(await ask("/config")).toMatchObject({ limits: { connections: 76 }, derived: ["limits.connections"] });
    // This process may open more files than that one, and a reload there changes nothing.
    const diff = await runExecutable(["check", "--diff", "--sidecar", `127.0.0.1:${port}`], { cwd: folder.path });
    expect([diff.code, diff.stdout]).toEqual([0, ""]);
    expect(proxy.told.filter((line) => line.includes(room))).toEqual([]);
  }
  await folder.write({ "proxy.config.json": { ...config, limits: { connections: 77 } } });
  await using proxy = await startExecutable({ cwd: folder.path, descriptors: DESCRIPTORS });
  await proxy.untilTold(`${room}, and "limits.connections" is 77.`);
});

function readSidecarPort(told: readonly string[]): number {
  return Number(/^Sidecar on .*:(\d+)\.$/m.exec(told.join("\n"))?.[1]);
}

async function readProbes(port: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { Authorization: "Bearer t" } });
  return Number(/^penstock_probes_total (\d+)$/m.exec(await answer.text())?.[1]);
}

async function connectMany(port: number, count: number, say = ""): Promise<RawPeer[]> {
  const made = await Promise.allSettled(Array.from({ length: count }, () => connectRaw(port)));
  const clients = made.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  for (const client of clients) client.write(say);
  return clients;
}

async function retry<T>(run: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await run();
    } catch (error) {
      if (tries === 50) throw error;
      await Bun.sleep(50);
    }
  }
}
