import type { Command } from "./command.ts";
import { takeSummary } from "./command-text.ts";
import { type CompletedFlag, type Completion, listCompletedArguments, listCompletedFlags } from "./completion-kinds.ts";

/** The completions for zsh: a file `_penstock` in `fpath`, or a text to `source` after `compinit`. */
export function writeZshCompletions(commands: readonly Command[]): string {
  return `#compdef penstock
# Completions of penstock for zsh. Made by "penstock completions zsh".

# Takes nothing but values: what a configuration file prints is left out. What
# _arguments has for compadd comes before the kind.
_penstock_values() {
  local line value flag
  local -a found shown sources
  for flag in --config --sidecar; do
    [[ -n $opt_args[$flag] ]] && sources+=("$flag=\${opt_args[$flag]//\\\\:/:}")
  done
  for line in \${(f)"$($_penstock_program __complete $@[-1] $sources 2>/dev/null </dev/null)"}; do
    [[ $line == '='* ]] || continue
    line=\${line#'='}
    value=\${line%%$'\\t'*}
    found+=("$value")
    shown+=("\${line/$'\\t'/ -- }")
  done
  compadd "$@[1,-2]" -l -d shown -a found
}

_penstock_commands() {
  local -a commands=(
${commands.map(({ name, description }) => `    ${quote(`${name}:${takeSummary(description)}`)}`).join("\n")}
    'help:Show the help of a command.'
  )
  _describe -t commands command commands
}

_penstock() {
  local curcontext=$curcontext context state state_descr line
  local _penstock_program=\${words[1]/#\\~\\//$HOME/}
  local -A opt_args
  if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then
    _penstock_commands
    return
  fi
  local command=serve
  if [[ $words[2] != -* ]]; then
    command=$words[2]
    shift words
    ((CURRENT--))
  fi
  case $command in
    help) ((CURRENT == 2)) && _penstock_commands ;;
${commands.map(writeCommand).join("\n")}
  esac
}

# Loaded by compinit it is the function itself; otherwise it is read by a person's "source".
if [[ $funcstack[1] == _penstock ]]; then
  _penstock "$@"
else
  compdef _penstock penstock
fi
`;
}

function writeCommand(command: Command): string {
  const flags = listCompletedFlags(command).map(writeFlag);
  const places = listCompletedArguments(command).map(({ name, value, isRepeated }, at) =>
    quote(`${isRepeated ? "*" : at + 1}:${escapeColons(name)}:${writeAction(value)}`),
  );
  return `    ${command.name})\n      _arguments -S \\\n${[...flags, ...places].map((spec) => `        ${spec}`).join(" \\\n")}\n      ;;`;
}

function writeFlag({ written, says, isRepeated, value }: CompletedFlag): string {
  const text = `[${takeSummary(says).replaceAll(/[[\]\\]/g, String.raw`\$&`)}]`;
  const more = isRepeated ? "*" : "";
  if (value === undefined) return quote(`${more}${written}${text}`);
  return quote(`${more}${written}${written.startsWith("--") ? "=" : "+"}${text}:value:${writeAction(value)}`);
}

function writeAction(completion: Completion): string {
  switch (completion.kind) {
    case "words":
      return `(${completion.words.join(" ")})`;
    case "values":
      return `_penstock_values ${completion.of}`;
    case "files":
      return "_files";
    case "folders":
      return "_files -/";
    case "nothing":
      return " ";
  }
}

function escapeColons(text: string): string {
  return text.replaceAll(":", String.raw`\:`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
