// How many rows a decode call may have without changing a bit of any row. ggml picks its kernels by the shape of a batch, and
// kernels round differently. Measured on x86, the same token in the same state, in batches of another size:
//
//   f32, f16, bf16, iq4_nl           1 row differs from 2 and more (dot products against tiles), by up to 0.2 in a logit
//   q8_0, q4_0, q4_1, q2_K … q6_K    every number of rows gives the same bits, with weights repacked and without
//   iq4_xs and other grid types      up to 7 rows differ from 8 and more (decoded in panels)
//
// So it is measured, on the model at hand.
import type { LlamaModel } from "../native/llama-model.js";
import { LlamaContext } from "../native/llama-context.js";

/** Row counts between the two, inclusive, give every row the same bits. */
export interface RowCounts {
  min: number;
  max: number;
  /** False where a sequence can't forget its last token alone, as in recurrent models. */
  canTruncate: boolean;
}

/** One below the number of rows at which ggml's panels begin. */
const ROWS_BELOW_PANELS = 7;
const SCRATCH_TOKENS = 256; // llama.cpp's smallest cache per sequence

/**
 * Measures which row counts agree with a call of 7 rows, up to `countMax`.
 *
 * @param options.count rows that are wanted at most; more than 7 are allowed where they agree
 */
export function measureRowCounts(
  model: LlamaModel,
  {
    count,
    threads,
    flashAttention = "off",
  }: { count: number; threads?: number | undefined; flashAttention?: "auto" | "off" },
): RowCounts {
  const most = Math.max(ROWS_BELOW_PANELS, count);
  using context = LlamaContext.create(model, {
    contextLength: SCRATCH_TOKENS * most,
    batchSize: most,
    microBatchSize: most,
    sequencesMax: most,
    outputsMax: most,
    flashAttention,
    fullWindowCache: true,
    unifiedCache: false,
    ...(threads === undefined ? {} : { threads }),
  });
  const reference = rowsOf(context, ROWS_BELOW_PANELS);
  const agrees = (rows: number): boolean =>
    rowsOf(context, rows).every((row, i) => row.equals(reference[Math.min(i, ROWS_BELOW_PANELS - 1)]!));
  const canTruncate = canForgetLast(context);
  let min = 1;
  while (min < ROWS_BELOW_PANELS && !agrees(min)) min++;
  const max = most > ROWS_BELOW_PANELS && agrees(most) ? most : ROWS_BELOW_PANELS;
  return canTruncate ? { min, max, canTruncate } : { min: 1, max, canTruncate };
}

/** Logits of `count` sequences that each hold one token; beyond the seventh, the token is the seventh's. */
function rowsOf(context: LlamaContext, count: number): Buffer[] {
  const batch = context.newBatch();
  context.clearMemory();
  for (let row = 0; row < count; row++) {
    const kind = Math.min(row, ROWS_BELOW_PANELS - 1);
    batch.add((kind * 7919 + 5) % context.model.vocabularySize, 0, row, true);
  }
  context.decode(batch);
  return Array.from({ length: count }, (_, row) => bitsOf(context.logits(row)));
}

function canForgetLast(context: LlamaContext): boolean {
  const batch = context.newBatch();
  context.clearMemory();
  for (let position = 0; position < 2; position++) batch.add(5 % context.model.vocabularySize, position, 0, false);
  context.decode(batch);
  return context.removeSequence(0, 1, -1);
}

/** A copy of logits, to compare bit for bit: NaN equals itself, and -0 does not equal 0. */
export function bitsOf(logits: Float32Array): Buffer {
  return Buffer.from(Buffer.from(logits.buffer, logits.byteOffset, logits.byteLength));
}
