import type { CompiledConfig } from "../config/compile.ts";
import { createOwnName } from "../config/forward.ts";
import { ScriptModules } from "../config/script-modules.ts";
import { type Daemon, startDaemon } from "../daemon.ts";
import { InheritedSockets } from "../net/inherited-sockets.ts";
import { createCommand } from "./command.ts";
import { ServiceNotices } from "./service-notices.ts";
import { configArgs, configHints, configLists, loadFromFlags, tellProblems } from "./config-args.ts";
import { Follower } from "./follow-changes.ts";
import { type CliIo, exitCodes } from "./io.ts";

/** `penstock serve`: runs the proxy until it is told to stop. */
export const serve = createCommand({
  name: "serve",
  description: "Run the proxy until SIGTERM or SIGINT; a second one ends it at once. SIGHUP reloads the configuration.",
  args: configArgs,
  lists: configLists,
  hints: configHints,
  async run(input) {
    const { io } = input;
    // First: no signal may kill a process that is about to carry tunnels.
    const hangups = new Hangups();
    const unsubscribe = io.onOtherSignal((signal) => {
      if (signal === "SIGHUP") hangups.take();
      else io.tell(describeSignal(signal));
    });
    const stopping = new StopSignals(io);
    try {
      return await serveUntil(stopping, hangups, input);
    } finally {
      stopping.close();
      unsubscribe();
    }
  },
});

async function serveUntil(
  stopping: StopSignals,
  hangups: Hangups,
  input: Parameters<typeof loadFromFlags>[0],
): Promise<number> {
  const { io } = input;
  // Loading can take long or never end: a configuration file is a program.
  const modules = new ScriptModules();
  const ownName = createOwnName();
  let readSince = Date.now();
  const loaded = await Promise.race([loadFromFlags(input, { modules, ownName }), stopping.first]);
  if (typeof loaded === "string") {
    io.tell(`${loaded}: ended before it listened.`);
    return exitCodes.ok;
  }
  if (!loaded.ok) {
    tellProblems(loaded, io);
    return exitCodes.configuration;
  }
  const { compiled, file } = loaded.value;
  let [source, nextSource] = [loaded.value, loaded.value];
  if (input.values("user").length > 0)
    io.tell('Warning: the process list shows the password given with --user. Set PENSTOCK_USERS or "users" instead.');
  const notices = new ServiceNotices(io);
  let follower: Follower | undefined;
  const inherited = InheritedSockets.take(io.variables, process.pid);
  const started = await startDaemon(compiled, {
    ...(inherited && { inherited }),
    accessSink: io.accessSink,
    tell: io.tell,
    stopIsFinal: notices.isManaged,
    onDrain: (state) => notices.draining(state),
    load: async (turn) => {
      readSince = Date.now();
      notices.reloading();
      const read = await loadFromFlags(input, { modules, inUse: source, ownName, isReload: true, turn });
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
    return exitCodes.failure;
  }
  const { daemon } = started;
  // An uncaught error ends at most one connection.
  const forget = io.onBug((error) => daemon.reportBug(error));
  tellStart(daemon, compiled, file, io);
  notices.ready(daemon);
  notices.watch(daemon);
  follower = new Follower(daemon, io);
  follower.follow(compiled, loaded.files, readSince);
  hangups.reload(() => {
    io.tell("SIGHUP: reading the configuration again.");
    void daemon.reload();
  });
  if (compiled.warmUp === "auto") daemon.warmUp();
  await stopping.end(daemon, notices);
  notices.close();
  follower.close();
  forget();
  return exitCodes.ok;
}

/** Says that a signal has no effect yet. */
function describeSignal(signal: string): string {
  switch (signal) {
    case "SIGUSR1":
      return "SIGUSR1: there are no log files to reopen, nothing changes. Access lines go to standard output.";
    default:
      return `${signal}: there is no handing over to a new program yet, nothing changes.`;
  }
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

/** SIGHUP. One that comes before there is a daemon counts once there is one: the file may have been read before it changed. */
class Hangups {
  #came = false;
  #reload: (() => void) | undefined;

  take(): void {
    if (this.#reload === undefined) this.#came = true;
    else this.#reload();
  }

  reload(reload: () => void): void {
    this.#reload = reload;
    if (this.#came) reload();
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
