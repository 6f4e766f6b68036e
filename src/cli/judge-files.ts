import { basename, dirname, join } from "node:path";
import type { LoadOptions } from "../config/load.ts";
import type { NamedFile } from "../config/gather-materials.ts";
import { type Problem, quoteValue } from "../config/problem.ts";
import { type Account, type Accounts, readAccounts } from "./accounts.ts";
import type { CommandInput } from "./command.ts";
import { ENTER, type Obstacle, READ, type Walked, walk, WRITE } from "./file-access.ts";
import type { Machine } from "./io.ts";
import { follow } from "./service-environment.ts";
import { isWithin, readServiceUnit, type ServiceUnit } from "./service-unit.ts";
import { quoteWord } from "./shell-word.ts";

/** As whom files are judged. */
export interface Reader {
  readonly account: Account;
  readonly accounts: Accounts;
  /** The unit that runs the service as that user; undefined where somebody named the user. */
  readonly unit: ServiceUnit | undefined;
  /** Where files can be put for the service. */
  readonly configFolder: string;
}

/** What `check` does for another user. */
export interface Judge {
  readonly judgeFiles: NonNullable<LoadOptions["judgeFiles"]>;
  /** For whom files were judged; a text when nobody could. */
  readonly judged: () => Reader | string | undefined;
}

/**
 * Prepares to judge files, as the user that `--as` names or that of the service. Undefined
 * for who is not root: that process reads the files itself. A text when that cannot be done.
 */
export function createJudge({ value, io }: Pick<CommandInput, "value" | "io">): Judge | string | undefined {
  const named = value("as");
  const { machine } = io;
  if (!machine.isRoot)
    return named === undefined
      ? undefined
      : "--as looks at files for another user, which only root can. Run it as root.";
  const given = named === undefined ? undefined : readReader(named, machine);
  if (typeof given === "string") return given;
  let reader: Reader | string | undefined;
  return {
    judgeFiles(files) {
      const [config] = files;
      reader = config && (given ?? findReader(config.name, machine));
      return typeof reader === "object" ? findUnusable(files, reader) : [];
    },
    judged: () => reader,
  };
}

/** What to say of a configuration that is valid. */
export function describeJudged(reader: Reader | string | undefined): string | undefined {
  if (typeof reader !== "object") return reader && `Warning: ${reader}`;
  const { account, unit } = reader;
  return `${account.name}${unit === undefined ? "" : `, as whom ${unit.path} runs the service,`} can read its files.`;
}

/** The user of `--as`. */
function readReader(user: string, { root, configFolder = "/" }: Machine): Reader | string {
  const accounts = readAccounts(root);
  const account = accounts.find(user);
  if (account === undefined)
    return `--as is ${quoteValue(user)}, whom /etc/passwd does not have. Write a name or a number.`;
  return { account, accounts, unit: undefined, configFolder };
}

/** The account that packages make. */
const ACCOUNT = "penstock";

/**
 * The user whose files a configuration needs: that of the unit which starts with this
 * file, or the account of the packages for a file of the system folder without a unit.
 */
function findReader(file: string, machine: Machine): Reader | string | undefined {
  const unit = readServiceUnit(machine.root);
  const isOfService =
    unit === undefined
      ? isWithin(file, [machine.configFolder ?? file])
      : unit.config !== undefined && follow(unit.config) === follow(file);
  return isOfService ? findService(unit, machine) : undefined;
}

/** As whom the service reads; undefined where there is none, a text where nobody knows the user. */
function findService(unit: ServiceUnit | undefined, { root, configFolder }: Machine): Reader | string | undefined {
  if (configFolder === undefined) return undefined;
  const accounts = readAccounts(root);
  const account = unit === undefined ? accounts.find(ACCOUNT) : findAccount(unit, accounts);
  if (account !== undefined) return { account, accounts, unit, configFolder };
  return (
    unit &&
    `${unit.path} runs the service as ${unit.user ?? "root"}, whom /etc/passwd does not have: whether that user can read the files is not known.`
  );
}

/** Why the service cannot read a file that root has put into the folder of its configuration, and what mends it. */
export function findUnread(file: string, machine: Machine): string | undefined {
  if (!machine.isRoot || machine.configFolder === undefined || !isWithin(file, [machine.configFolder]))
    return undefined;
  const reader = findService(readServiceUnit(machine.root), machine);
  return typeof reader === "object"
    ? judgeFile(file, join(machine.configFolder, "proxy.config.json"), reader)
    : undefined;
}

function findAccount({ user = "root", isDynamic, group, supplementaryGroups }: ServiceUnit, accounts: Accounts) {
  const found = accounts.find(user) ?? (isDynamic ? { name: user, uid: -1, groups: [] } : undefined);
  if (found === undefined) return undefined;
  const own = group === undefined ? found.groups : [accounts.findGroup(group), ...found.groups];
  const groups = [...own, ...supplementaryGroups.map((name) => accounts.findGroup(name))];
  return { ...found, groups: groups.filter((each) => each !== undefined) };
}

/** What that user could not read, and the folder of the state where it cannot be written; each once, with what mends it. */
function findUnusable(files: readonly NamedFile[], reader: Reader): Problem[] {
  const config = files[0]?.name ?? "/";
  const seen = new Set<string>();
  return files.flatMap(({ path, kind, name }) => {
    if (seen.has(name)) return [];
    seen.add(name);
    const message = kind === "state" ? judgeState(name, reader) : judgeFile(name, config, reader);
    return message === undefined ? [] : [{ path, message }];
  });
}

function judgeFile(file: string, config: string, reader: Reader): string | undefined {
  const { account, unit } = reader;
  const walked = walk(file, account, READ);
  if (walked === undefined) return undefined;
  const hidden = unit?.hidden.find((folder) => isWithin(walked.real, [folder]));
  if (hidden !== undefined)
    return `The service does not see ${file}: its unit hides ${hidden}. ${advise(copyTo(file, config, reader))} ${NAME_COPY}`;
  const { obstacle } = walked;
  if (obstacle === undefined || unit?.readsAll === true) return undefined;
  const where = obstacle.at === walked.real && walked.isWhole ? "" : `the folder ${obstacle.at} has `;
  const message = `${describeReader(reader)} cannot read ${file} (${where}${describe(obstacle.found, reader)}).`;
  const commands = mend(obstacle, file, config, reader);
  return commands === undefined
    ? `${message} ${advise(copyTo(file, config, reader))} ${NAME_COPY}`
    : `${message} ${advise(commands)}`;
}

function judgeState(folder: string, reader: Reader): string | undefined {
  const { account, unit } = reader;
  const hidden = unit?.hidden.find((each) => isWithin(folder, [each]));
  if (unit !== undefined && isWithin(folder, unit.made)) return undefined;
  const instead = `Leave out "state.folder" to have ${unit?.made[0] ?? "the folder of StateDirectory="}, or`;
  // ReadWritePaths= does not bring back what is hidden (systemd.exec(5)).
  if (hidden !== undefined)
    return `The service cannot keep state in ${folder}: its unit hides ${hidden}. ${instead} name a folder elsewhere.`;
  if (unit?.writable && !isWithin(folder, unit.writable))
    return `The service cannot write to ${folder}: its unit makes all other folders read-only (ProtectSystem=strict). ${instead} run "systemctl edit penstock" and write ReadWritePaths=${folder} under [Service].`;
  const walked = walk(folder, account, READ | WRITE | ENTER);
  const make = `install -d -m 700 -o ${account.name} ${quoteWord(folder)}`;
  if (walked === undefined) return undefined;
  const { found, isWhole, obstacle } = walked;
  const canMake = isWhole || obstacle !== undefined || allowsNew(walked, account);
  const isOwn = !isWhole || (found.uid === account.uid && (found.mode & 0o077) === 0);
  if (obstacle === undefined && canMake && isOwn) return undefined;
  const command = isWhole ? `chown -R ${account.name} ${quoteWord(folder)} && chmod 700 ${quoteWord(folder)}` : make;
  const where = isWhole ? "" : `the folder ${obstacle?.at ?? walked.real} has `;
  return `${describeReader(reader)} cannot keep state in ${folder} (${where}${describe(obstacle?.found ?? found, reader)}). ${advise([...makeUser(reader), command])}`;
}

/** Whether the user may make a folder in the last one that is there. */
function allowsNew({ real }: Walked, account: Account): boolean {
  return walk(real, account, WRITE | ENTER)?.obstacle === undefined;
}

const NAME_COPY = "Then name the copy, and copy again when the file changes.";

/** The commands that let the user past an obstacle; undefined for a folder that is not ours to open. */
function mend({ at, found, needs }: Obstacle, file: string, config: string, reader: Reader): string[] | undefined {
  const { account, accounts, configFolder } = reader;
  const isFolder = at !== file && found.isDirectory();
  // Who opens a home or a folder of the system opens more than this file.
  const isOurs = isWithin(at, [configFolder, dirname(config)]) && !accounts.isHome(at);
  if (isFolder && !isOurs) return undefined;
  const path = quoteWord(at);
  const letters = `${needs & READ ? "r" : ""}${needs & ENTER ? "x" : ""}`;
  if (found.uid === account.uid) return [`chmod u+${letters} ${path}`];
  if (isNumberAlone(account)) return [`chown ${account.uid} ${path}`, `chmod u+${letters} ${path}`];
  if (account.groups.includes(found.gid)) return [`chmod g+${letters} ${path}`];
  const isOpenToGroup = ((found.mode >> 3) & needs) === needs;
  // Such as ssl-cert of Debian: members of it may read keys.
  if (isOpenToGroup && found.gid !== 0 && account.uid !== -1)
    return [`usermod -a -G ${accounts.nameGroup(found.gid)} ${account.name}`, "systemctl restart penstock"];
  return [...makeUser(reader), `chgrp ${nameOwnGroup(reader)} ${path}`, `chmod g+${letters} ${path}`];
}

/** The commands that put a file where the user can read it. */
function copyTo(file: string, config: string, reader: Reader): string[] {
  const { account, accounts, configFolder, unit } = reader;
  const folder = dirname(config);
  const isUsable = !accounts.isHome(folder) && !isWithin(folder, unit?.hidden ?? []) && folder !== dirname(file);
  const target = join(isUsable ? folder : configFolder, basename(file));
  const given = isNumberAlone(account) ? `-m 400 -o ${account.uid}` : `-m 640 -g ${nameOwnGroup(reader)}`;
  return [...makeUser(reader), `install -D ${given} ${quoteWord(file)} ${quoteWord(target)}`];
}

/** A number without an account is in no group that anybody knows. */
function isNumberAlone({ uid, groups }: Account): boolean {
  return uid !== -1 && groups.length === 0;
}

/** A user that is made for each run is in no group that a file could have. */
function makeUser({ account }: Reader): string[] {
  return account.uid === -1 ? [`useradd --system --user-group ${account.name}`] : [];
}

function nameOwnGroup({ account, accounts }: Reader): string {
  const [own] = account.groups;
  return own === undefined ? account.name : accounts.nameGroup(own);
}

function describeReader({ account, unit }: Reader): string {
  return unit === undefined ? `The user ${account.name}` : `The service runs as ${account.name}, who`;
}

function advise(commands: readonly string[]): string {
  return `Run "${commands.join(" && ")}".`;
}

function describe({ mode, uid, gid }: Walked["found"], { accounts }: Reader): string {
  const digits = (mode & 0o7777).toString(8).padStart(4, "0");
  return `mode ${digits}, of ${accounts.nameUser(uid)} and the group ${accounts.nameGroup(gid)}`;
}
