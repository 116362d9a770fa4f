// Runs windows of text through a model, group by group, and reports how far it is; the windows themselves are computed in
// window-runner.ts.
import type { LlamaModel } from "../native/llama-model.js";
import type { RunOptions } from "../support/progress.js";
import { type TextSeconds, WindowRunner } from "./window-runner.js";
import type { WindowScorer } from "./window-scorers.js";

export interface MeasureTextPlan {
  tokens: Int32Array;
  contextLength: number;
  /** Numbers of the windows, ascending. */
  windows: readonly number[];
  threads?: number | undefined;
}

/**
 * Measures the windows in order.
 *
 * @throws {EngineError} when the model gives logits that are no numbers; the message names the window
 */
export async function measureText(
  model: LlamaModel,
  plan: MeasureTextPlan,
  scorer: WindowScorer,
  { signal, onProgress }: RunOptions = {},
): Promise<TextSeconds> {
  const { tokens, contextLength, windows, threads } = plan;
  using runner = new WindowRunner(model, { contextLength, windows: windows.length, threads });
  let done = 0;
  for (const group of runner.groups(tokens, windows)) {
    await scorer.begin(group);
    runner.run(group, scorer, signal);
    await scorer.end();
    done += group.length * contextLength;
    onProgress?.({ stage: "measuring", done, total: windows.length * contextLength, unit: "tokens" });
    await new Promise(setImmediate); // lets an abort and the progress message through
  }
  return runner.seconds;
}
