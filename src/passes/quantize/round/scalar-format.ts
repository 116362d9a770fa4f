// ggml's scalar types taken apart into numbers and put together again, exactly. A row is a sequence of blocks with a
// float16 superscale each; a block has groups with an integer scale each. What the numbers should be is decided elsewhere.
import { type GgmlType, rowSizeBytes } from "../../../formats/gguf/ggml-types.js";
import { fromFloat16, toFloat16 } from "../../../support/float16.js";
import { readRuns, writeRuns } from "./bit-runs.js";
import { SCALAR_LAYOUTS, type ScalarLayout, type ScalarType } from "./scalar-layouts.js";

/** What a type can express: value = superScale · scale · levels[code] − superMin · min. */
export interface ScalarFormat {
  readonly type: ScalarType;
  /** Weights that share a superscale: 32 or 256. */
  readonly blockWeights: number;
  /** Weights that share a scale: 16 or 32; as many as a block has in a plain type. */
  readonly groupWeights: number;
  /** Code to value before scaling, ascending: neighbouring integers, or the 16 of iq4. */
  readonly levels: Float32Array;
  /** Range of the integer scales; 1 to 1 in a plain type. */
  readonly scaleMin: number;
  readonly scaleMax: number;
  /** Largest integer min: 15, 63, or 1 for q4_1 and q5_1, whose offset nothing multiplies. 0: no offsets. */
  readonly minMax: number;
}

/** Rows taken apart. */
export interface RowsState {
  /** [columns × rows] */
  codes: Uint8Array;
  /** [blocks × rows] that float16 can represent. */
  superScales: Float32Array;
  /** [blocks × rows] that float16 can represent; for q4_1 and q5_1 the stored offset with its sign changed. Empty: none. */
  superMins: Float32Array;
  /** [groups × rows]; 1 in a plain type. */
  scales: Int16Array;
  /** [groups × rows]; 1 in q4_1 and q5_1, though 0 can be stored too. Empty: none. */
  mins: Uint8Array;
}

const GROUPS_MAX = 16; // in a block

const formats = new Map<GgmlType, ScalarFormat>(
  (Object.keys(SCALAR_LAYOUTS) as ScalarType[]).map((type) => {
    const { blockWeights, groupWeights, levels, scaleMin, scaleMax, minMax } = SCALAR_LAYOUTS[type];
    return [type, { type, blockWeights, groupWeights, levels: Float32Array.from(levels), scaleMin, scaleMax, minMax }];
  }),
);

/** The type's format, or undefined when it rounds several weights together or is none of integers. */
export function scalarFormat(type: GgmlType): ScalarFormat | undefined {
  return formats.get(type);
}

/**
 * Rows of zeros; scales and mins that the type does not store are ones.
 *
 * @throws {RangeError} when a row is not a whole number of blocks
 */
export function emptyRows(
  { type, blockWeights, groupWeights, minMax }: ScalarFormat,
  rows: number,
  columns: number,
): RowsState {
  rowSizeBytes(type, columns);
  const blocks = (rows * columns) / blockWeights;
  const groups = (rows * columns) / groupWeights;
  const isPlain = SCALAR_LAYOUTS[type].groups === undefined;
  return {
    codes: new Uint8Array(rows * columns),
    superScales: new Float32Array(blocks),
    superMins: new Float32Array(minMax ? blocks : 0),
    scales: new Int16Array(groups).fill(isPlain ? 1 : 0),
    mins: new Uint8Array(minMax ? groups : 0).fill(isPlain ? 1 : 0),
  };
}

/**
 * Takes ggml's bytes apart.
 *
 * @param bytes of `rows` whole rows
 * @throws {RangeError} when they are not, or a row is not a whole number of blocks
 */
export function unpackRows(format: ScalarFormat, bytes: Uint8Array, rows: number, columns: number): RowsState {
  const layout = SCALAR_LAYOUTS[format.type];
  const { blockWeights, codeFlip } = layout;
  requireBytes(format, bytes, rows, columns);
  const blockBytes = rowSizeBytes(format.type, blockWeights);
  const state = emptyRows(format, rows, columns);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stored = new Uint8Array(2 * GROUPS_MAX);
  for (let block = 0, at = 0; block < state.superScales.length; block++, at += blockBytes) {
    readRuns(layout.codes, bytes, at, state.codes, block * blockWeights);
    state.superScales[block] = fromFloat16(view.getUint16(at + layout.superScale, true));
    if (layout.superMin !== undefined) {
      const superMin = fromFloat16(view.getUint16(at + layout.superMin, true));
      state.superMins[block] = layout.superMinAdded ? -superMin : superMin;
    }
    readGroups(layout, bytes, at, state, block, stored.fill(0));
  }
  if (codeFlip) flipped(state.codes, codeFlip);
  return state;
}

/**
 * Puts rows together as ggml stores them.
 *
 * @throws {RangeError} when a number is beyond what the type stores, a superscale is no finite float16, or
 *   a row is not a whole number of blocks: nothing is rounded here
 */
export function packRows(format: ScalarFormat, state: RowsState, rows: number, columns: number): Uint8Array {
  const layout = SCALAR_LAYOUTS[format.type];
  const { blockWeights, codeFlip } = layout;
  requireState(format, state, rows, columns);
  const bytes = new Uint8Array(rows * rowSizeBytes(format.type, columns));
  const blockBytes = rowSizeBytes(format.type, blockWeights);
  const view = new DataView(bytes.buffer);
  const stored = new Uint8Array(2 * GROUPS_MAX);
  const codes = codeFlip ? flipped(state.codes.slice(), codeFlip) : state.codes;
  for (let block = 0, at = 0; block < state.superScales.length; block++, at += blockBytes) {
    writeRuns(layout.codes, codes, block * blockWeights, bytes, at);
    view.setUint16(at + layout.superScale, exactFloat16(format, state.superScales[block]!), true);
    if (layout.superMin !== undefined) {
      const superMin = state.superMins[block]!;
      const offset = layout.superMinAdded ? -superMin * state.mins[block]! : superMin;
      view.setUint16(at + layout.superMin, exactFloat16(format, offset), true);
    }
    writeGroups(layout, state, block, stored, bytes, at);
  }
  return bytes;
}

/**
 * The weights that rows stand for, bit for bit those of ggml's decoder.
 *
 * ggml computes in single precision, this in double, and both are exact up to the subtraction: a float16 has 11 bits, a
 * scale and a level together have at most 12, so that every product fits into the 24 of a single. The difference fits
 * into a double's 53 and is rounded once, when it is stored.
 *
 * @param out where to put them, [columns × rows]; made when absent
 */
export function stateValues(
  { blockWeights, groupWeights, levels }: ScalarFormat,
  state: RowsState,
  rows: number,
  columns: number,
  out: Float32Array = new Float32Array(rows * columns),
): Float32Array {
  const { codes, superScales, superMins, scales, mins } = state;
  const groupsPerBlock = blockWeights / groupWeights;
  const groups = (rows * columns) / groupWeights;
  for (let group = 0, at = 0; group < groups; group++) {
    const block = Math.floor(group / groupsPerBlock);
    const scale = superScales[block]! * scales[group]!;
    const offset = mins.length ? superMins[block]! * mins[group]! : 0;
    for (const end = at + groupWeights; at < end; at++) out[at] = scale * levels[codes[at]!]! - offset;
  }
  return out;
}

/** Turns over the same bits of every code, in place. */
function flipped(codes: Uint8Array, bits: number): Uint8Array {
  for (let i = 0; i < codes.length; i++) codes[i]! ^= bits;
  return codes;
}

function readGroups(
  { blockWeights, groupWeights, groups, scaleFlip, scaleMin }: ScalarLayout,
  bytes: Uint8Array,
  byteStart: number,
  { scales, mins }: RowsState,
  block: number,
  stored: Uint8Array,
): void {
  if (!groups) return;
  readRuns(groups, bytes, byteStart, stored, 0);
  const count = blockWeights / groupWeights;
  for (let i = 0; i < count; i++) scales[block * count + i] = (stored[i]! ^ scaleFlip) + scaleMin;
  if (mins.length) for (let i = 0; i < count; i++) mins[block * count + i] = stored[count + i]!;
}

function writeGroups(
  { blockWeights, groupWeights, groups, scaleFlip, scaleMin }: ScalarLayout,
  { scales, mins }: RowsState,
  block: number,
  stored: Uint8Array,
  bytes: Uint8Array,
  byteStart: number,
): void {
  if (!groups) return;
  const count = blockWeights / groupWeights;
  for (let i = 0; i < count; i++) stored[i] = (scales[block * count + i]! - scaleMin) ^ scaleFlip;
  if (mins.length) for (let i = 0; i < count; i++) stored[count + i] = mins[block * count + i]!;
  writeRuns(groups, stored, 0, bytes, byteStart);
}

function requireBytes({ type }: ScalarFormat, bytes: Uint8Array, rows: number, columns: number): void {
  const wanted = rows * rowSizeBytes(type, columns);
  if (bytes.byteLength !== wanted) {
    throw new RangeError(
      `Cannot take apart ${rows} rows of ${columns} weights in ${type}: ${bytes.byteLength} bytes given, ${wanted} needed`,
    );
  }
}

function requireState(format: ScalarFormat, state: RowsState, rows: number, columns: number): void {
  const { type, levels, scaleMin, scaleMax, minMax, blockWeights, groupWeights } = format;
  const weights = rows * columns;
  const offsets = minMax ? 1 : 0;
  requireLength(type, "codes", state.codes, weights);
  requireLength(type, "superscales", state.superScales, weights / blockWeights);
  requireLength(type, "supermins", state.superMins, (offsets * weights) / blockWeights);
  requireLength(type, "scales", state.scales, weights / groupWeights);
  requireLength(type, "mins", state.mins, (offsets * weights) / groupWeights);
  if (bitsUsed(state.codes) >= levels.length) requireRange(type, "code", state.codes, 0, levels.length - 1);
  requireRange(type, "scale", state.scales, scaleMin, scaleMax);
  requireRange(type, "min", state.mins, 0, minMax);
}

function requireLength(type: GgmlType, what: string, { length }: { length: number }, wanted: number): void {
  if (length !== wanted) throw new RangeError(`Cannot store ${length} ${what} as ${type}: ${wanted} needed`);
}

/** All bits that any code has. Types have as many levels as their codes' bits can tell apart, so these say enough. */
function bitsUsed(codes: Uint8Array): number {
  let bits = 0;
  for (let i = 0; i < codes.length; i++) bits |= codes[i]!;
  return bits;
}

function requireRange(type: GgmlType, what: string, values: Uint8Array | Int16Array, min: number, max: number): void {
  for (let i = 0; i < values.length; i++) {
    if (values[i]! < min || values[i]! > max) {
      throw new RangeError(`Cannot store the ${what} ${values[i]} in ${type}: it goes from ${min} to ${max}`);
    }
  }
}

function exactFloat16({ type }: ScalarFormat, value: number): number {
  const bits = toFloat16(value);
  if (Number.isFinite(value) && fromFloat16(bits) === value) return bits;
  throw new RangeError(`Cannot store the superscale ${value} in ${type}: it is no finite float16`);
}
