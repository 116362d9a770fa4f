// How GPTQ, AWQ and compressed-tensors store a matrix, told by their own code: AutoGPTQ's and GPTQModel's QuantLinear, AutoAWQ's WQLinear_GEMM,
// compressed-tensors' pack-quantized and int-quantized compressors. In all of them a linear layer `x` has several tensors, `x.…`.
import { FormatError } from "../../errors.js";
import type { Config } from "../../formats/huggingface/config.js";
import type { Weight } from "../../formats/huggingface/open-weights.js";
import { fromFloat16 } from "../../support/float16.js";
import { type PackedMatrix, Words } from "./packed-matrix.js";

/** The tensors of one layer, by what follows its name. */
export type LayerTensors = ReadonlyMap<string, Weight>;

export interface Layout {
  /** What follows a layer's name where its codes are. */
  readonly codes: string;
  /** All that may follow, the codes among it. */
  readonly suffixes: readonly string[];
  /** @throws {FormatError} when a layer's tensors do not fit each other */
  requireFit(tensors: LayerTensors): void;
  /** The bits of a code. */
  readonly bits: number;
  open(tensors: LayerTensors): Promise<PackedMatrix>;
}

/** The layout that `quantization_config` describes. @throws {FormatError} for one that is not read */
export function layoutOf(quantization: Config): Layout {
  const method = quantization.text("quant_method") ?? "unknown";
  if (method === "gptq") return gptq(quantization);
  if (method === "awq") return awq(quantization);
  if (method === "compressed-tensors") return compressedTensors(quantization);
  throw unread(quantization, method);
}

function unread({ path }: Config, what: string): FormatError {
  return new FormatError(path, `Cannot convert "${path}": its weights are quantized (${what})`, {
    hint: "GPTQ (2, 4, 8 bits), AWQ (4 bits) and compressed-tensors (whole numbers of 4 or 8 bits) are read; else convert the model that it was made from",
  });
}

function gptq(quantization: Config): Layout {
  const bits = quantization.count("bits");
  if (![2, 4, 8].includes(bits)) throw unread(quantization, `gptq of ${bits} bits`);
  const format = quantization.text("checkpoint_format") ?? "gptq";
  if (format !== "gptq" && format !== "gptq_v2") throw unread(quantization, `gptq as ${format}`);
  const zeroOffset = format === "gptq" ? 1 : 0; // the first format stores zero points less one
  const mask = 2 ** bits - 1;
  const perWord = 32 / bits;
  const size = quantization.optionalNumber("group_size");
  return {
    codes: ".qweight",
    suffixes: [".qweight", ".qzeros", ".scales", ".g_idx"],
    bits,
    requireFit: (tensors) => {
      requireType(tensors, "I32", [".qweight", ".qzeros", ".g_idx"]);
      const [words, rows] = matrixShape(tensors.get(".qweight")!);
      const [groups] = requireShape(tensors, ".scales", [undefined, rows]);
      requireShape(tensors, ".qzeros", [groups, rows / perWord]);
      if (tensors.has(".g_idx")) requireShape(tensors, ".g_idx", [words * perWord]);
    },
    async open(tensors) {
      const [words, rows] = matrixShape(tensors.get(".qweight")!);
      const columns = words * perWord;
      const scales = await floats(tensors.get(".scales")!);
      const groups = scales.length / rows;
      const codes = new Words(await bytesOf(tensors.get(".qweight")!), bits);
      const zeros = new Words(await bytesOf(tensors.get(".qzeros")!), bits);
      const order = tensors.has(".g_idx") ? new Int32Array((await bytesOf(tensors.get(".g_idx")!)).buffer) : undefined;
      requireGroups(tensors.get(".qweight")!, order, groups);
      return {
        rows,
        columns,
        code: (row, column) => codes.at(Math.floor(column / perWord) * rows + row, column % perWord),
        groupOf: order ? (column) => order[column]! : consecutiveGroups(tensors, columns, { groups, size }),
        scale: (row, group) => scales[group * rows + row]!,
        zero: (row, group) =>
          (zeros.at(group * (rows / perWord) + Math.floor(row / perWord), row % perWord) + zeroOffset) & mask,
      };
    },
  };
}

/** Where AutoAWQ puts the outputs of a word: output i of eight is at place `AWQ_PLACES[i]`. */
const AWQ_PLACES = [0, 4, 1, 5, 2, 6, 3, 7] as const;

function awq(quantization: Config): Layout {
  const bits = quantization.optionalCount("bits") ?? quantization.count("w_bit");
  const version = (quantization.text("version") ?? "gemm").toLowerCase();
  if (bits !== 4 || version !== "gemm") throw unread(quantization, `awq of ${bits} bits, ${version}`);
  const size = quantization.optionalNumber("group_size") ?? quantization.optionalNumber("q_group_size");
  return {
    codes: ".qweight",
    suffixes: [".qweight", ".qzeros", ".scales"],
    bits,
    requireFit: (tensors) => {
      requireType(tensors, "I32", [".qweight", ".qzeros"]);
      const [, words] = matrixShape(tensors.get(".qweight")!);
      const [groups] = requireShape(tensors, ".scales", [undefined, words * 8]);
      requireShape(tensors, ".qzeros", [groups, words]);
    },
    async open(tensors) {
      const [columns, words] = matrixShape(tensors.get(".qweight")!);
      const rows = words * 8;
      const scales = await floats(tensors.get(".scales")!);
      const groups = scales.length / rows;
      const codes = new Words(await bytesOf(tensors.get(".qweight")!), bits);
      const zeros = new Words(await bytesOf(tensors.get(".qzeros")!), bits);
      return {
        rows,
        columns,
        code: (row, column) => codes.at(column * words + (row >> 3), AWQ_PLACES[row & 7]!),
        groupOf: consecutiveGroups(tensors, columns, { groups, size }),
        scale: (row, group) => scales[group * rows + row]!,
        zero: (row, group) => zeros.at(group * words + (row >> 3), AWQ_PLACES[row & 7]!),
      };
    },
  };
}

function compressedTensors(quantization: Config): Layout {
  const format = quantization.text("format") ?? "unknown";
  const groups = Object.values(quantization.section("config_groups")?.values ?? {});
  const weights = (groups[0] as { weights?: PackedWeights } | undefined)?.weights;
  const bits = weights?.num_bits ?? 0;
  const isRead = weights?.type === "int" && (bits === 4 || bits === 8) && groups.length === 1;
  if (!isRead || !(format === "pack-quantized" || format === "int-quantized")) {
    throw unread(quantization, `compressed-tensors as ${format}${groups.length > 1 ? " in several groups" : ""}`);
  }
  const size = weights.group_size ?? undefined;
  return format === "pack-quantized" ? packQuantized(bits, size) : intQuantized(size);
}

interface PackedWeights {
  num_bits?: number;
  type?: string;
  group_size?: number | null;
}

/** Rows of words; codes and zero points lie 2^(bits - 1) above the numbers that they stand for. */
function packQuantized(bits: number, size: number | undefined): Layout {
  const perWord = 32 / bits;
  const columnsOf = async (tensors: LayerTensors): Promise<number> => {
    const shape = tensors.get(".weight_shape");
    const words = matrixShape(tensors.get(".weight_packed")!)[1];
    if (!shape) return words * perWord;
    return Number(new BigInt64Array((await bytesOf(shape)).buffer)[1]);
  };
  return {
    codes: ".weight_packed",
    suffixes: [".weight_packed", ".weight_scale", ".weight_zero_point", ".weight_shape", ".weight_g_idx"],
    bits,
    requireFit: (tensors) => {
      requireType(tensors, "I32", [".weight_packed", ".weight_zero_point", ".weight_g_idx"]);
      requireType(tensors, "I64", [".weight_shape"]);
      const [rows] = matrixShape(tensors.get(".weight_packed")!);
      const [, groups] = requireShape(tensors, ".weight_scale", [rows, undefined]);
      if (tensors.has(".weight_zero_point"))
        requireShape(tensors, ".weight_zero_point", [Math.ceil(rows / perWord), groups]);
    },
    async open(tensors) {
      const [rows, words] = matrixShape(tensors.get(".weight_packed")!);
      const columns = await columnsOf(tensors);
      if (Math.ceil(columns / perWord) !== words)
        throw misfit(tensors.get(".weight_packed")!, `has ${words} words in a row for ${columns} columns`);
      const scales = await floats(tensors.get(".weight_scale")!);
      const groups = scales.length / rows;
      const codes = new Words(await bytesOf(tensors.get(".weight_packed")!), bits);
      const point = tensors.get(".weight_zero_point");
      const zeros = point && new Words(await bytesOf(point), bits);
      const index = tensors.get(".weight_g_idx");
      const order = index && new Int32Array((await bytesOf(index)).buffer);
      const isOrdered = order !== undefined && order[0]! >= 0; // -1 where there is no order
      if (isOrdered) requireGroups(tensors.get(".weight_packed")!, order, groups);
      return {
        rows,
        columns,
        code: (row, column) => codes.at(row * words + Math.floor(column / perWord), column % perWord),
        groupOf: isOrdered ? (column) => order[column]! : consecutiveGroups(tensors, columns, { groups, size }),
        scale: (row, group) => scales[row * groups + group]!,
        zero: (row, group) => zeros?.at(Math.floor(row / perWord) * groups + group, row % perWord) ?? 2 ** (bits - 1),
      };
    },
  };
}

/** Signed bytes. */
function intQuantized(size: number | undefined): Layout {
  return {
    codes: ".weight",
    suffixes: [".weight", ".weight_scale", ".weight_zero_point"],
    bits: 8,
    requireFit: (tensors) => {
      requireType(tensors, "I8", [".weight", ".weight_zero_point"]);
      const [rows] = matrixShape(tensors.get(".weight")!);
      const [, groups] = requireShape(tensors, ".weight_scale", [rows, undefined]);
      if (tensors.has(".weight_zero_point")) requireShape(tensors, ".weight_zero_point", [rows, groups]);
    },
    async open(tensors) {
      const [rows, columns] = matrixShape(tensors.get(".weight")!);
      const scales = await floats(tensors.get(".weight_scale")!);
      const groups = scales.length / rows;
      const signed = async (weight: Weight): Promise<Int8Array> => new Int8Array((await bytesOf(weight)).buffer);
      const codes = await signed(tensors.get(".weight")!);
      const point = tensors.get(".weight_zero_point");
      const zeros = point && (await signed(point));
      return {
        rows,
        columns,
        code: (row, column) => codes[row * columns + column]! + 128,
        groupOf: consecutiveGroups(tensors, columns, { groups, size }),
        scale: (row, group) => scales[row * groups + group]!,
        zero: (row, group) => (zeros?.[row * groups + group] ?? 0) + 128,
      };
    },
  };
}

/** A copy of its own, so that words are aligned. */
async function bytesOf(weight: Weight): Promise<Uint8Array> {
  return weight.read(0, weight.sizeBytes, new Uint8Array(weight.sizeBytes));
}

async function floats(weight: Weight): Promise<Float32Array> {
  const { buffer } = await bytesOf(weight);
  if (weight.dtype === "F32") return new Float32Array(buffer);
  const halves = new Uint16Array(buffer);
  if (weight.dtype === "F16") return Float32Array.from(halves, fromFloat16);
  if (weight.dtype === "BF16") return new Float32Array(Uint32Array.from(halves, (half) => half * 65_536).buffer);
  throw misfit(weight, `is of type ${weight.dtype}, F16, BF16 or F32 is wanted`);
}

function matrixShape(weight: Weight): [number, number] {
  const [first, second, ...more] = weight.shape;
  if (first === undefined || second === undefined || more.length > 0) throw misfit(weight, "is no matrix");
  return [first, second];
}

/** Of those tensors that are there. */
function requireType(tensors: LayerTensors, wanted: string, suffixes: readonly string[]): void {
  const stranger = suffixes.map((suffix) => tensors.get(suffix)).find((weight) => weight && weight.dtype !== wanted);
  if (stranger) throw misfit(stranger, `is of type ${stranger.dtype}, ${wanted} is wanted`);
}

/** @returns the shape found; `undefined` in what is wanted stands for any length */
function requireShape(tensors: LayerTensors, suffix: string, wanted: readonly (number | undefined)[]): number[] {
  const weight = tensors.get(suffix);
  const [codes] = tensors.values();
  if (!weight) throw misfit(codes!, `has no "${suffix.slice(1)}" beside it`);
  const shape = weight.shape.length === 1 && wanted.length === 2 ? [weight.shape[0]!, 1] : [...weight.shape];
  const fits = shape.length === wanted.length && shape.every((length, i) => (wanted[i] ?? length) === length);
  if (fits) return shape;
  const text = wanted.map((length) => length ?? "any").join(", ");
  throw misfit(weight, `has shape [${weight.shape.join(", ")}], [${text}] is wanted`);
}

function requireGroups(weight: Weight, order: Int32Array | undefined, groups: number): void {
  const stranger = order?.find((group) => !(group >= 0 && group < groups));
  if (stranger !== undefined) throw misfit(weight, `has a column of group ${stranger}, and there are ${groups}`);
}

/**
 * Which group a column is of, where none is listed: groups follow each other, of the size that the config states, the last one perhaps
 * shorter. Where that is another layer's size, or none is stated, all are of one size.
 *
 * @throws {FormatError} when neither fits
 */
function consecutiveGroups(
  tensors: LayerTensors,
  columns: number,
  { groups, size: stated = 0 }: { groups: number; size: number | undefined },
): (column: number) => number {
  const isStated = Number.isSafeInteger(stated) && stated > 0 && Math.ceil(columns / stated) === groups;
  const size = isStated ? stated : columns / groups;
  const [codes] = tensors.values();
  if (!Number.isInteger(size)) {
    const wanted = stated > 0 ? `groups of ${stated}, nor ${groups} of one size` : `${groups} groups of one size`;
    throw misfit(codes!, `has ${columns} columns and ${groups} groups, which are no ${wanted}`);
  }
  return (column) => Math.floor(column / size);
}

function misfit({ name, file }: Weight, what: string): FormatError {
  return new FormatError(file.path, `Cannot convert "${file.path}": tensor "${name}" ${what}`);
}
