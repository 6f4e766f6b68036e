import type { CompiledConfig } from "../config/compile.ts";
import { followFiles } from "../config/follow-files.ts";
import { formatProblem } from "../config/problem.ts";
import { watchCertificates } from "../config/watch-certificates.ts";
import type { FileText } from "../config/read-file.ts";
import { watchFile } from "../config/watch-file.ts";
import { type Daemon, startDaemon } from "../daemon.ts";
import { InheritedSockets } from "../net/inherited-sockets.ts";
import { createCommand } from "./command.ts";
import { ServiceNotices } from "./service-notices.ts";
import { configArgs, configHints, configLists, loadFromFlags, tellProblems } from "./config-args.ts";
import { type CliIo, exitCodes } from "./io.ts";

/** `penstock serve`: runs the proxy until it is told to stop. */
export const serve = createCommand({
  name: "serve",
  description: "Run the proxy until SIGTERM or SIGINT. A second one ends it at once.",
  args: configArgs,
  lists: configLists,
  hints: configHints,
  async run(input) {
    const { io } = input;
    // First: no signal may kill a process that is about to carry tunnels.
    const unsubscribe = io.onOtherSignal((signal) => io.tell(describeSignal(signal)));
    const stopping = new StopSignals(io);
    try {
      return await serveUntil(stopping, input);
    } finally {
      stopping.close();
      unsubscribe();
    }
  },
});

async function serveUntil(stopping: StopSignals, input: Parameters<typeof loadFromFlags>[0]): Promise<number> {
  const { io } = input;
  // Loading can take long or never end: a configuration file is a program.
  const loaded = await Promise.race([loadFromFlags(input), stopping.first]);
  if (typeof loaded === "string") {
    io.tell(`${loaded}: ended before it listened.`);
    return exitCodes.ok;
  }
  if (!loaded.ok) {
    tellProblems(loaded, io);
    return exitCodes.configuration;
  }
  const { compiled, file } = loaded.value;
  if (input.values("user").length > 0)
    io.tell('Warning: the process list shows the password given with --user. Set PENSTOCK_USERS or "users" instead.');
  const notices = new ServiceNotices(io);
  const inherited = InheritedSockets.take(io.variables, process.pid);
  const started = await startDaemon(compiled, {
    ...(inherited && { inherited }),
    accessSink: io.accessSink,
    tell: io.tell,
    onDrain: (state) => notices.draining(state),
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
  const watches = [
    watchUsers(daemon, compiled, io),
    followCertificates(daemon, compiled, io),
    followTrust(daemon, compiled, io),
  ];
  if (compiled.warmUp === "auto") daemon.warmUp();
  await stopping.end(daemon, notices);
  notices.close();
  for (const watch of watches) watch?.close();
  forget();
  return exitCodes.ok;
}

/** Says that a signal has no effect yet. */
function describeSignal(signal: string): string {
  switch (signal) {
    case "SIGHUP":
      return "SIGHUP: there is no reloading yet, nothing changes. Restart to use a new configuration; users files and certificates are followed by themselves.";
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

/** Applies changes of the users file. An invalid file leaves the users unchanged. */
function watchUsers(daemon: Daemon, compiled: CompiledConfig, io: CliIo) {
  const { usersFile } = compiled;
  if (!usersFile) return undefined;
  const { path } = usersFile;
  const tell = (read: FileText) => {
    if (!read.ok) return io.tell(`Cannot read ${path}: ${read.reason}. The users stay as they were.`);
    const replaced = daemon.replaceUsers(read.text);
    if (replaced.ok) return io.tell(`Read the users of ${path} again.`);
    io.tell(`Cannot use the new ${path}. The users stay as they were:`);
    for (const problem of replaced.problems) io.tell(`  ${formatProblem(problem)}`);
  };
  return watchFile(path, { known: usersFile.text, kind: "users", tell });
}

/** Applies changes of certificates, and warns before they expire. */
function followCertificates(daemon: Daemon, { tlsFiles }: CompiledConfig, io: CliIo) {
  return watchCertificates(tlsFiles, {
    replace: (listener, plan) => {
      const tls = daemon.tls[listener];
      if (!tls) throw new Error(`The listener ${listener} has no certificates to replace`);
      return tls.replace(plan);
    },
    tell: io.tell,
    now: Date.now,
  });
}

/** Applies changes of the certificates for upstreams and origins. */
function followTrust(daemon: Daemon, { trustFiles }: CompiledConfig, io: CliIo) {
  return (
    trustFiles &&
    followFiles(trustFiles, {
      apply: (renew) => {
        daemon.renewTrust(renew);
        io.tell("Read the certificates for upstreams and origins again.");
        return { ok: true };
      },
      refusal: "Cannot use the new certificates for upstreams and origins. The old ones stay:",
      tell: io.tell,
      now: Date.now,
    })
  );
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
