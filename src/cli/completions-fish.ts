import type { Command } from "./command.ts";
import { takeSummary } from "./command-text.ts";
import { type CompletedFlag, type Completion, listCompletedArguments, listCompletedFlags } from "./completion-kinds.ts";

/** The completions for fish 3: a file `penstock.fish` in the folder of completions. */
export function writeFishCompletions(commands: readonly Command[]): string {
  return `# Completions of penstock for fish. Made by "penstock completions fish".

# The words of the command line, but the one that is being written.
function __penstock_words
    commandline -opc
end

function __penstock_first
    test (count (__penstock_words)) = 1
end

# Whether the command is this one; without a command it is serve.
function __penstock_using
    set -l words (__penstock_words)
    set -l command serve
    if set -q words[2]; and not string match -q -- '-*' $words[2]
        set command $words[2]
    end
    test "$command" = $argv[1]
end

# Prints nothing but values: what a configuration file prints is left out.
function __penstock_values
    set -l words (__penstock_words)
    set -l sources
    for at in (seq 2 (count $words))
        switch $words[$at]
            case '--config=*' '--sidecar=*'
                set -a sources $words[$at]
            case --config --sidecar
                set -l next (math $at + 1)
                set -q words[$next]; and set -a sources "$words[$at]=$words[$next]"
        end
    end
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    $program __complete $argv[1] $sources 2>/dev/null </dev/null | string replace -rf '^=' ''
end

complete -c penstock -f
complete -c penstock -n __penstock_first -a help -d 'Show the help of a command.'
complete -c penstock -n '__penstock_using help' -a ${quote(commands.map(({ name }) => name).join(" "))}
${commands.flatMap(writeCommand).join("\n")}
`;
}

function writeCommand(command: Command): string[] {
  const { name, description } = command;
  const using = `complete -c penstock -n ${quote(`__penstock_using ${name}`)}`;
  const flags = listCompletedFlags(command);
  const shorts = new Map(flags.filter(({ written }) => !written.startsWith("--")).map((flag) => [flag.says, flag]));
  return [
    `complete -c penstock -n __penstock_first -a ${name} -d ${quote(takeSummary(description))}`,
    ...flags
      .filter(({ written }) => written.startsWith("--"))
      .map((flag) => `${using} ${writeFlag(flag, shorts.get(flag.says))}`),
    ...listCompletedArguments(command).flatMap(({ value }) => {
      const offered = writeOffer(value);
      return offered === "" ? [] : [`${using} ${offered}`];
    }),
  ];
}

function writeFlag({ written, says, value }: CompletedFlag, short: CompletedFlag | undefined): string {
  const names = `${short === undefined ? "" : `-s ${short.written.slice(1)} `}-l ${written.slice(2)}`;
  const text = `-d ${quote(takeSummary(says))}`;
  if (value === undefined) return `${names} ${text}`;
  return `${names} -${value.kind === "files" ? "r" : "x"} ${writeOffer(value)} ${text}`.replace("  ", " ");
}

function writeOffer(completion: Completion): string {
  switch (completion.kind) {
    case "words":
      return `-a ${quote(completion.words.join(" "))}`;
    case "values":
      return `-a ${quote(`(__penstock_values ${completion.of})`)}`;
    case "files":
      return "-F";
    case "folders":
      return `-a ${quote("(__fish_complete_directories)")}`;
    case "nothing":
      return "";
  }
}

function quote(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}
