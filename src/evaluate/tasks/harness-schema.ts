// The part of lm-evaluation-harness's YAML that can be followed without Python.
import { z } from "zod";

const text = z.union([z.string(), z.number()]);
const METRICS = ["acc", "acc_norm", "exact_match"];
const FILTERS = ["regex", "take_first"];

/** An option that changes what is right, and that no scorer has. */
const unfollowed = z.union([z.undefined(), z.null(), z.literal(false)], { error: "Pare can't follow this" }).optional();

/** File names by split. */
const datasetSchema = z.record(z.string(), z.string());
export type HarnessDataset = z.infer<typeof datasetSchema>;

export const harnessSchema = z
  .looseObject({
    task: z.string().optional(),
    description: z.string().optional(),
    dataset_path: z.string().optional(),
    dataset_kwargs: z.looseObject({ data_files: z.union([z.string(), datasetSchema]).optional() }).optional(),
    test_split: z.string().optional(),
    validation_split: z.string().optional(),
    training_split: z.string().optional(),
    fewshot_split: z.string().optional(),
    num_fewshot: z.number().int().min(0).optional(),
    output_type: z
      .enum(["multiple_choice", "generate_until"], {
        error: 'only "multiple_choice" and "generate_until" can be imported',
      })
      .default("generate_until"),
    doc_to_text: z.string(),
    doc_to_target: z.union([text, z.array(text)]),
    doc_to_choice: z.union([z.string(), z.array(text)]).optional(),
    target_delimiter: z.string().default(" "),
    fewshot_delimiter: z.string().default("\n\n"),
    generation_kwargs: z
      .looseObject({
        until: z.union([z.string(), z.array(z.string())]).optional(),
        max_gen_toks: z.number().int().min(1).optional(),
        do_sample: z.literal(false, { error: "answers that are drawn at random can't be imported" }).optional(),
      })
      .optional(),
    metric_list: z
      .array(
        z.looseObject({
          metric: z.enum(METRICS, { error: `Pare knows ${METRICS.join(", ")}` }),
          ignore_case: z.boolean().optional(),
          ignore_punctuation: unfollowed,
          ignore_numbers: unfollowed,
          regexes_to_ignore: unfollowed,
        }),
      )
      .optional(),
    filter_list: z
      .array(
        z.looseObject({
          filter: z.array(
            z.looseObject({
              function: z.enum(FILTERS, { error: `Pare knows ${FILTERS.join(", ")}` }),
              regex_pattern: z.string().optional(),
              group_select: z.literal(0, { error: "Pare takes the first match" }).optional(),
            }),
          ),
        }),
      )
      .optional(),
  })
  .refine((yaml) => yaml.output_type !== "multiple_choice" || yaml.doc_to_choice !== undefined, {
    message: "multiple choice needs it",
    path: ["doc_to_choice"],
  });

export type HarnessYaml = z.infer<typeof harnessSchema>;
