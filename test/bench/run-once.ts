import type { LoadOrder, LoadResult } from "./load/client.ts";
import { type Layout, pin } from "./layout.ts";
import {
  listTree,
  readCpuSeconds,
  readKernelSeconds,
  readMachineSeconds,
  readMemoryBytes,
  readPrivateBytes,
} from "./measure.ts";
import type { Peer, RunningPeer } from "./peer.ts";
import { startSystemCallCount, type CallCounts } from "./system-calls.ts";
import type { Scenario } from "./scenarios.ts";
import { runWrk } from "./wrk.ts";

/** The figures of one run of one scenario against one peer. */
export interface RunFigures extends LoadResult {
  /** CPU seconds of the peer while measuring. */
  readonly cpuSeconds: number;
  /** Those of them that were spent in the kernel. */
  readonly kernelSeconds: number;
  /** CPU seconds of the whole machine while measuring: client, proxy, origin and everything else. */
  readonly machineSeconds: number;
  /** Bytes of memory of the peer: before the load, and at its end. */
  readonly memoryBefore: number;
  readonly memoryAfter: number;
  /** Those at the end that the peer has written itself. */
  readonly privateAfter: number;
  /** System calls of the peer per unit by name, when asked for. The counting slows it down. */
  readonly systemCalls?: CallCounts;
  /** Connections that the peer closed although the client had not asked for that; of requests only. */
  readonly closed?: number;
}

export interface RunOptions {
  readonly originPort: number;
  readonly ms: number;
  readonly countSystemCalls: boolean;
  readonly layout: Layout | undefined;
}

/** Starts the peer afresh, puts the load on it, and measures. Throws when either does not work. */
export async function runOnce(peer: Peer, scenario: Scenario, options: RunOptions): Promise<RunFigures> {
  await using running = await peer.start({ port: options.originPort });
  if (options.layout !== undefined) {
    const tree = listTree(running.pid).map(({ pid }) => pid);
    pin(tree, options.layout.proxy);
  }
  await Bun.sleep(scenario.restMs ?? 0);
  const memoryBefore = readMemoryBytes(running.pid);
  if (scenario.kind === "get") return await runGet(running, scenario, options, memoryBefore);
  if (peer.handshake === undefined) throw new Error(`${peer.name} has no tunnels.`);
  const order: LoadOrder = {
    port: running.port,
    originPort: options.originPort,
    handshake: peer.handshake,
    kind: scenario.kind,
    tunnels: scenario.tunnels,
    messageBytes: scenario.messageBytes,
    ms: scenario.kind === "idle" ? 500 : options.ms,
    ...(scenario.first !== undefined && { first: scenario.first }),
    ...(scenario.warmUpMs !== undefined && { warmUpMs: scenario.warmUpMs }),
  };
  const load = startLoad(order);
  try {
    await load.nextLine();
    const figures = await watch(running, memoryBefore, options, async () => {
      load.say("go");
      return JSON.parse(await load.nextLine()) as LoadResult;
    });
    load.say("bye");
    return figures;
  } finally {
    await load.end();
  }
}

async function runGet(
  running: RunningPeer,
  scenario: Scenario,
  options: RunOptions,
  memoryBefore: number,
): Promise<RunFigures> {
  const target = {
    proxyPort: running.port,
    originPort: options.originPort,
    connections: scenario.tunnels,
    bytes: scenario.messageBytes,
  };
  // Programs that compile what they run often need a while for that.
  await runWrk({ ...target, seconds: 2 });
  return watch(running, memoryBefore, options, () =>
    runWrk({ ...target, seconds: Math.max(1, Math.round(options.ms / 1000)) }),
  );
}

/** Measures a peer while `work` is done. */
async function watch(
  { pid }: RunningPeer,
  memoryBefore: number,
  options: RunOptions,
  work: () => Promise<LoadResult & { readonly closed?: number }>,
): Promise<RunFigures> {
  const counter = options.countSystemCalls ? await startSystemCallCount(pid) : undefined;
  const [cpuBefore, kernelBefore, machineBefore] = [readCpuSeconds(pid), readKernelSeconds(pid), readMachineSeconds()];
  const result = await work();
  const cpuSeconds = readCpuSeconds(pid) - cpuBefore;
  const kernelSeconds = readKernelSeconds(pid) - kernelBefore;
  const machineSeconds = readMachineSeconds() - machineBefore;
  const calls = await counter?.stop();
  return {
    ...result,
    cpuSeconds,
    kernelSeconds,
    machineSeconds,
    memoryBefore,
    memoryAfter: readMemoryBytes(pid),
    privateAfter: readPrivateBytes(pid),
    ...(calls === undefined ? {} : { systemCalls: share(calls, result.units) }),
  };
}

function share(calls: CallCounts, units: number): CallCounts {
  return Object.fromEntries(Object.entries(calls).map(([name, count]) => [name, count / Math.max(1, units)]));
}

interface Load {
  nextLine(): Promise<string>;
  say(line: string): void;
  end(): Promise<void>;
}

function startLoad(order: LoadOrder): Load {
  const program = new URL("./load/client.ts", import.meta.url).pathname;
  const child = Bun.spawn([process.execPath, program, JSON.stringify(order)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  const lines = readLines(child.stdout);
  return {
    async nextLine() {
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`The load client ended: ${(await child.stderr.text()).slice(-600)}`);
      return value;
    },
    say(line) {
      void child.stdin.write(`${line}\n`);
      void child.stdin.flush();
    },
    async end() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}
