// How large the file may be, in the ways in which people say it, turned into bytes: bits per weight, a size, a share off
// the source, or what fits the memory of a device together with the context. Exact: header and padding are counted.
import { ResourceError, UsageError } from "../../errors.js";
import { type GgmlType, rowSizeBytes } from "../../formats/gguf/ggml-types.js";
import { type MemoryOptions, memoryBytes } from "../../model/memory.js";
import { type Model, elementCount, rowCount } from "../../model/model.js";
import type { ImportanceNote } from "../../passes/quantize/output-metadata.js";
import { predictSize } from "../../passes/quantize/predict-size.js";
import { formatBytes, formatCount, parseBytes } from "../../support/units.js";
import { type DeviceSpec, readDevice, usableMemoryBytes } from "../device.js";

export type SizeTarget =
  | { readonly kind: "bytes"; readonly bytes: number }
  /** Bits of tensor data per weight, header and padding apart, as llama.cpp counts them. */
  | { readonly kind: "bitsPerWeight"; readonly bits: number }
  /** Share of the source's file that is left. */
  | { readonly kind: "share"; readonly share: number }
  /** A device's name, file or `this`, and the tokens of context that must fit beside the weights. */
  | { readonly kind: "device"; readonly device: string; readonly contextLength: number };

const FORMS = "4.2bpw, 38MB, 12345678B, -30% or raspberry-pi-5@4096 (a device's memory at a context length)";

/**
 * Reads a target such as `4.2bpw`, `38MB`, `12345678B`, `-30%` or `raspberry-pi-5@4096`.
 *
 * @throws {UsageError} when the text is none of these
 */
export function parseSizeTarget(text: string): SizeTarget {
  const written = text.trim();
  const bits = Number(/^(\d*\.?\d+)\s*bpw$/i.exec(written)?.[1]);
  if (bits > 0) return { kind: "bitsPerWeight", bits };
  const percent = Number(/^[-−]\s*(\d*\.?\d+)\s*%$/.exec(written)?.[1]);
  if (percent > 0 && percent < 100) return { kind: "share", share: 1 - percent / 100 };
  const [, device, tokens, thousands] = /^(.+)@(\d+)(k?)$/i.exec(written) ?? [];
  const contextLength = Number(tokens) * (thousands ? 1024 : 1);
  if (device && contextLength > 0) return { kind: "device", device, contextLength };
  if (/[a-z]$/i.test(written)) {
    try {
      return { kind: "bytes", bytes: parseBytes(written) };
    } catch {
      // The complaint below names all forms.
    }
  }
  throw new UsageError(`"${text}" is no size`, { hint: `Write one like ${FORMS}` });
}

/**
 * Reads a size of a file by itself, where a device has been named elsewhere.
 *
 * @throws {UsageError} when the text is no size, or names a device
 */
export function parseFileSize(text: string): Exclude<SizeTarget, { kind: "device" }> {
  const target = parseSizeTarget(text);
  if (target.kind !== "device") return target;
  throw new UsageError(`"${text}" is a device's memory, the size of a file is wanted`, {
    hint: "Write one like 4.2bpw, 38MB, 12345678B or -30%; the device is named by --device",
  });
}

/** What sizes are worked out from. */
export type SizedModel = Pick<Model, "spec" | "metadata" | "tensors" | "fileSizeBytes">;

export interface TargetOptions extends Pick<MemoryOptions, "typeK" | "typeV" | "batch" | "flashAttention"> {
  /** What the header will note about importance data. */
  readonly importance?: ImportanceNote;
  readonly signal?: AbortSignal;
}

/**
 * The bytes that the file may have.
 *
 * @returns whole bytes; a file of that size or less meets the target
 * @throws {UsageError} when the device is unknown
 * @throws {ResourceError} when the context leaves no memory for weights
 */
export async function targetBytes(target: SizeTarget, model: SizedModel, options: TargetOptions = {}): Promise<number> {
  switch (target.kind) {
    case "bytes":
      return target.bytes;
    case "bitsPerWeight":
      return headerBytes(model, options.importance) + Math.floor((target.bits * weightsTotal(model)) / 8);
    case "share":
      return Math.floor(target.share * (model.fileSizeBytes ?? fileBytesAsIs(model)));
    case "device": {
      const device = await readDevice(target.device, options.signal ? { signal: options.signal } : {});
      return deviceBytes(device, target.contextLength, model, options);
    }
  }
}

/**
 * The bytes of the largest file whose weights fit a device's memory beside the KV cache and the compute buffers, and that
 * its storage holds.
 *
 * @throws {ResourceError} when the context leaves no memory for weights
 */
export function deviceBytes(
  device: DeviceSpec,
  contextLength: number,
  model: SizedModel,
  options: TargetOptions = {},
): number {
  const usableBytes = usableMemoryBytes(device);
  const { kvCache, compute } = memoryBytes({ spec: model.spec, tensors: new Map() }, { ...options, contextLength });
  const weightsBytes = usableBytes - kvCache - compute;
  if (weightsBytes <= 0) {
    throw new ResourceError(
      `Cannot fit "${device.name}": a context of ${formatCount(contextLength)} tokens takes ` +
        `${formatBytes(kvCache + compute)} of its ${formatBytes(usableBytes)} before any weight`,
      { hint: "Ask for a shorter context, or for smaller types of the KV cache" },
    );
  }
  return Math.min(headerBytes(model, options.importance) + Math.floor(weightsBytes), device.storageBytes ?? Infinity);
}

/** Bytes of the written file before its first tensor; they do not depend on the types. */
export function headerBytes(model: Pick<Model, "metadata" | "tensors">, importance?: ImportanceNote): number {
  let tensorBytes = 0;
  for (const { type, shape } of model.tensors.values()) tensorBytes += paddedBytes(type, shape, model);
  return fileBytesAsIs(model, importance) - tensorBytes;
}

/** Bytes that a tensor takes in the file. */
export function paddedBytes(type: GgmlType, shape: readonly number[], { metadata }: Pick<Model, "metadata">): number {
  const alignment = metadata.number("general.alignment") ?? 32;
  return Math.ceil((rowSizeBytes(type, shape[0]!) * rowCount(shape)) / alignment) * alignment;
}

/** Weights of all tensors. */
export function weightsTotal({ tensors }: Pick<Model, "tensors">): number {
  let total = 0;
  for (const { shape } of tensors.values()) total += elementCount(shape);
  return total;
}

function fileBytesAsIs(model: Pick<Model, "metadata" | "tensors">, importance?: ImportanceNote): number {
  const kept = [...model.tensors.values()].map(({ name, type }) => [name, { type, because: "as it is" }] as const);
  return predictSize(model, new Map(kept), importance);
}
