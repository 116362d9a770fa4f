// The codebooks themselves, read off ggml's own decoder: blocks with every codeword once, all signs plus, superscale one.
// Arranged for search: a codeword is two halves, and few first halves differ.
import type { GgmlLibrary } from "../../../../native/engine.js";
import { dequantize } from "../../../../native/ggml.js";
import { BLOCK_WEIGHTS, type CodebookFormat } from "./codebook-format.js";
import { emptyCodebookRows, packCodebookRows } from "./codebook-rows.js";

export interface Codebook {
  readonly format: CodebookFormat;
  /** What each codeword's weights are at superscale 1 and scale 0: [codeLength × codewords]. */
  readonly magnitudes: Float64Array;
  /** The different first halves: [codeLength / 2 × F]. */
  readonly firsts: Float64Array;
  /** The codewords in the order of their first halves. */
  readonly codes: Uint16Array;
  /** Where the codewords of each first half start in `codes`, and the end: [F + 1]. */
  readonly runs: Uint16Array;
  /** The second half of each codeword of `codes`: [codeLength / 2 × codewords]. */
  readonly seconds: Float64Array;
}

const books = new WeakMap<GgmlLibrary, Map<string, Codebook>>();

/** The codebook of a type, read once per process. */
export function codebookOf(ggml: GgmlLibrary, format: CodebookFormat): Codebook {
  let known = books.get(ggml);
  if (!known) books.set(ggml, (known = new Map()));
  let book = known.get(format.type);
  if (!book) known.set(format.type, (book = arrange(format, decodeCodewords(ggml, format))));
  return book;
}

function decodeCodewords(ggml: GgmlLibrary, format: CodebookFormat): Float64Array {
  const weights = format.codewords * format.codeLength; // whole blocks for every type
  const state = emptyCodebookRows(format, weights / BLOCK_WEIGHTS, BLOCK_WEIGHTS);
  for (let code = 0; code < format.codewords; code++) state.codes[code] = code;
  state.superScales.fill(1);
  return Float64Array.from(dequantize(ggml, format.type, packCodebookRows(format, state), weights));
}

function arrange(format: CodebookFormat, magnitudes: Float64Array): Codebook {
  const { codeLength } = format;
  const half = codeLength / 2;
  const byFirst = new Map<string, number[]>();
  for (let code = 0; code < format.codewords; code++) {
    const key = magnitudes.subarray(code * codeLength, code * codeLength + half).join();
    const run = byFirst.get(key);
    if (run) run.push(code);
    else byFirst.set(key, [code]);
  }
  const runs = [...byFirst.values()];
  const codes = runs.flat();
  let end = 0;
  return {
    format,
    magnitudes,
    firsts: halvesOf(
      magnitudes,
      runs.map(([code]) => code! * codeLength),
      half,
    ),
    codes: Uint16Array.from(codes),
    runs: Uint16Array.from([0, ...runs.map(({ length }) => (end += length))]),
    seconds: halvesOf(
      magnitudes,
      codes.map((code) => code * codeLength + half),
      half,
    ),
  };
}

function halvesOf(magnitudes: Float64Array, starts: readonly number[], half: number): Float64Array {
  return Float64Array.from(starts.flatMap((start) => [...magnitudes.subarray(start, start + half)]));
}
