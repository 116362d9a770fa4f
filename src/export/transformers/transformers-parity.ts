// The exported folder in transformers: it reads the fixed text, and its tokens and likeliest next tokens are compared.
import { spawn } from "node:child_process";

import { messageOf } from "../../errors.js";
import type { RunOptions } from "../../support/progress.js";
import { type Parity, compareTop, skipped } from "../parity/compare.js";
import { PARITY_TEXT } from "../parity/parity-text.js";
import { type Reference, computeReference } from "../parity/reference.js";

export interface TransformersParityRequest {
  model: string;
  /** The exported folder. */
  folder: string;
  /** Python with transformers and torch; `python3` or `python` on the PATH by default. */
  python?: string | undefined;
  parity?: boolean | undefined;
}

/** Reads {folder, text, tokens} and writes {versions, tokens, found}; or {missing} where it has no transformers. */
const PROGRAM = `
import importlib.util, json, sys
ask = json.load(sys.stdin)
missing = [name for name in ask["needs"] if importlib.util.find_spec(name) is None]
if missing:
    json.dump({"missing": missing}, sys.stdout)
    sys.exit()
import torch, transformers
tokenizer = transformers.AutoTokenizer.from_pretrained(ask["folder"])
model, info = transformers.AutoModelForCausalLM.from_pretrained(
    ask["folder"], dtype=torch.float32, attn_implementation="eager", output_loading_info=True
)
unloaded = sorted([*info["missing_keys"], *info["unexpected_keys"], *[str(key) for key in info["mismatched_keys"]]])
with torch.no_grad():
    logits = model(torch.tensor([ask["tokens"]])).logits[0]
tokens = tokenizer(ask["text"])["input_ids"]
answer = {"version": transformers.__version__, "unloaded": unloaded, "tokens": tokens, "found": logits.argmax(-1).tolist()}
json.dump(answer, sys.stdout)
`;

interface Answer {
  missing?: string[];
  version?: string;
  unloaded?: string[];
  tokens?: number[];
  found?: number[];
  failed?: string;
}

/** Compares; skipped where there is no Python with transformers. */
export async function transformersParity(
  request: TransformersParityRequest & { needs: readonly string[] },
  options: RunOptions = {},
): Promise<Parity> {
  const { model, folder, python, needs } = request;
  if (request.parity === false) return skipped("not asked for");
  options.onProgress?.({ stage: "comparing", done: 0, total: 2, unit: "steps", detail: "llama.cpp" });
  const reference = await computeReference(model, { ...options, isDecoded: true });
  options.onProgress?.({ stage: "comparing", done: 1, total: 2, unit: "steps", detail: "transformers" });
  const question = { folder, needs, text: PARITY_TEXT, tokens: reference.tokens };
  let answer: Answer = { failed: "no Python was found; name one with --python" };
  for (const name of python === undefined ? ["python3", "python"] : [python]) {
    answer = await askPython(name, question, options);
    if (answer.found) break;
  }
  return verdict(reference, answer, python !== undefined);
}

function verdict(reference: Reference, answer: Answer, isChosen: boolean): Parity {
  const { missing, failed, found, unloaded = [], tokens = [], version } = answer;
  if (missing) return skipped(`Python has no ${missing.join(", no ")}`);
  if (!found) return failed?.startsWith("no Python") && !isChosen ? skipped(failed) : failure(failed ?? "no answer");
  const detail = `transformers ${version}`;
  if (unloaded.length > 0)
    return failure(`${detail}: tensors are missing or too much: ${unloaded.slice(0, 3).join(", ")}`);
  const place = reference.tokens.findIndex((token, index) => token !== tokens[index]);
  if (place >= 0)
    return failure(`${detail}: token ${place} of the text is ${tokens[place]}, not ${reference.tokens[place]}`);
  return compareTop(reference, found, detail);
}

function failure(detail: string): Parity {
  return { ...skipped(detail), status: "failed" };
}

function askPython(python: string, question: unknown, { signal }: RunOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, HF_HUB_OFFLINE: "1", TRANSFORMERS_VERBOSITY: "error" };
    const child = spawn(python, ["-c", PROGRAM], { stdio: "pipe", env, signal, killSignal: "SIGKILL" });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-4000)));
    child.on("error", (error: NodeJS.ErrnoException) => {
      if (signal?.aborted) reject(signal.reason as Error);
      else resolve({ failed: error.code === "ENOENT" ? `no Python "${python}" was found` : messageOf(error) });
    });
    child.on("close", (code) => {
      if (code === 0) resolve(JSON.parse(stdout) as Answer);
      else resolve({ failed: lastLine(stderr) ?? `"${python}" ended with code ${code}` });
    });
    child.stdin.on("error", () => undefined); // it ended before it read; what it says is told
    child.stdin.end(JSON.stringify(question));
  });
}

function lastLine(text: string): string | undefined {
  return text.trim().split("\n").at(-1)?.slice(0, 300) || undefined;
}
