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
import { configArgs, configHints, configLists, loadFromFlags, tellProblems } from "./config-args.ts";
import { listProblems } from "./problem-lines.ts";
import { Follower } from "./follow-changes.ts";
import { MessageFilter, type Tell } from "../operator-message.ts";
import { type CliIo, exitCodes } from "./io.ts";
import { findFolders, listTries } from "./try-listener.ts";

/** `penstock serve`: runs the proxy until it is told to stop. */
export const serve = createCommand({
  name: "serve",
  description:
    "Run the proxy until SIGTERM or SIGINT; a second one ends it at once. SIGHUP reloads the configuration, SIGUSR1 opens the log file again, SIGUSR2 hands over to a new process.",
  examples: [
    ["penstock", "Serve with the configuration in the working folder, or with the defaults on 127.0.0.1:8080."],
    ["penstock --listen 127.0.0.1:3128 --upstream http://proxy.example:3128", "Send everything to another proxy."],
  ],
  withoutJson: 'it prints the access log, which is JSON by "log.access".',
  args: {
    ...configArgs,
    config: {
      ...configArgs.config,
      description:
        "Configuration file. Default: proxy.config.ts, .js, .json, .yaml or .toml in the working folder, if there is one.",
    },
    quiet: {
      type: "boolean",
      alias: "q",
      description:
        'Tell warnings and errors only on standard error, as "log.level": "warn" does. The access log stays as it is.',
    },
    verbose: {
      type: "boolean",
      alias: "v",
      description:
        'Trace the stages of connections on standard error, as "log.level": "debug" does. "log.debug" says whose.',
    },
  },
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
    const messages = new MessageFilter(io.report);
    const stopping = new StopSignals(io, messages.tell);
    try {
      return await serveUntil({ stopping, hangups, handovers, reopenings, messages }, input);
    } finally {
      stopping.close();
      unsubscribe();
    }
  },
});

/** What signals ask for, and where messages go. */
interface Signals {
  readonly messages: MessageFilter;
  readonly stopping: StopSignals;
  readonly hangups: Wishes;
  readonly handovers: Wishes;
  readonly reopenings: Wishes;
}

/** Receives what the process before this one hands over, where there is one; then serves. */
async function serveUntil(signals: Signals, input: CommandInput): Promise<number> {
  const { tell } = signals.messages;
  const { [CHANNEL_VARIABLE]: channel, ...variables } = input.io.variables;
  const io = { ...input.io, variables };
  if (channel === undefined) return run(signals, { ...input, io });
  const successor = Successor.receive(Number(channel));
  if (typeof successor === "string") {
    tell(`Cannot take over from another process (${CHANNEL_VARIABLE}=${channel}): ${successor}.`, "error");
    return exitCodes.failure;
  }
  const { pid, program } = successor.predecessor;
  tell(`Taking over from process ${pid} (Penstock ${program}).`, "info");
  return run(signals, { ...input, io }, successor);
}

async function run(
  { stopping, hangups, handovers, reopenings, messages }: Signals,
  input: CommandInput,
  successor?: Successor,
): Promise<number> {
  const { io } = input;
  const { tell } = messages;
  const warn = (warning: string) => tell(warning, "warn");
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
    tell,
  );
  const starting = input.has("quiet") ? withoutStatus(input) : input;
  const reading = { modules, ownName, ownFolder: true } as const;
  const loaded = await Promise.race([loadFromFlags(starting, { ...reading, warn, ...before }), stopping.first]);
  if (typeof loaded === "string") {
    tell(`${loaded}: ended before it listened.`, "info");
    return exitCodes.ok;
  }
  if (!loaded.ok) {
    tellProblems(loaded, { tell: (line) => tell(line, "error") });
    await successor?.fail(exitCodes.configuration, listProblems(loaded));
    return exitCodes.configuration;
  }
  const { compiled, file } = loaded.value;
  messages.level = compiled.log.level;
  let [source, nextSource] = [loaded.value, loaded.value];
  if (input.values("user").length > 0)
    warn('The process list shows the password given with --user. Set PENSTOCK_USERS or "users" instead.');
  const notices = new ServiceNotices(io, tell);
  let follower: Follower | undefined;
  const takenOver = Promise.withResolvers<void>();
  const inherited = InheritedSockets.take(io.variables, process.pid);
  const started = await startDaemon(compiled, {
    ...(inherited && { inherited }),
    accessSink: io.accessSink,
    tell,
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
      const findList = (key: string) => (started.ok ? started.daemon.lists.read(key) : undefined);
      const again = { ...reading, inUse: source, turn, findList };
      const read = await loadFromFlags(withoutStatus(input), { ...again, warn: () => undefined });
      if (read.ok) nextSource = read.value;
      return read;
    },
    reloaded: (inUse, files, done) => {
      if (done) source = nextSource;
      messages.level = inUse.log.level;
      if (done) follower?.follow(inUse, files, readSince);
      else follower?.followAlso(files, readSince);
      if (started.ok) notices.ready(started.daemon, done ? "succeeded" : "failed");
    },
  });
  if (!started.ok) {
    tell(started.message, "error");
    await successor?.fail(exitCodes.failure, [started.message]);
    return exitCodes.failure;
  }
  const { daemon } = started;
  // An uncaught error ends at most one connection.
  const forget = io.onBug((error) => daemon.reportBug(error));
  tellStart(daemon, compiled, file, tell);
  // For the person who starts it, and for no journal.
  if (io.terminal || input.has("verbose"))
    for (const line of listTries(compiled, daemon.listeners, findFolders(file, io.folder)))
      tell(`Try it: ${line}`, "info");
  if (!successor) takenOver.resolve();
  // The service manager takes messages of a successor once the old process has named it.
  void takenOver.promise.then(() => {
    notices.ready(daemon);
    notices.watch(daemon);
  });
  follower = new Follower(daemon, tell);
  follower.follow(compiled, loaded.files, readSince);
  hangups.fulfil(() => {
    tell("SIGHUP: reading the configuration again.", "info");
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

/** For a proxy that serves: lines of the access log may be on the same terminal. */
function withoutStatus(input: CommandInput): CommandInput {
  return { ...input, io: { ...input.io, showStatus: undefined } };
}

function tellStart(daemon: Daemon, compiled: CompiledConfig, file: string | undefined, tell: Tell): void {
  tell(file === undefined ? "No configuration file: the defaults hold." : `Configuration from ${file}.`, "info");
  if (compiled.effective["open"] === true && !compiled.runtime.authenticator.required)
    tell("This is an open proxy. Anybody who reaches it can use it.", "warn");
  for (const { text } of daemon.listeners) tell(`Listening on ${text}.`, "info");
  if (daemon.sidecar) tell(`Sidecar on ${daemon.sidecar.text}.`, "info");
  tell(daemon.driving, "info");
  tell(daemon.splicing, "info");
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
  readonly #tell: Tell;
  #daemon: Daemon | undefined;
  #notices: ServiceNotices | undefined;
  /** Signals since the proxy serves. */
  #came: string[] = [];

  constructor(io: CliIo, tell: Tell) {
    const first = Promise.withResolvers<string>();
    this.#tell = tell;
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
      this.#tell(`${signal} again: ending all connections.`, "warn");
      void daemon.stop();
    }
  }
}
