// Cuts calibration text into windows as llama-imatrix does: one stream of tokens, cut every `contextLength`, what is left
// over dropped, the first token of each window replaced by BOS where the vocabulary has one to add.
import { PareError } from "../errors.js";
import { formatCount } from "../support/units.js";

/** llama-imatrix's window where the caller asks for none; a model trained on less gets its own length. */
export const CONTEXT_LENGTH_DEFAULT = 512;

/** Below this llama.cpp's tools ignore a matrix product, so no window may be shorter. */
export const ROWS_MIN = 16;

/** Room for the logits that llama.cpp keeps for every token of a call, wanted or not. */
const LOGITS_BYTES_MAX = 128 * 2 ** 20;
/** Threads meet after every layer, so a call should be long: with 512 tokens a busy machine took twice as long. */
const BATCH_TOKENS_MAX = 2048;
/** Where memory bounds a call. */
const BATCH_TOKENS_MIN = 128;

export interface Windows {
  /** One array per window, all `contextLength` long. */
  windows: Int32Array[];
  tokensTotal: number;
}

/**
 * Joins the texts' tokens and cuts them.
 *
 * @param texts tokens of each text, with whatever the vocabulary puts in front
 * @param bos token to start each window with, or undefined for none
 * @param windowsMax most windows to take; all by default
 * @throws {PareError} when there are not tokens for one window
 */
export function cutWindows(
  texts: readonly Int32Array[],
  contextLength: number,
  { bos, windowsMax = Infinity }: { bos?: number; windowsMax?: number },
): Windows {
  const stream = joined(texts);
  if (stream.length < contextLength) {
    throw new PareError(
      `Cannot calibrate: the text has ${formatCount(stream.length)} tokens, one window takes ${formatCount(contextLength)}`,
      { hint: "Give more text or a shorter --context" },
    );
  }
  const count = Math.min(windowsMax, Math.floor(stream.length / contextLength));
  const windows = Array.from({ length: count }, (_, i) => {
    const window = stream.slice(i * contextLength, (i + 1) * contextLength);
    if (bos !== undefined) window[0] = bos;
    return window;
  });
  return { windows, tokensTotal: count * contextLength };
}

export interface BatchShape {
  sequences: number;
  batchTokens: number;
}

/**
 * How many windows go through the model in one call, and how many tokens that call takes. Windows longer than a call go
 * through in several.
 *
 * @param logitsColumns logits of one token, over all models: mostly the vocabulary's size; 0 where nobody asks for them
 * @param windowsTotal windows that there are
 * @param tokensMax most tokens of a call, where something else bounds them
 */
export function batchShape(
  contextLength: number,
  logitsColumns: number,
  windowsTotal = Infinity,
  tokensMax = BATCH_TOKENS_MAX,
): BatchShape {
  const logitsRows = Math.floor(LOGITS_BYTES_MAX / (4 * logitsColumns));
  // Multiples, so that the last piece of a window is not too short for its products to count.
  const bound = Math.min(BATCH_TOKENS_MAX, tokensMax, logitsRows);
  const affordable = Math.max(BATCH_TOKENS_MIN, bound - (bound % BATCH_TOKENS_MIN));
  const sequences = Math.min(windowsTotal, Math.max(1, Math.floor(affordable / contextLength)));
  return { sequences, batchTokens: Math.min(affordable, sequences * contextLength) };
}

function joined(texts: readonly Int32Array[]): Int32Array {
  const stream = new Int32Array(texts.reduce((total, text) => total + text.length, 0));
  let offset = 0;
  for (const text of texts) {
    stream.set(text, offset);
    offset += text.length;
  }
  return stream;
}
