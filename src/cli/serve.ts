import type { CompiledConfig } from "../config/compile.ts";
import { createOwnName } from "../config/forward.ts";
import { ScriptModules } from "../config/script-modules.ts";
import type { LoadOptions } from "../config/load.ts";
import { type Daemon, startDaemon } from "../daemon.ts";
import { InheritedSockets } from "../net/inherited-sockets.ts";
import { carrySource } from "../handover/carried-state.ts";
import { Successor } from "../handover/successor.ts";
import { type CommandInput, createCommand } from "./command.ts";
import { CHANNEL_VARIABLE } from "./start-successor.ts";
import { ServiceNotices } from "./service-notices.ts";
import { configArgs, configHints, configLists, loadFromFlags, listProblems, tellProblems } from "./config-args.ts";
import { Follower } from "./follow-changes.ts";
import { type CliIo, exitCodes } from "./io.ts";

/** `penstock serve`: runs the proxy until it is told to stop. */
export const serve = createCommand({
  name: "serve",
  description:
    "Run the proxy until SIGTERM or SIGINT; a second one ends it at once. SIGHUP reloads the configuration, SIGUSR1 opens the log file again, SIGUSR2 hands over to a new process.",
  args: configArgs,
  lists: configLists,
  hints: configHints,
  async run(input) {
    const { io } = input;
    // First: no signal may kill a process that is about to carry tunnels.
    const hangups = new Wishes();
    const handovers = new Wishes();
    const reopenings = new Wishes();
    const unsubscribe = io.onOtherSignal((signal) => {
      if (signal === "SIGHUP") hangups.take();
      else if (signal === "SIGUSR2") handovers.take();
      else reopenings.take();
    });
    const stopping = new StopSignals(io);
    try {
      return await serveUntil({ stopping, hangups, handovers, reopenings }, input);
    } finally {
      stopping.close();
      unsubscribe();
    }
  },
});

/** What signals ask for. */
interface Signals {
  readonly stopping: StopSignals;
  readonly hangups: Wishes;
  readonly handovers: Wishes;
  readonly reopenings: Wishes;
}

/** Receives what the process before this one hands over, where there is one; then serves. */
async function serveUntil(signals: Signals, input: CommandInput): Promise<number> {
  const { [CHANNEL_VARIABLE]: channel, ...variables } = input.io.variables;
  const io = { ...input.io, variables };
  if (channel === undefined) return run(signals, { ...input, io });
  const successor = Successor.receive(Number(channel));
  if (typeof successor === "string") {
    io.tell(`Cannot take over from another process (${CHANNEL_VARIABLE}=${channel}): ${successor}.`);
    return exitCodes.failure;
  }
  const { pid, program } = successor.predecessor;
  io.tell(`Taking over from process ${pid} (Penstock ${program}).`);
  return run(signals, { ...input, io }, successor);
}

async function run(
  { stopping, hangups, handovers, reopenings }: Signals,
  input: CommandInput,
  successor?: Successor,
): Promise<number> {
  const { io } = input;
  // Loading can take long or never end: a configuration file is a program.
  const modules = new ScriptModules();
  const ownName = createOwnName();
  let readSince = Date.now();
  // What the process before this one ran with.
  const before: { inUse?: NonNullable<LoadOptions["inUse"]> } = {};
  successor?.restore(
    [
      carrySource(
        () => ({}),
        (found) => (before.inUse = found),
      ),
    ],
    io.tell,
  );
  const loaded = await Promise.race([loadFromFlags(input, { modules, ownName, ...before }), stopping.first]);
  if (typeof loaded === "string") {
    io.tell(`${loaded}: ended before it listened.`);
    return exitCodes.ok;
  }
  if (!loaded.ok) {
    tellProblems(loaded, io);
    await successor?.fail(exitCodes.configuration, listProblems(loaded));
    return exitCodes.configuration;
  }
  const { compiled, file } = loaded.value;
  let [source, nextSource] = [loaded.value, loaded.value];
  if (input.values("user").length > 0)
    io.tell('Warning: the process list shows the password given with --user. Set PENSTOCK_USERS or "users" instead.');
  const notices = new ServiceNotices(io);
  let follower: Follower | undefined;
  const takenOver = Promise.withResolvers<void>();
  const inherited = InheritedSockets.take(io.variables, process.pid);
  const started = await startDaemon(compiled, {
    ...(inherited && { inherited }),
    accessSink: io.accessSink,
    tell: io.tell,
    ...(successor && { successor, onTakenOver: () => takenOver.resolve() }),
    carried: [carrySource(() => source)],
    successors: {
      start: io.startSuccessor,
      onHandedOver: (pid) => notices.handedOver(pid),
      onResumed: () => notices.resumed(),
    },
    stopIsFinal: notices.isManaged,
    onDrain: (state) => notices.draining(state),
    load: async (turn) => {
      readSince = Date.now();
      notices.reloading();
      const read = await loadFromFlags(input, { modules, inUse: source, ownName, silent: true, turn });
      if (read.ok) nextSource = read.value;
      return read;
    },
    reloaded: (inUse, files, done) => {
      if (done) source = nextSource;
      if (done) follower?.follow(inUse, files, readSince);
      else follower?.followAlso(files, readSince);
      if (started.ok) notices.ready(started.daemon);
    },
  });
  if (!started.ok) {
    io.tell(started.message);
    await successor?.fail(exitCodes.failure, [started.message]);
    return exitCodes.failure;
  }
  const { daemon } = started;
  // An uncaught error ends at most one connection.
  const forget = io.onBug((error) => daemon.reportBug(error));
  tellStart(daemon, compiled, file, io);
  if (!successor) takenOver.resolve();
  // The service manager takes messages of a successor once the old process has named it.
  void takenOver.promise.then(() => {
    notices.ready(daemon);
    notices.watch(daemon);
  });
  follower = new Follower(daemon, io);
  follower.follow(compiled, loaded.files, readSince);
  hangups.fulfil(() => {
    io.tell("SIGHUP: reading the configuration again.");
    void daemon.reload();
  });
  handovers.fulfil(() => void daemon.handOver("SIGUSR2"));
  reopenings.fulfil(() => daemon.reopenLogs());
  if (compiled.warmUp === "auto") daemon.warmUp();
  await stopping.end(daemon, notices);
  notices.close();
  follower.close();
  forget();
  return exitCodes.ok;
}

function tellStart(daemon: Daemon, compiled: CompiledConfig, file: string | undefined, io: CliIo): void {
  io.tell(file === undefined ? "No configuration file: the defaults hold." : `Configuration from ${file}.`);
  if (compiled.effective["open"] === true && !compiled.runtime.authenticator.required)
    io.tell("Warning: this is an open proxy. Anybody who reaches it can use it.");
  for (const { text } of daemon.listeners) io.tell(`Listening on ${text}.`);
  if (daemon.sidecar) io.tell(`Sidecar on ${daemon.sidecar.text}.`);
  io.tell(daemon.driving);
  io.tell(daemon.splicing);
}

/** Signals of one kind. One that comes before there is a daemon counts once there is one: the file may have been read before it changed. */
class Wishes {
  #came = false;
  #fulfil: (() => void) | undefined;

  take(): void {
    if (this.#fulfil === undefined) this.#came = true;
    else this.#fulfil();
  }

  fulfil(fulfil: () => void): void {
    this.#fulfil = fulfil;
    if (this.#came) fulfil();
  }
}

/** SIGTERM and SIGINT. Those that come before there is a daemon count as well. */
class StopSignals {
  /** The first signal. */
  readonly first: Promise<string>;
  /** Stops listening. */
  readonly close: () => void;
  readonly #io: CliIo;
  #daemon: Daemon | undefined;
  #notices: ServiceNotices | undefined;
  /** Signals since the proxy serves. */
  #came: string[] = [];

  constructor(io: CliIo) {
    const first = Promise.withResolvers<string>();
    this.#io = io;
    this.first = first.promise;
    this.close = io.onStopSignal((signal) => {
      first.resolve(signal);
      this.#came.push(signal);
      this.#act();
    });
  }

  /** Resolves once the daemon is gone: it drains after the first signal, and the second ends it at once. */
  async end(daemon: Daemon, notices: ServiceNotices): Promise<void> {
    this.#daemon = daemon;
    this.#notices = notices;
    if (this.#came.length > 0) this.#act();
    await daemon.ended;
  }

  #act(): void {
    const daemon = this.#daemon;
    const signal = this.#came.at(-1);
    if (daemon === undefined || signal === undefined) return;
    if (this.#came.length === 1) {
      this.#notices?.stopping();
      // After a drain that was taken back the next signal is a first one again.
      void daemon.drain(signal).then((outcome) => {
        if (outcome === "resumed") this.#came = [];
      });
    } else {
      this.#io.tell(`${signal} again: ending all connections.`);
      void daemon.stop();
    }
  }
}
