// Completion scripts for bash, zsh and fish, made from the command tree. They are plain scripts: nothing of Pare runs
// while the shell completes.
import type { Argument, Command, Option } from "commander";

import { listDevices } from "../fit/device.js";
import { GGML_TYPES } from "../formats/gguf/ggml-types.js";
import { PRESETS } from "../passes/quantize/presets.js";
import { type Completion, completionOf } from "./options.js";

export type Shell = "bash" | "zsh" | "fish";

/** Words that stand for a kind of completion. */
export type CompletionWords = Readonly<Record<"tensor-type" | "preset" | "device", readonly string[]>>;

/** The words that Pare itself knows. */
export async function completionWords(): Promise<CompletionWords> {
  const devices = await listDevices();
  return {
    "tensor-type": Object.keys(GGML_TYPES),
    preset: PRESETS.map(({ name }) => name),
    device: [...devices.map(({ name }) => name), "this"],
  };
}

/** Writes the script that completes `program` in `shell`. */
export function completionScript(program: Command, shell: Shell, words: CompletionWords): string {
  if (shell === "bash") return bashScript(program, words);
  return shell === "zsh" ? zshScript(program, words) : fishScript(program, words);
}

function bashScript(program: Command, words: CompletionWords): string {
  const commands = program.commands.map((command) => {
    const valued = visibleOptions(command).filter(takesValue);
    const values = valued.map((item) => `        ${flags(item).join("|")}) ${bashValues(item, words)}; return ;;`);
    const positional = command.registeredArguments.at(-1);
    return [
      `    ${command.name()})`,
      `      case "$previous" in`,
      ...values,
      `      esac`,
      `      if [[ $current == -* ]]; then`,
      `        COMPREPLY=($(compgen -W ${quoted(visibleOptions(command).flatMap(flags).join(" "))} -- "$current"))`,
      `      else`,
      `        ${positional ? bashValues(positional, words) : ":"}`,
      `      fi ;;`,
    ].join("\n");
  });
  const names = program.commands.map((command) => command.name()).join(" ");
  return `# bash completion for pare
_pare() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command= word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      ${names.replaceAll(" ", "|")}) command=$word; break ;;
    esac
  done
  COMPREPLY=()
  case $command in
${commands.join("\n")}
    *)
      COMPREPLY=($(compgen -W ${quoted(`${names} ${visibleOptions(program).flatMap(flags).join(" ")}`)} -- "$current")) ;;
  esac
}
complete -o filenames -F _pare pare`;
}

function bashValues(item: Option | Argument, words: CompletionWords): string {
  const completion = completionOf(item);
  if (completion === "file") return `COMPREPLY=($(compgen -f -- "$current"))`;
  if (completion === "folder") return `COMPREPLY=($(compgen -d -- "$current"))`;
  const offered = offeredWords(completion, words);
  return offered ? `COMPREPLY=($(compgen -W ${quoted(offered.join(" "))} -- "$current"))` : ":";
}

function zshScript(program: Command, words: CompletionWords): string {
  const commands = program.commands.map((command) => {
    const specs = [
      ...visibleOptions(command).map((item) => zshOption(item, words)),
      ...command.registeredArguments.map(
        (item) => `${item.variadic ? "*" : ""}:${item.name()}:${zshValues(item, words)}`,
      ),
    ];
    return `        ${command.name()})\n          _arguments ${specs.map(quoted).join(" \\\n            ")} ;;`;
  });
  const names = program.commands.map((command) => quoted(`${command.name()}:${command.summary()}`));
  return `#compdef pare
_pare() {
  local state line
  _arguments -C ${visibleOptions(program)
    .map((item) => quoted(zshOption(item, words)))
    .join(" ")} ':command:->command' '*::argument:->argument'
  case $state in
    command)
      local -a commands=(${names.join(" ")})
      _describe command commands ;;
    argument)
      case $line[1] in
${commands.join("\n")}
      esac ;;
  esac
}
if [ "$funcstack[1]" = "_pare" ]; then _pare "$@"; else compdef _pare pare; fi`;
}

function zshOption(item: Option, words: CompletionWords): string {
  const description = item.description.replace(/[[\]:]/g, " ");
  const value = takesValue(item) ? `:${item.attributeName()}:${zshValues(item, words)}` : "";
  return `*${flags(item).at(-1)}[${description}]${value}`;
}

function zshValues(item: Option | Argument, words: CompletionWords): string {
  const completion = completionOf(item);
  if (completion === "file") return "_files";
  if (completion === "folder") return "_files -/";
  const offered = offeredWords(completion, words);
  return offered ? `(${offered.join(" ")})` : " ";
}

function fishScript(program: Command, words: CompletionWords): string {
  const lines = ["# fish completion for pare", "complete -c pare -f"];
  for (const command of program.commands) {
    lines.push(`complete -c pare -n __fish_use_subcommand -a ${command.name()} -d ${fishQuoted(command.summary())}`);
    const condition = `-n '__fish_seen_subcommand_from ${command.name()}'`;
    for (const item of visibleOptions(command)) lines.push(`complete -c pare ${condition} ${fishOption(item, words)}`);
    for (const item of command.registeredArguments) {
      const values = fishValues(item, words);
      if (values) lines.push(`complete -c pare ${condition} ${values}`);
    }
  }
  return lines.join("\n");
}

function fishOption(item: Option, words: CompletionWords): string {
  const names = [item.long && `-l ${item.long.slice(2)}`, item.short && `-s ${item.short.slice(1)}`];
  const values = takesValue(item) ? `-r ${fishValues(item, words)}` : "";
  return [...names, values, `-d ${fishQuoted(item.description)}`].filter(Boolean).join(" ");
}

function fishValues(item: Option | Argument, words: CompletionWords): string {
  const completion = completionOf(item);
  if (completion === "file" || completion === "folder") return "-F";
  const offered = offeredWords(completion, words);
  return offered ? `-a ${fishQuoted(offered.join(" "))}` : "";
}

function offeredWords(completion: Completion | undefined, words: CompletionWords): readonly string[] | undefined {
  if (completion === undefined || completion === "file" || completion === "folder") return undefined;
  return typeof completion === "string" ? words[completion] : completion;
}

function visibleOptions(command: Command): Option[] {
  return command.createHelp().visibleOptions(command);
}

function takesValue(item: Option): boolean {
  return item.required || item.optional;
}

function flags(item: Option): string[] {
  return [item.short, item.long].filter((flag) => flag !== undefined);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
