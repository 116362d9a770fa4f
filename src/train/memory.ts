// Whether a training step fits into memory, known exactly before the first one: the graphs are built, and ggml's allocator
// says what they take. Where they don't fit, the settings are looked for that would.
import { ResourceError } from "../errors.js";
import type { LlamaShape } from "../graph/llama.js";
import type { CpuBackend } from "../native/matmul.js";
import { formatBytes } from "../support/units.js";
import type { ObjectiveFactory } from "./objective.js";
import { type StepSettings, TrainingStep } from "./training-step.js";

/** Share of the free memory that may be taken; the text and the system need some, too. */
const SHARE_MAX = 0.9;

/**
 * Builds a step that fits.
 *
 * @param availableBytes memory that is free
 * @throws {ResourceError} with what it takes, what there is, and the first settings that would fit
 */
export function buildStep(
  backend: CpuBackend,
  shape: LlamaShape,
  settings: StepSettings,
  availableBytes = process.availableMemory(),
  objective?: ObjectiveFactory,
): TrainingStep {
  const build = (changed: StepSettings): TrainingStep => new TrainingStep(backend, shape, changed, objective);
  const step = build(settings);
  const limit = availableBytes * SHARE_MAX;
  const neededBytes = bytesOf(step, limit);
  if (neededBytes <= limit) return step.allocate();
  step[Symbol.dispose]();
  throw new ResourceError(
    `Training takes ${formatBytes(neededBytes)} of memory, and ${formatBytes(availableBytes)} are free`,
    { hint: hintFor(build, settings, limit) },
  );
}

/** Where parameters and states alone are too much, what else there is makes no difference, and addresses may run out. */
function bytesOf(step: TrainingStep, limit: number): number {
  return step.store.sizeBytes > limit ? step.store.sizeBytes : step.memoryBytes;
}

function hintFor(build: (settings: StepSettings) => TrainingStep, settings: StepSettings, limit: number): string {
  for (const change of frugalSettings(settings)) {
    using step = build({ ...settings, ...change });
    const bytes = bytesOf(step, limit);
    if (bytes <= limit) return `${optionsOf(settings, { ...settings, ...change })} takes ${formatBytes(bytes)}`;
  }
  return "Free some memory, shorten --context, or train a smaller model";
}

/** What to try, the cheapest in time first. */
function* frugalSettings(settings: StepSettings): Generator<Partial<StepSettings>> {
  for (const optimizer of new Set([settings.optimizer, "adafactor" as const])) {
    for (const checkpoint of new Set([settings.checkpoint, true])) {
      for (let microBatch = settings.microBatch; microBatch >= 1; microBatch = Math.floor(microBatch / 2))
        yield { optimizer, checkpoint, microBatch };
    }
  }
}

function optionsOf(before: StepSettings, after: StepSettings): string {
  return [
    before.microBatch !== after.microBatch && `--micro-batch ${after.microBatch}`,
    before.checkpoint !== after.checkpoint && "--recompute",
    before.optimizer !== after.optimizer && `--optimizer ${after.optimizer}`,
  ]
    .filter(Boolean)
    .join(" ");
}
