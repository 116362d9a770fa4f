// The families that `convert` knows. A new one is a file beside these and a line here.
import { FormatError } from "../../errors.js";
import type { Config } from "../../formats/huggingface/config.js";
import type { Family } from "../family.js";
import { gemma2 } from "./gemma2.js";
import { gemma3 } from "./gemma3.js";
import { llama } from "./llama.js";
import { mistral } from "./mistral.js";
import { mixtral } from "./mixtral.js";
import { olmoe } from "./olmoe.js";
import { phi3 } from "./phi3.js";
import { qwen2moe, qwen3moe } from "./qwen-moe.js";
import { qwen2 } from "./qwen2.js";
import { qwen3 } from "./qwen3.js";

export const FAMILIES: readonly Family[] = [
  llama,
  mistral,
  mixtral,
  qwen2,
  qwen3,
  qwen2moe,
  qwen3moe,
  gemma2,
  gemma3,
  phi3,
  olmoe,
];

/** The family of a configuration. @throws {FormatError} listing the known ones */
export function familyOf(config: Config): Family {
  const classes = config.texts("architectures") ?? [];
  const family = FAMILIES.find(({ classes: known }) => classes.some((name) => known.includes(name)));
  if (family) return family;
  const found = classes.length > 0 ? `"${classes.join('", "')}"` : "absent";
  throw new FormatError(config.path, `Cannot convert "${config.path}": its architecture is ${found}`, {
    hint: `Known are ${FAMILIES.flatMap(({ classes: known }) => known).join(", ")}`,
  });
}
