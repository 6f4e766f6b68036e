import type { Command } from "./command.ts";
import { type Completion, listCompletedArguments, listCompletedFlags } from "./completion-kinds.ts";

/** The completions for bash 4 and newer; the package bash-completion is not needed. */
export function writeBashCompletions(commands: readonly Command[]): string {
  return `# Completions of penstock for bash. Made by "penstock completions bash".

# Prints nothing but values: what a configuration file prints is left out.
_penstock_values() {
  local line tab=$'\\t'
  while IFS= read -r line; do
    [[ $line == =* ]] || continue
    line=\${line#=}
    _penstock_found+=("\${line%%"$tab"*}")
  done < <("$@" 2>/dev/null </dev/null)
} 2>/dev/null

# Offers what begins as the word. No value is ever evaluated.
_penstock_offer() {
  local value quoted before=''
  # Readline replaces what follows the last of its word breaks.
  if [[ $COMP_WORDBREAKS == *:* && $_penstock_word == *:* ]]; then before=\${_penstock_word%"\${_penstock_word##*:}"}; fi
  for value in "\${_penstock_found[@]}"; do
    printf -v quoted %q "$value"
    if [[ $value == "$_penstock_word"* || $quoted == "$_penstock_word"* ]]; then
      COMPREPLY+=("$_penstock_kept\${quoted#"$before"}")
    fi
  done
}

_penstock_flags() {
  case $1 in
${commands.map(writeFlags).join("\n")}
  esac
}

# What follows a flag of a command, or stands in a place: files, folders, "words …", "values KIND".
_penstock_kind() {
  case "$1 $2" in
${commands.flatMap(writeKinds).join("\n")}
    *) _penstock_value='' ;;
  esac
}

_penstock() {
  local program=\${1/#\\~\\//$HOME/} words=() word glued='' at _penstock_word command='' _penstock_value=''
  local _penstock_found=() _penstock_kept='' _penstock_once='' place=0 literal='' sources=()
  COMPREPLY=()
  # Readline takes words apart at "=" and ":".
  for ((at = 0; at <= COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    if [[ at -gt 0 && $word =~ ^[=:]+$ ]]; then
      words[\${#words[@]}-1]+=$word
      glued=yes
    elif [[ $glued == yes ]]; then
      words[\${#words[@]}-1]+=$word
      glued=''
    else
      words+=("$word")
    fi
  done
  local last=$((\${#words[@]} - 1))
  _penstock_word=\${words[last]}

  if ((last <= 1)) && [[ $_penstock_word != -* ]] || [[ $last == 2 && \${words[1]} == help ]]; then
    _penstock_found=(${commands.map(({ name }) => name).join(" ")} help)
    _penstock_offer
    return
  fi
  command=\${words[1]}
  at=2
  if [[ $command == -* ]]; then
    command=serve
    at=1
  fi
  local given=' ' flag=''
  for (( ; at < last; at++)); do
    word=\${words[at]}
    if [[ $literal == yes || $word != -* ]]; then
      if [[ -n $flag ]]; then flag=''; else place=$((place + 1)); fi
      continue
    fi
    flag=''
    if [[ $word == -- ]]; then
      literal=yes
      continue
    fi
    given+="\${word%%=*} "
    _penstock_kind "$command" "\${word%%=*}"
    if [[ -n $_penstock_value && $word != *=* ]]; then flag=$word; fi
    case $word in
      --config=* | --sidecar=*) sources+=("$word") ;;
      --config | --sidecar) if ((at + 1 < last)); then sources+=("$word=\${words[at + 1]}"); fi ;;
    esac
  done

  if [[ -n $flag ]]; then
    _penstock_kind "$command" "$flag"
  elif [[ $literal == '' && $_penstock_word == --*=* ]]; then
    _penstock_kind "$command" "\${_penstock_word%%=*}"
    [[ $COMP_WORDBREAKS == *=* ]] || _penstock_kept=\${_penstock_word%%=*}=
    _penstock_word=\${_penstock_word#*=}
  elif [[ $literal == '' && $_penstock_word == -* ]]; then
    local found=()
    _penstock_flags "$command"
    for word in "\${_penstock_found[@]}"; do
      if [[ $given != *" $word "* || $_penstock_once != *" $word "* ]]; then found+=("$word"); fi
    done
    _penstock_found=("\${found[@]}")
    _penstock_offer
    return
  else
    _penstock_kind "$command" "$((place + 1))"
    [[ -n $_penstock_value ]] || _penstock_kind "$command" more
  fi

  case $_penstock_value in
    files) compopt -o default 2>/dev/null ;;
    folders) compopt -o dirnames 2>/dev/null ;;
    'words '*)
      read -ra _penstock_found <<<"\${_penstock_value#words }"
      _penstock_offer
      ;;
    'values '*)
      _penstock_values "$program" __complete "\${_penstock_value#values }" "\${sources[@]}"
      _penstock_offer
      ;;
  esac
}

complete -F _penstock penstock
`;
}

function writeFlags(command: Command): string {
  const flags = listCompletedFlags(command);
  const long = flags.map(({ written }) => written).filter((written) => written.startsWith("--"));
  const once = flags.filter(({ isRepeated }) => !isRepeated).map(({ written }) => written);
  return `    ${command.name}) _penstock_found=(${long.join(" ")}) _penstock_once=' ${once.join(" ")} ' ;;`;
}

function writeKinds(command: Command): string[] {
  const flags = listCompletedFlags(command).flatMap(({ written, value }) =>
    value === undefined ? [] : [[written, value] as const],
  );
  const places = listCompletedArguments(command).map(
    ({ value, isRepeated }, at) => [isRepeated ? "more" : String(at + 1), value] as const,
  );
  return [...flags, ...places].map(
    ([where, value]) => `    '${command.name} ${where}') _penstock_value='${writeValue(value)}' ;;`,
  );
}

function writeValue(completion: Completion): string {
  if (completion.kind === "words") return `words ${completion.words.join(" ")}`;
  return completion.kind === "values" ? `values ${completion.of}` : completion.kind;
}
