import type { Command } from "commander";
import { CairnError } from "../../model/errors.ts";
import type { Context } from "../context.ts";

/** `completion bash|zsh|fish`: built from the command line's own definition, so that it never lags behind. */
export async function completion(
  context: Context,
  [shell]: readonly (string | undefined)[],
  program: Command,
): Promise<void> {
  const makers: Record<string, (program: Command) => string> = { bash, zsh, fish };
  const make = Object.hasOwn(makers, shell ?? "") ? makers[shell ?? ""] : undefined;
  if (make === undefined) {
    throw new CairnError("usage", `no completion for ${shell}`, { exit: "wrongUse", next: "give bash, zsh or fish" });
  }
  await context.output.raw(make(program));
}

function optionsOf(command: Command, program: Command): { flags: string[]; description: string }[] {
  return [...command.options, ...program.options].map((option) => ({
    flags: [option.short, option.long].filter((flag) => typeof flag === "string"),
    description: option.description,
  }));
}

function bash(program: Command): string {
  const words = program.commands
    .map((command) => {
      const flags = optionsOf(command, program).flatMap(({ flags }) => flags);
      const fixed = command.name() === "completion" ? ["bash", "zsh", "fish"] : [];
      return `    ${command.name()}) words="${[...fixed, ...flags].join(" ")}" ;;`;
    })
    .join("\n");
  return `# bash completion for cairn; put into your ~/.bashrc: source <(cairn completion bash)
_cairn() {
  local current="\${COMP_WORDS[COMP_CWORD]}" command="" word words
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) ;; *) command="$word"; break ;; esac
  done
  case "$command" in
    "") words="${program.commands.map((command) => command.name()).join(" ")} ${optionsOf(program, program)
      .flatMap(({ flags }) => flags)
      .filter(unique)
      .join(" ")}" ;;
${words}
    *) words="" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [ -z "$COMPREPLY" ]; then COMPREPLY=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _cairn cairn ./cairn
`;
}

function unique(value: string, index: number, all: string[]): boolean {
  return all.indexOf(value) === index;
}

function zsh(program: Command): string {
  const quote = (text: string): string =>
    text.replaceAll("'", "'\\''").replaceAll(":", "\\:").replaceAll(/[[\]]/g, "\\$&");
  const commands = program.commands
    .map((command) => `    '${command.name()}:${quote(command.description())}'`)
    .join("\n");
  const cases = program.commands
    .map((command) => {
      const specs = optionsOf(command, program).flatMap(({ flags, description }) =>
        flags.map((flag) => `'${flag}[${quote(description)}]'`),
      );
      const rest = command.name() === "completion" ? "'*:shell:(bash zsh fish)'" : "'*:file:_files'";
      return `    ${command.name()}) _arguments ${[...specs, rest].join(" ")} ;;`;
    })
    .join("\n");
  return `#compdef cairn
# zsh completion for cairn; save it as _cairn in a folder of your fpath
_cairn() {
  local -a commands
  commands=(
${commands}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  local command=\${words[2]}
  shift words; (( CURRENT-- ))
  case $command in
${cases}
  esac
}
if [ "$funcstack[1]" = _cairn ]; then _cairn "$@"; else compdef _cairn cairn; fi
`;
}

function fish(program: Command): string {
  const quote = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("'", "\\'");
  const lines = ["# fish completion for cairn; save it as ~/.config/fish/completions/cairn.fish"];
  for (const command of program.commands) {
    lines.push(
      `complete -c cairn -n __fish_use_subcommand -f -a ${command.name()} -d '${quote(command.description())}'`,
    );
    for (const { flags, description } of optionsOf(command, program)) {
      const names = flags
        .map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
        .join(" ");
      lines.push(
        `complete -c cairn -n '__fish_seen_subcommand_from ${command.name()}' ${names} -d '${quote(description)}'`,
      );
    }
  }
  lines.push("complete -c cairn -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'");
  return `${lines.join("\n")}\n`;
}
