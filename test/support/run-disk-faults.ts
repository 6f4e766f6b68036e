import { Database } from "bun:sqlite";
import { mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { openTunnel } from "./ask-tunnel.ts";
import { type ServingExecutable, startExecutable } from "./executable.ts";
import { listenEcho, type RawServer } from "./raw-peer.ts";
import { makeFolder } from "./temporary-folder.ts";
import { waitFor } from "./wait-for.ts";

/** Where this file is, to be run within a mount namespace of its own. */
export const runner = import.meta.path;

/** What was seen with a fault of the disk, and after it. */
export interface DiskFaultRow {
  readonly fault: string;
  /** Statuses for a user whose quota was reached before, and for another one. */
  readonly reached: number;
  readonly other: number;
  readonly told: readonly string[];
  readonly readyz: string;
  readonly kept: string;
  /** The same when the fault is gone. */
  readonly afterReached: number;
  readonly afterTold: readonly string[];
  readonly afterKept: string;
  /** After another start: for the first user; and the bytes of the other one, and those of all access lines of that one. */
  readonly restartReached: number;
  readonly used: number;
  readonly recorded: number;
}

interface Fault {
  readonly fault: string;
  begin(state: string): void;
  end(state: string): void;
  /** Where in the log the fault shows; and its end, where there is one to be told. */
  readonly told: string;
  readonly afterTold: string;
}

function run(...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
}

const held: { lock?: Database } = {};

const faults: readonly Fault[] = [
  {
    fault: "the disk is full",
    begin(state) {
      // Until not one more byte fits.
      for (let size = 65_536, at = 0; size > 0; size = size > 1 ? size >> 2 : 0)
        for (;;) {
          at += 1;
          try {
            writeFileSync(`${state}/ballast${at}`, new Uint8Array(size));
          } catch {
            break;
          }
        }
    },
    end(state) {
      for (const name of new Bun.Glob("ballast*").scanSync(state)) rmSync(`${state}/${name}`);
    },
    told: "the disk is full",
    afterTold: "is kept in",
  },
  {
    // The kernel makes none read-only in which a file is open for writing.
    fault: "the folder is on a read-only file system",
    begin: (state) => run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", state),
    end: (state) => run("umount", state),
    told: "cannot be kept",
    afterTold: "is kept in",
  },
  {
    fault: "another program locks the file",
    begin(state) {
      held.lock = new Database(`${state}/usage.db`);
      held.lock.run("BEGIN IMMEDIATE");
    },
    end() {
      held.lock?.run("ROLLBACK");
      held.lock?.close();
    },
    told: "another program has locked it",
    afterTold: "is kept in",
  },
  {
    fault: "the file is overwritten",
    begin(state) {
      for (const suffix of ["-wal", ""]) writeFileSync(`${state}/usage.db${suffix}`, "nonsense".repeat(9000));
    },
    end() {},
    told: "was damaged, replaced or removed",
    afterTold: "is kept in",
  },
  {
    fault: "the file is cut to nothing",
    begin(state) {
      for (const suffix of ["-wal", ""]) truncateSync(`${state}/usage.db${suffix}`, 0);
    },
    end() {},
    told: "was damaged, replaced or removed",
    afterTold: "is kept in",
  },
  {
    fault: "the file is moved away",
    begin: (state) => renameSync(`${state}/usage.db`, `${state}/elsewhere`),
    end() {},
    told: "was damaged, replaced or removed",
    afterTold: "is kept in",
  },
];

/** Moves bytes through a tunnel of a user, there and back, and gives the status. */
async function use(proxy: ServingExecutable, origin: RawServer, user: string, bytes: number): Promise<number> {
  try {
    using peer = await openTunnel(proxy.port, `127.0.0.1:${origin.port}`, `${user}:secret-of-${user}`);
    peer.write(Buffer.alloc(bytes, "x"));
    await peer.until(({ receivedBytes }) => receivedBytes >= bytes, "the echo");
    peer.finish();
    await peer.untilEnd();
    return 200;
  } catch (error) {
    return Number(/HTTP\/1\.1 ([0-9]{3}) /.exec(String(error))?.[1]);
  }
}

async function ask(proxy: ServingExecutable, path: string): Promise<string> {
  const answer = await fetch(`${await proxy.sidecarUrl()}${path}`, { headers: { Authorization: "Bearer t0ken" } });
  return answer.text();
}

const isKept = async (proxy: ServingExecutable): Promise<string> =>
  /^penstock_usage_kept (.)$/m.exec(await ask(proxy, "/metrics"))?.[1] ?? "";

/** Bytes of a user in access lines. */
const sumLines = ({ records }: ServingExecutable, user: string): number =>
  records
    .filter((record) => record["user"] === user)
    .reduce((sum, record) => sum + Number(record["bytes_up"]) + Number(record["bytes_down"]), 0);

/** What is told of the file of use. */
const listTold = ({ told }: ServingExecutable): string[] => told.filter((line) => line.includes("usage.db"));

async function observe({ fault, begin, end, told, afterTold }: Fault): Promise<DiskFaultRow> {
  await using folder = await makeFolder();
  const state = `${folder.path}/state`;
  mkdirSync(state);
  run("mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", state);
  using _mounted = { [Symbol.dispose]: () => run("umount", "-l", state) };
  await folder.write({
    "proxy.config.json": {
      listen: ["127.0.0.1:0"],
      sidecar: { port: 0, token: "t0ken" },
      rules: [{ to: ["127.0.0.1"], allowPrivate: true }],
      users: ["full", "free"].map((name) => ({ name, password: `secret-of-${name}` })),
      limits: { perUser: { bytes: { day: "1MB" } } },
      state: { folder: "state" },
      warmUp: "off",
    },
  });
  using origin = listenEcho();
  let before = 0;
  let row: Omit<DiskFaultRow, "restartReached" | "used" | "recorded">;
  {
    await using proxy = await startExecutable({ cwd: folder.path });
    await use(proxy, origin, "full", 500_000);
    await use(proxy, origin, "free", 1000);
    await waitFor(() => Bun.file(`${state}/usage.db.copy`).exists(), "the copy");
    await Bun.sleep(600);
    begin(state);
    const reached = await use(proxy, origin, "full", 1);
    let other = 0;
    await waitFor(
      async () => {
        other = await use(proxy, origin, "free", 1000);
        return listTold(proxy).some((line) => line.includes(told));
      },
      `${fault}: the log to say it`,
      10_000,
    );
    const [readyz, kept, first] = [await ask(proxy, "/readyz"), await isKept(proxy), listTold(proxy)];
    end(state);
    await waitFor(() => listTold(proxy).some((line) => line.includes(afterTold)), `${fault}: the recovery`, 10_000);
    const afterReached = await use(proxy, origin, "full", 1);
    await use(proxy, origin, "free", 10);
    row = {
      fault,
      reached,
      other,
      told: first,
      readyz,
      kept,
      afterReached,
      afterTold: listTold(proxy).slice(first.length),
      afterKept: await isKept(proxy),
    };
    process.kill(proxy.pid, "SIGTERM");
    await proxy.exited;
    before = sumLines(proxy, "free");
  }
  await using proxy = await startExecutable({ cwd: folder.path });
  const restartReached = await use(proxy, origin, "full", 1);
  const used = /^penstock_user_quota_used_bytes\{user="free",span="day"\} (.*)$/m.exec(
    await ask(proxy, "/metrics"),
  )?.[1];
  return { ...row, restartReached, used: Number(used), recorded: before };
}

if (import.meta.main) {
  const rows: DiskFaultRow[] = [];
  for (const fault of faults) rows.push(await observe(fault));
  console.log(JSON.stringify(rows));
}
