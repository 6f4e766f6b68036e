/**
 * How long clients wait while a large configuration is reloaded.
 * `bun test/bench/reload-pause.ts [PATTERNS] [USERS] [EXECUTABLE]`: 100,000 and 50,000 unless told otherwise.
 *
 * A client asks every few milliseconds, over a tunnel and on a new connection in
 * turn. What it waits for the answer while the proxy reloads is the pause of the
 * event loop as clients see it; the same without a reload is printed beside it.
 */
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectRaw, listenEcho, type RawPeer } from "../support/raw-peer.ts";
import { waitFor } from "../support/wait-for.ts";

const ROUNDS = 5;
const EVERY_MS = 3;
const PATIENCE_MS = 120_000;

const [patterns = "100000", users = "50000", executable] = process.argv.slice(2);
const folder = join(tmpdir(), `reload-pause-${process.pid}`);
const file = join(folder, "proxy.config.json");
const port = 20_000 + (process.pid % 10_000);
const [allow, deny] = [{ allow: true }, { deny: true }];

await Bun.write(file, write(0));
await using echo = asyncEcho();
const command =
  executable === undefined ? [process.execPath, join(import.meta.dir, "../../src/main.ts")] : [executable];
const proxy = Bun.spawn([...command, "serve", "--config", file], { stdout: "ignore", stderr: "pipe" });
let said = "";
const reading = (async () => {
  for await (const chunk of proxy.stderr) said += Buffer.from(chunk).toString();
})();
try {
  await waitFor(() => said.includes("Listening on"), "the proxy", PATIENCE_MS);
  const quiet = await measure(async () => Bun.sleep(3000));
  process.stdout.write(
    `${Number(patterns).toLocaleString("en")} patterns, ${Number(users).toLocaleString("en")} users\n\n| what changes | reload | longest wait | 99 % of waits |\n|---|--:|--:|--:|\n${line("nothing is reloaded", quiet)}`,
  );
  await repeat("nothing", () => 0);
  await repeat("one pattern", (round) => round);
  await repeat("every pattern and password", (round) => -round);
} finally {
  proxy.kill("SIGKILL");
  await proxy.exited;
  await reading;
  await rm(folder, { recursive: true });
}

interface Measured {
  readonly tookMs: number;
  /** Milliseconds, ascending. */
  readonly waits: readonly number[];
}

async function repeat(what: string, change: (round: number) => number): Promise<void> {
  const rounds: Measured[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    await Bun.write(file, write(change(round)));
    const before = count(said);
    rounds.push(
      await measure(async () => {
        proxy.kill("SIGHUP");
        await waitFor(() => count(said) > before, "the reload", PATIENCE_MS);
      }),
    );
  }
  const waits = rounds.flatMap((each) => each.waits).toSorted((a, b) => a - b);
  const tookMs = rounds.map((each) => each.tookMs).toSorted((a, b) => a - b)[ROUNDS >> 1] ?? 0;
  process.stdout.write(line(what, { tookMs, waits }));
}

/** What a client waits while something happens. */
async function measure(happen: () => Promise<void>): Promise<Measured> {
  const waits: number[] = [];
  const tunnel = await openTunnel();
  let over = false;
  const asking = (async () => {
    while (!over) {
      const began = performance.now();
      if (waits.length % 2 === 0) await ask(tunnel);
      else {
        const peer = await openTunnel();
        peer[Symbol.dispose]();
      }
      waits.push(performance.now() - began);
      await Bun.sleep(EVERY_MS);
    }
  })();
  const began = performance.now();
  await happen();
  const tookMs = performance.now() - began;
  over = true;
  await asking;
  tunnel[Symbol.dispose]();
  return { tookMs, waits: waits.toSorted((a, b) => a - b) };
}

async function openTunnel(): Promise<RawPeer> {
  const peer = await connectRaw(port);
  const target = `127.0.0.1:${echo.port}`;
  const credentials = Buffer.from("user0:password-0").toString("base64");
  peer.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\nProxy-Authorization: Basic ${credentials}\r\n\r\n`);
  await peer.until(({ text }) => text.endsWith("\r\n\r\n"), "the answer", PATIENCE_MS);
  if (!peer.take().toString("latin1").startsWith("HTTP/1.1 200 ")) throw new Error("No tunnel");
  return peer;
}

async function ask(tunnel: RawPeer): Promise<void> {
  tunnel.write("question");
  await tunnel.until(({ text }) => text === "question", "the echo", PATIENCE_MS);
  tunnel.take();
}

function line(what: string, { tookMs, waits }: Measured): string {
  const at = (share: number) => (waits[Math.min(waits.length - 1, Math.floor(waits.length * share))] ?? 0).toFixed(1);
  return `| ${what} | ${(tookMs / 1000).toFixed(1)} s | ${at(1)} ms | ${at(0.99)} ms |\n`;
}

function count(text: string): number {
  return text.split("Reloaded").length - 1;
}

function asyncEcho() {
  const server = listenEcho();
  return { port: server.port, [Symbol.asyncDispose]: async () => server[Symbol.dispose]() };
}

/** The configuration. `change` > 0 changes one pattern, < 0 every pattern and password but the client's. */
function write(change: number): string {
  const all = change < 0 ? `-${-change}` : "";
  const names = Array.from({ length: Number(patterns) }, (_, at) => {
    if (at === 7 && change > 0) return `changed-${change}.example.net`;
    if (at % 3 === 0) return `*.host-${at}${all}.example-${at % 977}.com`;
    if (at % 3 === 1) return `host-${at}${all}.example-${at % 977}.net:443`;
    return `10.${(at >> 16) & 255}.${(at >> 8) & 255}.${(at - change) & 255}`;
  });
  const rules = Array.from({ length: 100 }, (_, at) => ({
    to: names.slice((at * names.length) / 100, ((at + 1) * names.length) / 100),
    ...(at % 2 === 0 ? allow : deny),
  }));
  return JSON.stringify(
    {
      listen: [{ port }],
      log: { access: "off" },
      users: Array.from({ length: Number(users) }, (_, at) => ({
        name: `user${at}`,
        password: at === 0 ? "password-0" : `password-${at}${all}`,
      })),
      rules: [{ to: ["127.0.0.0/8"], allowPrivate: true }, ...rules],
    },
    undefined,
    1,
  );
}
