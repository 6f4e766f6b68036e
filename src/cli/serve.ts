import type { CompiledConfig } from "../config/compile.ts";
import { followFiles } from "../config/follow-files.ts";
import { formatProblem } from "../config/problem.ts";
import { watchCertificates } from "../config/watch-certificates.ts";
import type { FileText } from "../config/read-file.ts";
import { watchFile } from "../config/watch-file.ts";
import { type Daemon, startDaemon } from "../daemon.ts";
import { createCommand } from "./command.ts";
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
    // From the beginning: none of these may end what is about to carry tunnels.
    const unsubscribe = io.onOtherSignal((signal) => io.tell(describeSignal(signal)));
    const loaded = await loadFromFlags(input);
    if (!loaded.ok) {
      tellProblems(loaded, io);
      return exitCodes.configuration;
    }
    const { compiled, file } = loaded.value;
    if (input.values("user").length > 0)
      io.tell('Warning: the process list shows the password given with --user. Set PENSTOCK_USERS or "users" instead.');
    const started = await startDaemon(compiled, {
      accessSink: io.accessSink,
      tell: io.tell,
    });
    if (!started.ok) {
      io.tell(started.message);
      return exitCodes.failure;
    }
    // What nothing caught ended at most what it was about: the others live on.
    const forget = io.onBug((error) => started.daemon.reportBug(error));
    // Before anybody is told that it runs: a signal may follow at once.
    const stopped = stopWhenTold(started.daemon, compiled.drainMs, io);
    tellStart(started.daemon, compiled, file, io);
    const watches = [
      watchUsers(started.daemon, compiled, io),
      followCertificates(started.daemon, compiled, io),
      followTrust(started.daemon, compiled, io),
    ];
    await stopped;
    for (const watch of watches) watch?.close();
    forget();
    unsubscribe();
    return exitCodes.ok;
  },
});

/** What a signal does that other programs know, and this one does not yet. */
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

/** Puts changes of the users file into effect; one that cannot be used leaves the users as they are. */
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

/** Puts changes of certificates into effect, and warns before they expire. */
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

/** Puts changes of the certificates for upstreams and origins into effect. */
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

/** Milliseconds for the last lines and the sidecar, beyond what tunnels get. Whoever reads our output may be stuck. */
const CLOSING_MS = 2000;

/** Resolves once the daemon is gone: drained after the first signal, cut short by the second. */
function stopWhenTold(daemon: Daemon, drainMs: number, io: CliIo): Promise<void> {
  return new Promise((resolve, reject) => {
    let signals = 0;
    const unsubscribe = io.onStopSignal((signal) => {
      signals++;
      if (signals > 2) return;
      const first = signals === 1;
      io.tell(
        first
          ? `${signal}: accepting no more connections, letting tunnels end. Once more to end them at once.`
          : `${signal} again: ending all connections.`,
      );
      const end = first ? withinMs(daemon.drain(), drainMs + CLOSING_MS) : withinMs(daemon.stop(), CLOSING_MS);
      end.finally(unsubscribe).then(resolve, reject);
    });
  });
}

/** Waits for `work`, but no longer than `ms` milliseconds. */
async function withinMs(work: Promise<void>, ms: number): Promise<void> {
  let timer: Timer | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, timeout]);
  clearTimeout(timer);
}
