// Runs a task in a child process: llama.cpp aborts on some files.
import { loadEngine } from "../native/engine.js";
import type { JobContext } from "../native/isolate.js";
import { LlamaModel } from "../native/llama-model.js";
import { evaluateTaskInProcess, type TaskRequest, type TaskResult } from "./run-task.js";

export async function run(request: TaskRequest, context: JobContext): Promise<TaskResult> {
  using model = LlamaModel.load(loadEngine(), request.model, {
    repack: request.repack ?? false,
    adapter: request.adapter,
  });
  return await evaluateTaskInProcess(model, request, {
    onProgress: context.progress,
    onCase: (result) => context.emit(result),
  });
}
