// Hessians of a calibration run: which layers, whether memory can hold them, and their file at the end.
import { PareError, UsageError, messageOf } from "../errors.js";
import type { JobContext } from "../native/isolate.js";
import type { LlamaModel } from "../native/llama-model.js";
import { CpuBackend } from "../native/matmul.js";
import type { ThreadPool } from "../native/thread-pool.js";
import { requireDisk } from "../support/files.js";
import { SILENT } from "./distinct-inputs.js";
import { writeHessians } from "./hessian-file.js";
import { HessianSums, hessianBytes, requireHessianMemory } from "./hessian-sums.js";
import {
  InputCollector,
  type InputGroup,
  type InputRows,
  OUTPUT_WEIGHT,
  TIED_OUTPUT_WEIGHT,
} from "./input-collector.js";
import { CalibrationObserver, runWindows } from "./run-windows.js";
import { batchShape } from "./windows.js";

/** Where Hessians go, and of which weights: a regular expression over names such as `blk.0.attn_q.weight`. */
export interface HessianRequest {
  path: string;
  weights?: string;
}

/** Tokens that show which layers a model has and how wide they are. */
const PROBE_TOKENS = 32;

export class HessianRun implements Disposable {
  readonly #request: HessianRequest;
  readonly #groups: ReadonlySet<string>;
  readonly #backend: CpuBackend;
  readonly #sums: HessianSums;

  private constructor(request: HessianRequest, groups: ReadonlySet<string>, backend: CpuBackend, rows: number) {
    this.#request = request;
    this.#groups = groups;
    this.#backend = backend;
    this.#sums = new HessianSums(backend, rows);
  }

  /**
   * Looks at the layers in a short run, so that memory is refused before the long one.
   *
   * @throws {ResourceError} when memory or disk can't hold the Hessians
   * @throws {PareError} when no layer has a name that is asked for
   */
  static async prepare(
    request: HessianRequest,
    run: {
      model: LlamaModel;
      windows: readonly Int32Array[];
      threads: number;
      threadPool: ThreadPool | undefined;
      processOutput: boolean;
    },
  ): Promise<HessianRun> {
    const { model, windows, threads, threadPool, processOutput } = run;
    const pattern = parsePattern(request.weights);
    const probe = new InputCollector({ outputs: processOutput ? [OUTPUT_WEIGHT, TIED_OUTPUT_WEIGHT] : [] });
    const observer = new CalibrationObserver(probe, { processOutput });
    const first = windows[0]!.subarray(0, PROBE_TOKENS);
    await runWindows({ models: [{ model, observer }], windows: [first], threads, context: SILENT });
    const groups = [...probe.groups.values()].filter(({ weights }) =>
      [...weights].some((weight) => pattern.test(weight)),
    );
    if (groups.length === 0) {
      throw new PareError(`Cannot keep Hessians: no linear layer of "${model.path}" has a name like ${pattern.source}`);
    }
    const rows = batchShape(windows[0]!.length, model.vocabularySize, windows.length).batchTokens;
    requireHessianMemory(groups, rows, process.availableMemory());
    await requireDisk(request.path, hessianBytes(groups, rows).sumsBytes);
    return new HessianRun(
      request,
      new Set(groups.map(({ name }) => name)),
      CpuBackend.create(model.engine, threads, threadPool),
      rows,
    );
  }

  add(rows: InputRows): void {
    if (this.#groups.has(rows.group.name)) this.#sums.add(rows);
  }

  /** Writes the file. @returns weights that it covers */
  async save(groups: Iterable<InputGroup>, context: JobContext): Promise<number> {
    const hessians = [...groups].flatMap((group) => {
      const matrix = this.#sums.matrixOf(group);
      const { columns, matrices, counts } = group;
      return matrix
        ? [{ weights: [...group.weights], columns, matrices, matrix, counts: Float32Array.from(counts) }]
        : [];
    });
    await writeHessians(this.#request.path, hessians, { onProgress: (progress) => context.progress(progress) });
    return hessians.reduce((total, { weights }) => total + weights.length, 0);
  }

  [Symbol.dispose](): void {
    this.#sums[Symbol.dispose]();
    this.#backend[Symbol.dispose]();
  }
}

function parsePattern(weights: string | undefined): RegExp {
  try {
    return new RegExp(weights ?? "");
  } catch (cause) {
    throw new UsageError(`"${weights}" is no regular expression: ${messageOf(cause)}`, { cause });
  }
}
