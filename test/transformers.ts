// Python with transformers, for checks of exports. Without one they are skipped, visibly. PARE_PYTHON names it.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("golden/transformers-logits.py", import.meta.url));

/** Path of a Python that has transformers and torch, or undefined. */
export const PYTHON = [process.env["PARE_PYTHON"] ?? "python3"].find(
  (python) => spawnSync(python, ["-c", "import torch, transformers"]).status === 0,
);

/** True where packed weights can be loaded, too. */
export const HAS_COMPRESSED_TENSORS =
  PYTHON !== undefined && spawnSync(PYTHON, ["-c", "import compressed_tensors"]).status === 0;

export interface TransformersView {
  /** Tensors that are missing or too much. */
  unloaded: string[];
  /** [positions × every so many tokens] */
  logits: number[][];
  tokens: number[][];
  text: string[];
}

/** What transformers makes of folders, by their names. */
export function transformersViews(
  folders: readonly string[],
  texts: readonly string[],
): Record<string, TransformersView> {
  const env = { ...process.env, HF_HUB_OFFLINE: "1" };
  const input = JSON.stringify({ texts });
  const { status, stdout, stderr } = spawnSync(PYTHON!, [PROGRAM, ...folders], {
    input,
    env,
    encoding: "utf8",
    maxBuffer: 1e9,
  });
  if (status === 0) return JSON.parse(stdout) as Record<string, TransformersView>;
  throw new Error(stderr.slice(-2000));
}
