/** Compares what a tunnel costs through a plain upstream and through a pool of one: `bun test/bench/pool-of-one.ts`. */
import { readFile, rm } from "node:fs/promises";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { type RunningProgram, startProgram } from "../support/program.ts";
import { connectRaw, listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const ROUNDS = 25;
const TUNNELS = 400;
const CONCURRENCY = 8;
/** Microseconds in a tick of /proc/PID/stat. */
const TICK_US = 10_000;

async function readTicks(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, "latin1")).split(") ").at(-1)?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

async function openTunnels(port: number, target: number): Promise<void> {
  let left = TUNNELS;
  const client = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const peer = await connectRaw(port);
      peer.write(`CONNECT 127.0.0.1:${target} HTTP/1.1\r\nHost: 127.0.0.1:${target}\r\n\r\n`);
      await peer.untilText("\r\n\r\n");
      peer.finish();
      await peer.untilEnd();
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, client));
}

async function start(upstream: unknown): Promise<{ program: RunningProgram; port: number }> {
  const rules = [{ to: ["127.0.0.0/8"], allowPrivate: true }];
  const config = {
    listen: ["127.0.0.1:0"],
    open: true,
    upstreams: { exits: upstream },
    default: "exits",
    rules,
    log: { access: "off" },
  };
  const folder = await makeFolder({ "proxy.config.json": config });
  const program = startProgram([process.execPath, `${import.meta.dir}/../../src/main.ts`, "serve"], {
    cwd: folder.path,
  });
  const port = Number(/:(\d+)/.exec((await program.untilTold("Listening on ")).replace(/.*Listening on /, ""))?.[1]);
  await rm(folder.path, { recursive: true });
  return { program, port };
}

using echo = listenEcho();
await using upstream = await startConnectUpstream();
const url = `http://127.0.0.1:${upstream.port}`;
const kinds = {
  plain: await start(url),
  "pool of one": await start({ pool: [url] }),
  "pool of two": await start({ pool: [url, { url, name: "b" }] }),
};
const spent = new Map<string, number[]>();
for (let round = -4; round < ROUNDS; round++)
  for (const [name, { program, port }] of Object.entries(kinds)) {
    const before = await readTicks(program.pid);
    await openTunnels(port, echo.port);
    // The first rounds compile the code.
    if (round >= 0)
      spent.set(name, [...(spent.get(name) ?? []), (((await readTicks(program.pid)) - before) * TICK_US) / TUNNELS]);
  }
for (const [name, figures] of spent)
  process.stdout.write(
    `${name}: median ${figures.toSorted((a, b) => a - b)[ROUNDS >> 1]} µs of CPU a tunnel (${figures.join(", ")})\n`,
  );
for (const { program } of Object.values(kinds)) await program[Symbol.asyncDispose]();
