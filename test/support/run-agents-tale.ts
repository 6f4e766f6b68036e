import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { buildAgentsWorld, type AgentsWorld, type Visit } from "./agents-world.ts";
import { findExecutable } from "./build-executable.ts";
import { type CodeBlock, readBlocks } from "./documentation.ts";
import { type Ran, type RunningProgram, runProgram, startProgram } from "./program.ts";
import { waitFor } from "./wait-for.ts";

/** Where this file is, to be run within namespaces of its own. */
export const runner = import.meta.path;

/** A command line of docs/agents.md, and what came of it. */
export interface TaleStep {
  /** The page and the line of its block. */
  readonly place: string;
  readonly command: string;
  /** Lines that the page shows below the command. */
  readonly shown: readonly string[];
  readonly code: number;
  /** Standard output and standard error. */
  readonly printed: string;
  /** What sites were asked meanwhile, and what the name server was asked. */
  readonly visits: readonly Visit[];
  readonly asked: readonly string[];
}

/** What came of the whole page. */
export interface Tale {
  readonly steps: readonly TaleStep[];
  /** What the proxy told. */
  readonly told: readonly string[];
  /** Access records, in order. */
  readonly records: readonly Record<string, unknown>[];
  /** Connections that reached the address of evil, or another server on the proxy's machine. */
  readonly strayConnections: number;
  /** Whether what the sandbox can read has the token, and whether it has the placeholder. */
  readonly sandboxHas: { readonly token: boolean; readonly placeholder: boolean };
}

const PAGE = "docs/agents.md";
/** The id of a question in the page. */
const ID = "3f0c12ab";
const TOKEN = "real-token-0123456789";
const variables = { API_TOKEN: TOKEN, SIDECAR_TOKEN: "0123456789abcdef0123" };

type Place = "operator" | "sandbox";

/** A command of a `console` block, and the lines below it. */
interface Command {
  readonly place: string;
  readonly at: Place;
  /** It ends only when an operator has answered. */
  readonly waits: boolean;
  readonly command: string;
  readonly shown: readonly string[];
}

function readCommands({ place, text }: CodeBlock): Command[] {
  const [title = "", ...lines] = text.split("\n");
  const commands: { command: string; shown: string[] }[] = [];
  for (const line of lines)
    if (line.startsWith("$ ")) commands.push({ command: line.slice(2), shown: [] });
    else if (line.trim() !== "") commands.at(-1)?.shown.push(line.trim());
  const at = readPlace(place, title);
  return commands.map(({ command, shown }) => ({ place, at, waits: title.includes("waits"), command, shown }));
}

function readPlace(place: string, title: string): Place {
  if (title.startsWith("# operator")) return "operator";
  if (title.startsWith("# in the sandbox")) return "sandbox";
  throw new Error(`${place}: the block does not say where it is run`);
}

/** The text of the `sh` block that has `mark`, without its first line. */
function readScript(blocks: readonly CodeBlock[], mark: string): string {
  const block = blocks.find(({ language, text }) => language === "sh" && text.includes(mark));
  if (block === undefined) throw new Error(`${PAGE} has no commands with ${mark}`);
  readPlace(block.place, block.text);
  return block.text.slice(block.text.indexOf("\n") + 1).trim();
}

/** The operator and the sandbox, who run the page from its beginning to its end. */
class Teller implements AsyncDisposable {
  readonly steps: TaleStep[] = [];
  readonly #world: AgentsWorld;
  readonly #environment: Record<string, string>;
  #proxy: RunningProgram | undefined;
  #waiting: Promise<void> | undefined;
  /** The id of the last question to the operator. */
  #question = ID;

  constructor(world: AgentsWorld) {
    this.#world = world;
    this.#environment = { ...variables, PATH: `${world.folder.path}/bin:${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` };
  }

  get told(): readonly string[] {
    return this.#proxy?.told ?? [];
  }

  async run(block: CodeBlock): Promise<void> {
    if (block.language === "yaml") await this.#world.folder.write({ "proxy.config.yaml": `${block.text}\n` });
    if (block.language !== "console") return;
    const isAnswer = this.#waiting !== undefined;
    if (isAnswer) this.#question = await this.#findQuestion();
    for (const command of readCommands(block)) {
      const done = this.#take(command);
      if (command.waits) this.#waiting = done;
      else await done;
    }
    if (!isAnswer) return;
    await this.#waiting;
    this.#waiting = undefined;
  }

  async #take({ at, command: written, ...rest }: Command): Promise<void> {
    const write = (text: string): string => text.replaceAll(ID, this.#question);
    const visits = this.#world.visits.length;
    const asked = this.#world.asked.length;
    const { code, stdout, stderr } = await (at === "sandbox"
      ? this.#world.inSandbox(written)
      : this.#operate(write(written)));
    this.steps.push({
      place: rest.place,
      command: written,
      shown: rest.shown.map(write),
      code,
      printed: stdout + stderr,
      visits: this.#world.visits.slice(visits),
      asked: this.#world.asked.slice(asked),
    });
  }

  async #operate(command: string): Promise<Ran> {
    if (command === "penstock serve") return this.#serve(command);
    if (command.includes(" learn ")) await this.#untilRecorded();
    return this.#shell(command);
  }

  #shell(command: string): Promise<Ran> {
    return runProgram(["bash", "-c", command], { cwd: this.#world.folder.path, env: this.#environment });
  }

  async #serve(command: string): Promise<Ran> {
    this.#proxy = startProgram(["bash", "-c", `exec ${command}`], {
      cwd: this.#world.folder.path,
      env: this.#environment,
    });
    await this.#proxy.untilTold("Sockets are driven");
    return { code: 0, stdout: "", stderr: this.#proxy.told.join("\n") };
  }

  /** The id of the question that somebody waits for, once there is one. */
  async #findQuestion(): Promise<string> {
    return waitFor(async () => {
      const { stdout } = await this.#shell("penstock approvals --json");
      const { approvals } = JSON.parse(stdout) as { approvals: { id: string; waiting: number }[] };
      return approvals.find(({ waiting }) => waiting > 0)?.id;
    }, "a question to the operator");
  }

  /** Until every tunnel has ended and is in the log. */
  async #untilRecorded(): Promise<void> {
    await waitFor(async () => {
      const { stdout } = await this.#shell("penstock tunnels --json");
      return (JSON.parse(stdout) as { tunnels: unknown[] }).tunnels.length === 0;
    }, "the tunnels to end");
  }

  async readRecords(): Promise<Record<string, unknown>[]> {
    const log = await this.#world.folder.read("access.log");
    return log
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#proxy?.[Symbol.asyncDispose]();
    await this.#waiting;
  }
}

if (import.meta.main) {
  const blocks = readBlocks(PAGE);
  await using world = await buildAgentsWorld({
    token: TOKEN,
    cables: readScript(blocks, "ip netns add"),
    shell: readScript(blocks, "setpriv"),
    environment: readScript(blocks, "export HTTP_PROXY"),
  });
  await mkdir(join(world.folder.path, "bin"));
  await symlink(await findExecutable(), join(world.folder.path, "bin/penstock"));
  await using teller = new Teller(world);
  for (const block of blocks) await teller.run(block);
  const read = await world.readSandbox();
  process.stdout.write(
    JSON.stringify({
      steps: teller.steps,
      told: teller.told,
      records: await teller.readRecords(),
      strayConnections: world.strayConnections(),
      sandboxHas: { token: read.includes(TOKEN), placeholder: read.includes("sk-placeholder") },
    }),
  );
}
