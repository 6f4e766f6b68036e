import { describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { runCli } from "../../src/cli/run-cli.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { needs } from "../support/needs.ts";
import { expectProgram } from "../support/program.ts";
import { makeFolder, type TemporaryFolder } from "../support/temporary-folder.ts";
import { startOnTerminal } from "../support/terminal-program.ts";

/** What names of a proxy may be like: with what shells expand, with colons, and with lines of somebody else among them. */
const program = `#!/bin/sh
echo "$*" >> asked
echo "printed by a configuration"
printf '=alice\\tfrom the file\\n=bob smith\\n=$(touch owned)\\n=a.example:443\\n=zoe:x\\ty:z\\n'
`;

async function makeShell(shell: string): Promise<TemporaryFolder> {
  const io = createFakeIo();
  expect(await runCli(["completions", shell], io)).toBe(0);
  const folder = await makeFolder({ penstock: program, completions: io.printed(), "proxy.config.json": "{}" });
  await expectProgram(["chmod", "+x", "penstock"], { cwd: folder.path });
  return folder;
}

/** What a person types, and what stands there after the tab key. */
const typed: readonly (readonly [text: string, completed: string])[] = [
  ["./penstock tun", "./penstock tunnels "],
  ["./penstock tunnels --us", "./penstock tunnels --user"],
  ["./penstock tunnels --user=al", "./penstock tunnels --user=alice"],
  ["./penstock tunnels --user al", "./penstock tunnels --user alice"],
  ["./penstock tunnels --user bo", String.raw`./penstock tunnels --user bob\ smith`],
  ["./penstock tunnels --target=a.example:4", "./penstock tunnels --target=a.example:443"],
  ["./penstock tunnels --user zoe:", "./penstock tunnels --user zoe:x"],
  ["./penstock top --sort=ro", "./penstock top --sort=route"],
  ["./penstock completions zs", "./penstock completions zsh"],
  ["./penstock check --config proxy.con", "./penstock check --config proxy.config.json"],
  ["./penstock --verb", "./penstock --verbose"],
  ["./penstock help expl", "./penstock help explain"],
  ["./penstock tunnels --config other.json --user al", "./penstock tunnels --config other.json --user alice"],
];

const quoted = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

/** Types into an interactive shell, as a person does. */
async function typeInto(command: readonly string[], setUp: string, folder: TemporaryFolder): Promise<void> {
  await using shell = startOnTerminal(command, {
    cwd: folder.path,
    columns: 120,
    rows: 50,
    env: { PS1: "> ", HOME: folder.path },
  });
  shell.type(`${setUp}; echo ready-$((40 + 2))\n`);
  await shell.untilShown(/^ready-42/);
  for (const [text, completed] of typed) {
    shell.type(`${text}\t`);
    await shell.untilShown(new RegExp(quoted(completed.trimEnd())));
    // The line is dropped.
    shell.type("\u0015");
  }
  // What shells expand is offered as it is, and not carried out.
  shell.type("./penstock tunnels --user '$(t\t\u0015echo over-$((40 + 3))\n");
  await shell.untilShown(/^over-43/);
  expect(await readdir(folder.path)).not.toContain("owned");
  expect(await folder.read("asked")).toContain("__complete user --config=other.json\n");
}

describe("completions in a shell", () => {
  needs("bash")("bash completes commands, flags, files, and names", async () => {
    await using folder = await makeShell("bash");
    await typeInto(["bash", "--norc", "-i"], "source completions", folder);
  });

  needs("zsh")("zsh completes commands, flags, files, and names", async () => {
    await using folder = await makeShell("zsh");
    await typeInto(["zsh", "-f", "-i"], "PS1='> '; autoload -U compinit; compinit -u -D; source ./completions", folder);
  });

  needs("fish")("fish completes commands, flags, files, and names", async () => {
    await using folder = await makeShell("fish");
    const ask = (line: string) =>
      expectProgram(["fish", "--no-config", "-c", `source completions; complete -C "${line}"`], {
        cwd: folder.path,
        env: { HOME: folder.path },
      });
    for (const [text, completed] of typed) {
      // Fish gives the last word, with what it is after a tab, and quotes it when it is taken.
      const word =
        completed
          .trimEnd()
          .replace(String.raw`bob\ smith`, "bob smith")
          .split(/ (?!smith)/)
          .at(-1) ?? "";
      expect((await ask(text)).split("\n").map((line) => line.split("\t")[0])).toContain(word);
    }
    expect(await ask("./penstock tunnels --user ")).toContain("$(touch owned)");
    expect(await readdir(folder.path)).not.toContain("owned");
    expect(await folder.read("asked")).toContain("__complete user --config=other.json\n");
  });
});

test("there are completions for bash, zsh and fish alone", async () => {
  const io = createFakeIo();
  expect(await runCli(["completions", "tcsh"], io)).toBe(2);
  expect(io.told).toEqual(['There are no completions for "tcsh". Write one of bash, zsh, fish.']);
});
