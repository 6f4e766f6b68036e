import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { SYSTEM_FOLDER } from "../config/find-config-file.ts";
import { readAccounts } from "./accounts.ts";
import { createCommand } from "./command.ts";
import { configArgs } from "./config-args.ts";
import { endWith, exitCodes, type Machine } from "./io.ts";
import { describeWriteError } from "./open-output.ts";
import { isWithin } from "./service-unit.ts";

/** Where `--install` writes. */
const UNIT_FILE = "/etc/systemd/system/penstock.service";
const DEFAULT_CONFIG = `${SYSTEM_FOLDER}/proxy.config.json`;

/** `penstock service`: a unit for systemd. */
export const service = createCommand({
  name: "service",
  description: "Print a hardened unit for systemd, or write it.",
  examples: [["penstock service --install", "Write the unit; then run systemctl daemon-reload."]],
  withoutJson: "it is a unit of systemd.",
  args: {
    config: { ...configArgs.config, description: `Configuration file of the service. Default: ${DEFAULT_CONFIG}.` },
    executable: {
      type: "string",
      valueHint: "PATH",
      description: "The executable that the service runs. Default: this one.",
    },
    user: {
      type: "string",
      valueHint: "NAME",
      description: "User of the service, which must be there. Default: one that exists only while the service runs.",
    },
    install: { type: "boolean", description: `Write the unit to ${UNIT_FILE} instead of printing it.` },
    output: { type: "string", alias: "o", valueHint: "FILE", description: "Where --install writes instead." },
    force: { type: "boolean", description: "Replace a unit that is there and differs." },
  },
  async run({ io, value, has }) {
    const executable = resolve(io.folder, value("executable") ?? process.execPath);
    const config = resolve(io.folder, value("config") ?? DEFAULT_CONFIG);
    const fault = [executable, config].find((path) => /[\s"'%$\\]/.test(path));
    if (fault !== undefined)
      return endWith(
        io,
        `Cannot write ${JSON.stringify(fault)} into a unit: it has spaces, quotes, %, $ or \\. Choose another path.`,
        exitCodes.usage,
      );
    const user = value("user");
    if (user !== undefined && !/^[a-z_][a-z0-9_-]{0,31}$/.test(user))
      return endWith(
        io,
        `--user is ${JSON.stringify(user)}. Wanted is the name of a user, such as penstock.`,
        exitCodes.usage,
      );
    const unit = writeUnit(executable, config, user);
    if (!has("install")) {
      await io.print(unit);
      return exitCodes.ok;
    }
    const path = resolve(io.folder, value("output") ?? UNIT_FILE);
    const problem = await install(path, unit, has("force"));
    if (problem !== undefined) return endWith(io, `Cannot write ${path}: ${problem}.`, exitCodes.failure);
    for (const warning of listMissing({ executable, config, user }, io.machine)) io.tell(`Warning: ${warning}`);
    return endWith(
      io,
      `Wrote ${path}. Now run: systemctl daemon-reload && systemctl enable --now penstock`,
      exitCodes.ok,
    );
  },
});

interface Wanted {
  readonly executable: string;
  readonly config: string;
  readonly user: string | undefined;
}

/** Folders that the unit hides. */
const HIDDEN = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/** What would keep the service from starting. */
function listMissing({ executable, config, user }: Wanted, { root, configFolder = SYSTEM_FOLDER }: Machine): string[] {
  const hides = (path: string): string | undefined => HIDDEN.find((folder) => isWithin(path, [folder]));
  const target = "/usr/local/bin/penstock";
  const [program, file] = [hides(executable), hides(config)];
  return [
    ...(program === undefined
      ? []
      : [
          `the unit hides ${program} from the service, and so ${executable}. Run "install -m 755 ${executable} ${target}", and name it with --executable ${target}.`,
        ]),
    ...(file === undefined
      ? []
      : [
          `the unit hides ${file} from the service, and so ${config}. Put it into ${configFolder}, and name it with --config.`,
        ]),
    ...(existsSync(config)
      ? []
      : [`there is no ${config} yet, and the service starts only with it. ${adviseInit(config)}`]),
    ...(user === undefined || readAccounts(root).find(user) !== undefined
      ? []
      : [`there is no user ${user} in /etc/passwd. Run "useradd --system --user-group ${user}".`]),
  ];
}

function adviseInit(config: string): string {
  const [, format] = /\/proxy\.config\.(ts|json|yaml|toml)$/.exec(config) ?? [];
  if (format === undefined) return '"penstock init" writes one to begin with.';
  const folder = dirname(config);
  return `To begin with, run "mkdir -p ${folder} && cd ${folder} && penstock init --format ${format}".`;
}

/** Writes the unit; says why it cannot. One that is there already and the same is left as it is. */
async function install(path: string, unit: string, force: boolean): Promise<string | undefined> {
  try {
    await writeFile(path, unit, { flag: force ? "w" : "wx", mode: 0o644 });
    return undefined;
  } catch (error) {
    const there = await readFile(path, "utf8").catch(() => undefined);
    return there === unit ? undefined : describeWriteError(error);
  }
}

function writeUnit(executable: string, config: string, user: string | undefined): string {
  return `# Written by "penstock service". Change it with: systemctl edit penstock
[Unit]
Description=Penstock, a forward proxy
Documentation=man:systemd.service(5)
Wants=network-online.target
After=network-online.target

[Service]
# The proxy says when its listeners accept, and feeds the watchdog from its event loop.
Type=notify
# The main process: at a hand-over the old one names the new one (MAINPID=).
NotifyAccess=main
WatchdogSec=30s
ExecStart=${executable} serve --config ${config}
# The shell's own kill: a small system has no /bin/kill.
ExecReload=/bin/sh -c "kill -HUP $MAINPID"
Restart=on-failure
# 2: wrong flags, 78: invalid configuration. To try again changes nothing.
RestartPreventExitStatus=2 78
# The proxy asks for more while it drains ("timeouts.drain").
TimeoutStopSec=15s
KillMode=mixed
LimitNOFILE=1048576

# A user of its own, which must be able to read the configuration and what it names.
${user === undefined ? "DynamicUser=yes" : `User=${user}`}
StateDirectory=penstock
StateDirectoryMode=0700
RuntimeDirectory=penstock
UMask=0077

# Ports below 1024, and nothing else of root.
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
NoNewPrivileges=yes

ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
LockPersonality=yes
RemoveIPC=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
# MemoryDenyWriteExecute= is left out: the engine compiles JavaScript to machine
# code, and with it every start fails.

[Install]
WantedBy=multi-user.target
`;
}
