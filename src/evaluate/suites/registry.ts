// Every built-in suite. A new one is a file in this folder and a line here.
import { arithmetic } from "./arithmetic.js";
import { classification } from "./classification.js";
import { extraction } from "./extraction.js";
import { grounded } from "./grounded.js";
import { instructions } from "./instructions.js";
import { logic } from "./logic.js";
import { drawBase, VARIANT_NAMES } from "./robustness.js";
import type { Suite } from "./suite.js";
import { toolCalls } from "./tool-calls.js";

const robustness: Suite = {
  name: "robustness",
  summary: `the same cases as ${VARIANT_NAMES.join(", ")}; a tag each`,
  casesDefault: 320,
  draw: drawBase,
};

export const SUITES: readonly Suite[] = [
  extraction,
  classification,
  grounded,
  arithmetic,
  logic,
  instructions,
  toolCalls,
  robustness,
];
