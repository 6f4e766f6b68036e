// What holds for the whole program, for the help, the man page and docs/cli.md.

/** A name, and a sentence about it. */
type Fact = readonly [name: string, says: string];

export const summary =
  "A forward proxy: CONNECT tunnels, upstream chaining, strict by default. Without a command it serves.";

export const exitCodeFacts: readonly Fact[] = [
  ["0", "Done. For explain: the target would be allowed. For healthcheck: the proxy is ready."],
  ["1", "Failure, or the answer is no: explain with a refused target, test with a failed expectation."],
  ["2", "The command line is wrong, or nothing says where the sidecar is."],
  ["78", "The configuration cannot be used (EX_CONFIG of sysexits.h)."],
];

export const signalFacts: readonly Fact[] = [
  ["SIGTERM, SIGINT", "Drain: accept nothing new, let tunnels end, then end. A second one ends at once."],
  ["SIGHUP", "Read the configuration again. One that cannot be used changes nothing."],
  ["SIGUSR1", "Open the log file again, after it was rotated."],
  ["SIGUSR2", "Start the executable again, which may be a new one, and hand over to it."],
];

export const fileFacts: readonly Fact[] = [
  [
    "proxy.config.ts, .js, .json, .yaml, .toml",
    "The configuration, in the working folder. --config or PENSTOCK_CONFIG name another one.",
  ],
  [
    "/etc/penstock/proxy.config.json",
    'The configuration of the service that "penstock service" sets up. Every command but serve reads the one in this folder where the working folder has none.',
  ],
  ["ca.pem, ca.key", 'The local authority of "penstock cert". Whoever has the key can sign for every name.'],
  ["fullchain.pem, privkey.pem", 'The certificate of "penstock cert" and its key. A running proxy follows them.'],
];

export const environmentFacts: readonly Fact[] = [
  ["PENSTOCK_CONFIG", "Path of the configuration file, as --config."],
  ["PENSTOCK_SIDECAR_TOKEN", "Token of the sidecar: for the proxy, and for the commands that ask it."],
  ["PENSTOCK_USERS", "Users as name:password, apart by spaces, instead of those of the file."],
  [
    "PENSTOCK_SETTING",
    "Other settings by their path in capitals: PENSTOCK_LIMITS_PER_USER_CONNECTIONS is limits.perUser.connections. The reference of the configuration lists them.",
  ],
  ["NO_COLOR", "No colours on a terminal, unless it is empty."],
  ["FORCE_COLOR", "Colours where standard output is no terminal, too. 0 and false: none at all."],
  ["COLUMNS", "Columns that help is wrapped at. Default: those of the terminal, else 80."],
];

export const jsonFact =
  "With --json standard output has the result alone, as JSON. What is told to people is then one line of JSON on standard error, when there is something to tell: exitCode, messages, and for a failure error, which is failure, usage or configuration. Commands that follow something (events, top) tell each message in a line of its own.";
