import { type Command, type CommandGroup, createCommand } from "./command.ts";
import { writeBashCompletions } from "./completions-bash.ts";
import { writeFishCompletions } from "./completions-fish.ts";
import { writeZshCompletions } from "./completions-zsh.ts";
import { endWith, exitCodes } from "./io.ts";
import { quoteValue } from "../config/problem.ts";

const writers = { bash: writeBashCompletions, zsh: writeZshCompletions, fish: writeFishCompletions };
const shells = Object.keys(writers);

/** `penstock completions SHELL`: the completions of a shell, made from the commands. */
export function createCompletions(listGroups: () => readonly CommandGroup[]): Command {
  return createCommand({
    name: "completions",
    description:
      "Print the completions for a shell: commands, flags, files, and names of the configuration and of the running proxy, such as users, rules, upstreams and tunnels.",
    withoutJson: "it is a script for a shell.",
    args: { shell: { type: "positional", valueHint: shells.join("|"), description: "The shell." } },
    examples: [
      ["source <(penstock completions bash)", "Use them in this shell; in ~/.bashrc in every one."],
      [
        "penstock completions bash > /usr/share/bash-completion/completions/penstock",
        "Install them for everybody, with the package bash-completion.",
      ],
      ["penstock completions zsh > /usr/local/share/zsh/site-functions/_penstock", "The same for zsh."],
      ["penstock completions fish > ~/.config/fish/completions/penstock.fish", "The same for fish, for yourself."],
    ],
    async run({ value, io }) {
      const shell = value("shell") ?? "";
      const write = Object.entries(writers).find(([name]) => name === shell)?.[1];
      if (write === undefined)
        return endWith(
          io,
          `There are no completions for ${quoteValue(shell)}. Write one of ${shells.join(", ")}.`,
          exitCodes.usage,
        );
      const commands = listGroups().flatMap((group) => Object.values(group.commands));
      await io.print(write(commands.filter(({ hidden }) => !hidden)));
      return exitCodes.ok;
    },
  });
}
