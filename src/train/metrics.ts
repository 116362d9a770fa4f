// The metrics of a run as JSON Lines: one for each step and each validation. A run that goes on drops what was written after
// the checkpoint that it goes on from.
import { appendFile, readFile } from "node:fs/promises";

import { writeFileAtomic } from "../support/files.js";

/** What is known of a step. */
export interface StepMetrics {
  step: number;
  /** The objective in nats per target, before the update: mean cross-entropy where there is no teacher. */
  loss: number;
  /** Norm of all gradients together, before clipping. */
  gradientNorm: number;
  rate: number;
  /** Targets that counted. */
  targets: number;
  seconds: number;
}

/** What is known after a validation. */
export interface ValidationMetrics {
  step: number;
  /** Nats per target. */
  validationLoss: number;
  /** From the teacher, in nats per target, where there is one. */
  divergence?: number | undefined;
  /** The same on text of another kind that is watched. */
  guardDivergence?: number | undefined;
}

export type Metrics = StepMetrics | ValidationMetrics;

export class MetricsFile {
  private constructor(readonly path: string) {}

  /** Opens a run's metrics and keeps the lines up to a step. */
  static async open(path: string, step: number): Promise<{ file: MetricsFile; lines: Metrics[] }> {
    const text = await readFile(path, "utf8").catch(() => "");
    const lines = text
      .split("\n")
      .flatMap(parse)
      .filter((line) => line.step <= step);
    const kept = step === 0 ? [] : lines;
    await writeFileAtomic(path, kept.map((line) => `${JSON.stringify(line)}\n`).join(""));
    return { file: new MetricsFile(path), lines: kept };
  }

  async append(line: Metrics): Promise<void> {
    await appendFile(this.path, `${JSON.stringify(line)}\n`);
  }
}

/** A line that was cut when its process was killed is none. */
function parse(line: string): Metrics[] {
  try {
    return [JSON.parse(line) as Metrics];
  } catch {
    return [];
  }
}
