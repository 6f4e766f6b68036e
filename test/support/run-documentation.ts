import { copyFile, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { readBlocks } from "./documentation.ts";
import { findUnseen, readBlockLines } from "./documented-lines.ts";
import { DocumentationWorld, TOKEN } from "./documentation-world.ts";
import { type LineFacts, lineFacts, notRun } from "./line-facts.ts";
import { pageNeeds } from "./page-needs.ts";
import { waitFor } from "./wait-for.ts";

/** Where this file is, to be run within namespaces of its own. */
export const runner = import.meta.path;

/** What came of a line. */
export interface LineResult {
  readonly place: string;
  readonly text: string;
  readonly code: number | null;
  readonly expected: number;
  readonly output: string;
  /** What the page shows, and the output does not have. */
  readonly unseen: readonly string[];
}

/** Milliseconds that a line may take. */
const LINE_MS = 60_000;

/** Pages whose readers write the files that they see: a block that begins with the name of a configuration. */
const written = new Set(["README.md", "docs/recipes.md"]);

/** Runs the lines of a page in order, as they are written. */
async function runPage(page: string): Promise<LineResult[]> {
  await using world = await DocumentationWorld.build(await pageNeeds(page));
  const shell = new Shell(world);
  const results: LineResult[] = [];
  const blocks = readBlocks(page);
  for (const [at, block] of blocks.entries()) {
    const file = written.has(page) ? /^(?:#|\/\/) (proxy\.config\.\w+)$/m.exec(block.text)?.[1] : undefined;
    if (file !== undefined) await shell.writeConfiguration(file, block.text);
    for (const { place, text, shown } of readBlockLines(page, block, blocks[at + 1])) {
      if (notRun.some(({ line }) => line.test(text))) continue;
      const facts = lineFacts.find((fact) => (fact.page ?? page) === page && fact.line.test(text)) ?? { line: /^/ };
      const ran = await shell.run(text, facts);
      const unseen = findUnseen(shown, ran.output, facts.examples);
      results.push({ place, text, expected: facts.code ?? 0, unseen, ...ran });
    }
  }
  return results;
}

/** A shell that keeps its folder and its variables from line to line. */
class Shell {
  readonly #world: DocumentationWorld;
  readonly #state: string;
  #folder: string;

  constructor(world: DocumentationWorld) {
    this.#world = world;
    this.#state = join(world.folder.path, "shell");
    this.#folder = world.work;
  }

  /** The reader puts a configuration into a folder, in the place of the one before. */
  async writeConfiguration(name: string, text: string): Promise<void> {
    const { folder, work } = this.#world;
    if (this.#folder === work) {
      this.#folder = join(folder.path, "try");
      await mkdir(this.#folder);
      await copyFile(join(work, "users.htpasswd"), join(this.#folder, "users.htpasswd"));
    }
    for (const before of await readdir(this.#folder))
      if (before.startsWith("proxy.config.")) await rm(join(this.#folder, before));
    await Bun.write(join(this.#folder, name), `${text}\n`);
  }

  async run(text: string, facts: LineFacts): Promise<{ readonly code: number | null; readonly output: string }> {
    const world = this.#world;
    if (facts.alone === true) await world.stop();
    const tunnels = facts.alone === true ? [] : await world.serve();
    const question = text.includes("3f0c12ab") ? await world.askOperator() : "";
    const line = fillIn(text, tunnels).replaceAll("3f0c12ab", question);
    const before = this.#folder;
    if (facts.fresh === true) this.#folder = await mkdtemp(join(world.folder.path, "fresh-"));
    const script = [
      "set -o pipefail",
      '[ ! -e "$STATE" ] || . "$STATE"',
      'eval "$LINE"',
      'code=$?; pwd > "$STATE.folder"; export -p | grep -vE " (LINE|STATE|PWD|OLDPWD|SHLVL)=" > "$STATE"; exit $code',
    ].join("\n");
    const file = join(world.folder.path, "line.sh");
    await Bun.write(file, script);
    const command = facts.terminal === true ? ["script", "-qefc", `bash ${file}`, "/dev/null"] : ["bash", file];
    const child = Bun.spawn(command, {
      cwd: this.#folder,
      env: { ...world.environment, LINE: line, STATE: this.#state },
      stdin: new Blob([facts.input ?? ""]),
      stdout: "pipe",
      stderr: "pipe",
      detached: true,
    });
    // The whole of the line: what it started as well.
    const deadline = setTimeout(() => process.kill(-child.pid, "SIGKILL"), LINE_MS);
    let output = "";
    const gather = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
      for await (const chunk of stream) output += new TextDecoder().decode(chunk);
    };
    const gathered = Promise.all([gather(child.stdout), gather(child.stderr)]);
    const { until } = facts;
    if (until !== undefined) {
      await waitFor(
        () => until.test(output) || child.exitCode !== null,
        () => `${line} to say ${until.source}: ${output}`,
      );
      // To all of the line, as Ctrl-C does.
      if (child.exitCode === null) process.kill(-child.pid, "SIGINT");
    }
    const code = await child.exited;
    await gathered;
    clearTimeout(deadline);
    this.#folder =
      facts.fresh === true
        ? before
        : (await readFile(`${this.#state}.folder`, "utf8").catch(() => this.#folder)).trim();
    return { code, output };
  }
}

/** What a page cannot know, in the place of its example. */
function fillIn(text: string, tunnels: readonly string[]): string {
  const [first = "", second = ""] = tunnels;
  return text
    .replaceAll("=…", `=${TOKEN}`)
    .replaceAll(/k3v9q1-7|abc123-4/g, first)
    .replaceAll("k3v9q1-9", second);
}

if (import.meta.main) process.stdout.write(JSON.stringify(await runPage(process.argv[2] ?? "")));
