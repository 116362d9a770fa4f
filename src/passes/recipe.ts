// A recipe: which passes with which options made a model, as YAML, so that the same file can be made again. Written by
// `fit` and `quantize`, by hand as well; read with the line of whatever is wrong.
import { readFile } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";

import { LineCounter, parseDocument, stringify } from "yaml";
import { z } from "zod";

import { FormatError, PareError, UsageError, messageOf } from "../errors.js";
import { adaptOptionsSchema, withFiles as withAdaptFiles } from "./adapt/adapt-options.js";
import { distillOptionsSchema, withFiles as withDistillFiles } from "./distill/distill-options.js";
import { fileAlone, fileOption, fileOptions, fileShape } from "./file-options.js";
import { METHOD_PARTS } from "./quantize/method-parts.js";
import { quantizeOptionsShape, typeName } from "./quantize/quantize-options.js";

const importanceSchema = z.strictObject({
  ...fileShape,
  name: z.string().min(1).optional().describe("how the written model mentions it, where that is not the file"),
});

const calibrationSchema = z.strictObject({
  texts: fileOptions.optional().describe("files, or files with their hashes"),
  statistics: fileOption.optional().describe("finished, to round by in place of the texts' own"),
  contextLength: z.number().int().min(8).optional().describe("tokens per window"),
  parseSpecial: z.boolean().optional().describe("read <|im_start|> and the like in the texts as control tokens"),
  effort: z.enum(["fast", "default", "high"]).optional(),
  recover: z.boolean().optional().describe("trained by the original's predictions after rounding"),
  without: z.array(z.enum(METHOD_PARTS)).optional().describe("parts of the method that are left out"),
  kvCache: z
    .strictObject({ typeK: typeName, typeV: typeName, contextLength: z.number().int().positive() })
    .optional()
    .describe("the KV cache that it was made for"),
});

const quantizeSchema = z
  .strictObject({
    ...quantizeOptionsShape,
    importance: z.preprocess(fileAlone, importanceSchema.optional()).describe("a file, or a file and more of it"),
    calibrate: calibrationSchema
      .refine(({ texts, statistics }) => texts ?? statistics, "texts or statistics are wanted")
      .optional()
      .describe("rounded for what a text needs, in place of importance data"),
  })
  .refine(({ importance, calibrate }) => !(importance && calibrate), "importance and calibrate exclude each other");

const stepSchema = z
  .strictObject({
    quantize: quantizeSchema.optional(),
    distill: distillOptionsSchema.optional(),
    adapt: adaptOptionsSchema.optional(),
  })
  .refine((step) => passesOf(step).length === 1, "one pass is wanted: quantize, distill or adapt");

/** How a recipe of a pass is followed. */
const COMMANDS = {
  quantize: "quantize MODEL OUT",
  distill: "distill TEACHER -o OUT",
  adapt: "adapt --model MODEL -o OUT",
} as const;
type PassName = keyof typeof COMMANDS;

export const recipeSchema = z.strictObject({
  version: z.literal(1).describe("of this format"),
  source: z
    .strictObject({ name: z.string().optional(), sha256: z.string().optional() })
    .optional()
    .describe("the model that it was made for"),
  passes: z.array(stepSchema).min(1).describe("in the order in which they are applied"),
});

/** What a recipe holds. Names of types are checked, paths are not. */
export type Recipe = z.output<typeof recipeSchema>;
/** One of its passes, by name. */
export type Step = Recipe["passes"][number];
export type QuantizeStep = NonNullable<Step["quantize"]>;

/**
 * The pass of a recipe that has no other.
 *
 * @throws {UsageError} when it has another, or several
 */
export function onlyPass<Name extends PassName>(path: string, { passes }: Recipe, name: Name): NonNullable<Step[Name]> {
  if (passes.length > 1) throw new UsageError(`Recipe "${path}" has ${passes.length} passes, one is wanted`);
  const [step] = passes as [Step];
  if (step[name]) return step[name];
  const [other] = passesOf(step) as [PassName];
  throw new UsageError(`Recipe "${path}" is of ${other}, not of ${name}`, {
    hint: `Follow it with: pare ${COMMANDS[other]} --recipe ${path}`,
  });
}

/** The names of what stands in a step: one, where it is as it should be. */
function passesOf(step: { readonly [Name in PassName]?: unknown }): PassName[] {
  return (Object.keys(COMMANDS) as PassName[]).filter((name) => step[name] !== undefined);
}

/**
 * Reads a recipe. Files that it names become paths that can be opened: relative ones are relative to the recipe.
 *
 * @throws {FormatError} naming the line, when it is no YAML, a key is unknown or a value can't be meant
 * @throws {PareError} when the file can't be read
 */
export async function readRecipe(path: string): Promise<Recipe> {
  const recipe = parseRecipe(path, await readText(path));
  const opened = (file: string) => (isAbsolute(file) ? file : join(dirname(path), file));
  return { ...recipe, passes: recipe.passes.map((step) => stepWithPaths(step, opened)) };
}

function stepWithPaths({ quantize, distill, adapt }: Step, opened: (file: string) => string): Step {
  return {
    ...(quantize && { quantize: withPaths(quantize, opened) }),
    ...(distill && { distill: withDistillFiles(distill, opened) }),
    ...(adapt && { adapt: withAdaptFiles(adapt, opened) }),
  };
}

function withPaths(step: QuantizeStep, opened: (file: string) => string): QuantizeStep {
  const { importance, calibrate, ...rest } = step;
  const { texts, statistics } = calibrate ?? {};
  const withPath = <File extends { file: string }>(one: File): File => ({ ...one, file: opened(one.file) });
  return {
    ...rest,
    ...(importance && {
      importance: withPath({ ...importance, name: importance.name ?? importance.file }),
    }),
    ...(calibrate && {
      calibrate: {
        ...calibrate,
        ...(texts && { texts: texts.map(withPath) }),
        ...(statistics && { statistics: withPath(statistics) }),
      },
    }),
  };
}

/** The text of a recipe, as it goes into a file; options that are undefined are left out. */
export function renderRecipe(recipe: Omit<Recipe, "version">): string {
  const checked = recipeSchema.parse({ version: 1, ...recipe });
  const command = COMMANDS[passesOf(checked.passes[0]!)[0]!];
  return `# Follow it with: pare ${command} --recipe THIS\n${stringify(checked, { lineWidth: 120 })}`;
}

function parseRecipe(path: string, text: string): Recipe {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const fail = (offset: number, what: string, hint: string): never => {
    const { line } = lines.linePos(offset);
    throw new FormatError(path, `Cannot read recipe "${path}": line ${line}: ${what}`, { hint });
  };
  const [error] = document.errors;
  if (error) fail(error.pos[0], error.message, "Write YAML, one key: value a line");
  const checked = recipeSchema.safeParse(document.toJS());
  if (checked.success) return checked.data;
  const issue = innermost(checked.error.issues[0]!);
  const where = issue.path.length > 0 ? `"${issue.path.join(".")}": ` : "";
  return fail(
    offsetOf(document, issue.path),
    `${where}${issue.message}`,
    "A recipe starts with version: 1 and lists its passes",
  );
}

/** Where the value at this path starts; of a value that is absent, what would hold it. */
function offsetOf(document: ReturnType<typeof parseDocument>, path: readonly PropertyKey[]): number {
  for (let depth = path.length; depth >= 0; depth--) {
    const node = document.getIn(path.slice(0, depth), true) as { range?: [number, number, number] } | undefined;
    if (node?.range) return node.range[0];
  }
  return 0;
}

/** Of a value that may be written in several ways, the complaint about the last. */
function innermost(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  const inner = issue.code === "invalid_union" ? issue.errors.at(-1)?.[0] : undefined;
  return inner ? innermost({ ...inner, path: [...issue.path, ...inner.path] }) : issue;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const reason =
      code === "ENOENT" ? "there is no such file" : code === "EISDIR" ? "it is a folder" : messageOf(cause);
    throw new PareError(`Cannot read recipe "${path}": ${reason}`, { hint: "Check --recipe", cause });
  }
}
