// docs/cli.md: every command with its arguments, options and examples, from the command tree.

/** Renders the reference page. */
export async function cliReference(program, root) {
  const { examples } = await import(new URL("dist/cli/examples.js", root));
  const { isGlobalOption } = await import(new URL("dist/cli/options.js", root));
  const globals = program.options.filter(isGlobalOption);
  const sections = program.commands.map((command) => commandSection(command, { examples, isGlobalOption }));
  return `# Command reference

${program.description()}

This page is generated from the commands (\`npm run docs\`); \`pare COMMAND --help\` says the same.

${program.commands.map((command) => `- [\`pare ${command.name()}\`](#pare-${command.name()}): ${command.summary()}`).join("\n")}

Options that every command has:

${optionTable(globals)}

Exit codes: 0 done, 1 failure, 2 a request that can't be meant as written, 130 or 143 interrupted;
\`pare fit\` ends with 0, 3, 4 or 5 by its verdict, and \`pare doctor\` with 1 when a check failed.
With \`--json\` a failure is \`{"error": {"message", "hint"}}\` on standard output; all documents are in [json.md](json.md).

${sections.join("\n\n")}
`;
}

function commandSection(command, { examples, isGlobalOption }) {
  const own = command.options.filter((option) => !isGlobalOption(option) && !option.hidden);
  const usage = [
    "pare",
    command.name(),
    ...command.registeredArguments.map(argumentText),
    own.length > 0 ? "[options]" : "",
  ];
  const parts = [`## pare ${command.name()}`, `    ${usage.filter(Boolean).join(" ")}`, command.description()];
  if (command.registeredArguments.length > 0) {
    parts.push(
      table(
        ["argument", "meaning"],
        command.registeredArguments.map((item) => [code(argumentText(item)), meaning(item)]),
      ),
    );
  }
  if (own.length > 0) parts.push(optionTable(own));
  parts.push(["```sh", ...examples(command), "```"].join("\n"));
  return parts.join("\n\n");
}

function optionTable(options) {
  return table(
    ["option", "meaning"],
    options.map((option) => [code(option.flags), meaning(option)]),
  );
}

function meaning(item) {
  const notes = [];
  if (item.mandatory) notes.push("required");
  if (item.argChoices) notes.push(item.argChoices.map(code).join(", "));
  if (item.defaultValue !== undefined && item.defaultValue !== false)
    notes.push(`default ${code(String(item.defaultValue))}`);
  return notes.length > 0 ? `${item.description} (${notes.join("; ")})` : item.description;
}

function argumentText(argument) {
  const name = `${argument.name().toUpperCase()}${argument.variadic ? "…" : ""}`;
  return argument.required ? name : `[${name}]`;
}

function code(text) {
  return `\`${text}\``;
}

/** A Markdown table; bars inside cells are escaped. */
export function table(header, rows) {
  const lines = [header, header.map(() => "---"), ...rows];
  return lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`).join("\n");
}
