// Which of the served models answers which task, as a YAML file, and what a request is for that asks for the model `auto`.
import { readFile } from "node:fs/promises";

import { parse } from "yaml";
import { z } from "zod";

import { FormatError, whyUnreadable } from "../../errors.js";

const isExpression = (text: string): boolean => {
  try {
    return new RegExp(text, "iu") instanceof RegExp;
  } catch {
    return false;
  }
};
/** A regular expression, found anywhere in a text, in capitals or not. */
const expression = z
  .string()
  .refine(isExpression, "is no regular expression")
  .transform((text) => new RegExp(text, "iu"));
const characters = z.int().min(0);

/** All that a rule says must hold. */
const ruleSchema = z
  .strictObject({
    task: z.string(),
    /** Of the system prompt. */
    system: expression.optional(),
    /** Of the user's last message. */
    user: expression.optional(),
    /** There are tools that may be called, or there are none. */
    tools: z.boolean().optional(),
    /** The answer is to be JSON, or it isn't. */
    json: z.boolean().optional(),
    /** Of all messages together. */
    minCharacters: characters.optional(),
    maxCharacters: characters.optional(),
  })
  .refine((rule) => Object.keys(rule).length > 1, 'says nothing of a request; "default" is for all others');

const routeSchema = z
  .strictObject({
    /** Names of served models by task. */
    tasks: z.record(z.string(), z.string()),
    /** Looked at in order; the first that holds says the task. */
    rules: z.array(ruleSchema).default([]),
    /** The task of a request for `auto` that no rule holds for. */
    default: z.string().optional(),
  })
  .superRefine(({ tasks, rules, default: otherwise }, context) => {
    const known = Object.keys(tasks);
    const fail = (path: (string | number)[], message: string): void =>
      context.addIssue({ code: "custom", path, message });
    const check = (task: string, path: (string | number)[]): void => {
      if (!known.includes(task)) fail(path, `there is no task "${task}"; tasks here are ${known.join(", ")}`);
    };
    if (known.length === 0) fail(["tasks"], "names no task");
    const odd = known.find((task) => !/^[\w.-]{1,64}$/.test(task)); // it stands in headers
    if (odd !== undefined) fail(["tasks", odd], "a task's name is 1 to 64 letters, digits, _, - or .");
    rules.forEach(({ task }, i) => check(task, ["rules", i, "task"]));
    if (otherwise !== undefined) check(otherwise, ["default"]);
    else if (rules.length > 0) fail(["default"], "must say the task of requests that no rule holds for");
  });

export type RouteRule = z.infer<typeof ruleSchema>;
export type RouteFile = z.infer<typeof routeSchema>;

/** @throws {FormatError} when the file can't be read or says no routes */
export async function readRoutes(path: string): Promise<RouteFile> {
  try {
    return routeSchema.parse(parse(await readFile(path, "utf8")));
  } catch (error) {
    const issue = error instanceof z.ZodError ? error.issues[0] : undefined;
    const where = issue && issue.path.length > 0 ? `"${issue.path.join(".")}": ` : "";
    const reason = issue ? where + issue.message : whyUnreadable(error).split("\n", 1)[0];
    throw new FormatError(path, `Cannot read routes "${path}": ${reason}`, { cause: error });
  }
}
