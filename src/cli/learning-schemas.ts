// The documents of the commands that learn, in a file of their own for their length only.
import { distillSchema } from "./distill-schema.js";
import { trainSchema } from "./train-schema.js";

export const LEARNING_DOCUMENTS = { train: trainSchema, distill: distillSchema } as const;
