import { type Command, type CommandGroup, createCommand } from "./command.ts";
import { exitCodes } from "./io.ts";
import { writeCommandReference, writeManPage } from "./man-page.ts";

/** `penstock man`: the manual, made from the commands. */
export function createMan(listGroups: () => readonly CommandGroup[]): Command {
  return createCommand({
    name: "man",
    description: "Print the manual page penstock(1) in roff.",
    withoutJson: "it is a page for people.",
    args: { markdown: { type: "boolean", description: "Print docs/cli.md instead." } },
    examples: [
      ["penstock man | man -l -", "Read it."],
      ["penstock man > /usr/local/share/man/man1/penstock.1", "Install it."],
    ],
    async run({ has, io }) {
      const commands = listGroups().flatMap((group) => Object.values(group.commands));
      const listed = commands.filter(({ hidden }) => !hidden);
      await io.print(has("markdown") ? writeCommandReference(listed) : writeManPage(listed));
      return exitCodes.ok;
    },
  });
}
