// A grammar that lets an answer be nothing but one call of one of some tools, with arguments that its schema allows.
import { alternatives, GrammarRules, literal } from "../grammar/rules.js";
import { addSchema } from "../grammar/schema-to-grammar.js";
import type { ToolDefinition, ToolFormat } from "./tool-format.js";

/** @throws {UnsupportedSchema} when a tool's parameters can't be enforced */
export function toolCallGrammar(tools: readonly ToolDefinition[], format: ToolFormat): string {
  const rules = new GrammarRules();
  rules.define("root", "");
  const [before, behind] = format.wrap;
  const calls = tools.map(({ function: { name, parameters } }, i) => {
    const schema = { properties: {}, additionalProperties: false, ...parameters, type: "object" };
    addSchema(rules, schema, `arguments-of-${i}`);
    return `${literal(`{"name": ${JSON.stringify(name)}, "${format.argumentsKey}": `)} arguments-of-${i} "}"`;
  });
  rules.define(
    "root",
    [literal(before), alternatives(calls), literal(behind)].filter((part) => part !== '""').join(" "),
  );
  return rules.text();
}
