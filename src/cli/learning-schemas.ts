// The documents of the commands that learn, in a file of their own for their length only.
import { distillSchema } from "./distill-schema.js";
import { adaptSchema, trainSchema, vocabularySchema } from "./train-schema.js";

export const LEARNING_DOCUMENTS = {
  vocabulary: vocabularySchema,
  train: trainSchema,
  adapt: adaptSchema,
  distill: distillSchema,
} as const;
