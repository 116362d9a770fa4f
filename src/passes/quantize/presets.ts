// llama.cpp's named mixtures (`enum llama_ftype`) and the plain ggml types that are no mixture. What a name stands for
// tensor by tensor is in mixture-rules.ts.
import { type GgmlType, GGML_TYPES, parseGgmlType } from "../../formats/gguf/ggml-types.js";

/** What one name on the command line stands for. */
export interface Preset {
  /** llama.cpp's name in ggml's spelling: `q4_K_M`, `iq3_xxs`. */
  readonly name: string;
  /** The number written as `general.file_type`; undefined for `copy`, which keeps the file's own. */
  readonly fileType: number | undefined;
  /** The type of every matrix that no rule of the mixture lifts or lowers. */
  readonly type: GgmlType;
  /** One phrase for people. */
  readonly summary: string;
  /** True when the name is a ggml type alone: every matrix becomes it, whatever its role. */
  readonly pure?: true;
}

const MIXTURES = [
  { name: "f32", fileType: 0, type: "f32", summary: "32-bit floats, nothing is lost" },
  { name: "f16", fileType: 1, type: "f16", summary: "16-bit floats" },
  { name: "bf16", fileType: 32, type: "bf16", summary: "bfloat16" },
  { name: "q8_0", fileType: 7, type: "q8_0", summary: "8.5 bits: close to lossless" },
  { name: "q6_K", fileType: 18, type: "q6_K", summary: "6.56 bits" },
  { name: "q5_K_M", fileType: 17, type: "q5_K", summary: "5.5 bits, half of attn_v and ffn_down in q6_K" },
  { name: "q5_K_S", fileType: 16, type: "q5_K", summary: "5.5 bits" },
  { name: "q5_1", fileType: 9, type: "q5_1", summary: "6 bits, blocks of 32" },
  { name: "q5_0", fileType: 8, type: "q5_0", summary: "5.5 bits, blocks of 32" },
  { name: "q4_K_M", fileType: 15, type: "q4_K", summary: "4.5 bits, half of attn_v and ffn_down in q6_K" },
  { name: "q4_K_S", fileType: 14, type: "q4_K", summary: "4.5 bits, first layers in q5_K" },
  { name: "q4_1", fileType: 3, type: "q4_1", summary: "5 bits, blocks of 32" },
  { name: "q4_0", fileType: 2, type: "q4_0", summary: "4.5 bits, blocks of 32" },
  { name: "iq4_nl", fileType: 25, type: "iq4_nl", summary: "4.5 bits, uneven steps, blocks of 32" },
  { name: "iq4_xs", fileType: 30, type: "iq4_xs", summary: "4.25 bits, uneven steps" },
  { name: "mxfp4_moe", fileType: 38, type: "mxfp4", summary: "experts in mxfp4, all else in q8_0" },
  { name: "q3_K_L", fileType: 13, type: "q3_K", summary: "3.44 bits, attn_v and ffn_down in q5_K" },
  { name: "q3_K_M", fileType: 12, type: "q3_K", summary: "3.44 bits, attn_v and ffn_down in q4_K" },
  { name: "q3_K_S", fileType: 11, type: "q3_K", summary: "3.44 bits" },
  { name: "iq3_m", fileType: 27, type: "iq3_s", summary: "3.44 bits, attn_v and attn_output in q4_K" },
  { name: "iq3_s", fileType: 26, type: "iq3_s", summary: "3.44 bits from a codebook" },
  { name: "iq3_xs", fileType: 22, type: "iq3_s", summary: "3.3 bits from codebooks" },
  { name: "iq3_xxs", fileType: 23, type: "iq3_xxs", summary: "3.06 bits from a codebook" },
  { name: "q2_K", fileType: 10, type: "q2_K", summary: "2.63 bits, attn_v and ffn_down in q3_K" },
  { name: "q2_K_S", fileType: 21, type: "q2_K", summary: "2.63 bits, needs importance" },
  { name: "iq2_m", fileType: 29, type: "iq2_s", summary: "2.7 bits from codebooks, needs importance" },
  { name: "iq2_s", fileType: 28, type: "iq2_xs", summary: "2.5 bits from codebooks, needs importance" },
  { name: "iq2_xs", fileType: 20, type: "iq2_xs", summary: "2.31 bits from a codebook, needs importance" },
  { name: "iq2_xxs", fileType: 19, type: "iq2_xxs", summary: "2.06 bits from a codebook, needs importance" },
  { name: "q2_0", fileType: 41, type: "q2_0", summary: "2.25 bits, blocks of 64, for ternary models" },
  { name: "tq2_0", fileType: 37, type: "tq2_0", summary: "2.06 bits, for ternary models" },
  { name: "tq1_0", fileType: 36, type: "tq1_0", summary: "1.69 bits, for ternary models" },
  { name: "iq1_m", fileType: 31, type: "iq1_m", summary: "1.75 bits from a codebook, needs importance" },
  { name: "iq1_s", fileType: 24, type: "iq1_s", summary: "1.56 bits from a codebook, needs importance" },
  { name: "q1_0", fileType: 40, type: "q1_0", summary: "1.13 bits, for models trained to signs" },
  { name: "copy", fileType: undefined, type: "f32", summary: "the file as it is, byte for byte; merges split files" },
] as const satisfies readonly Preset[];

export type PresetName = (typeof MIXTURES)[number]["name"];

/** Every mixture that llama.cpp has a name for, from large to small. */
export const PRESETS: readonly (Preset & { name: PresetName })[] = MIXTURES;

// llama.cpp's own short forms.
const ALIASES: Readonly<Record<string, PresetName>> = { q3_k: "q3_K_M", q4_k: "q4_K_M", q5_k: "q5_K_M" };

// ggml types that can be written but have no mixture of their name, with the file type that comes nearest.
const PLAIN_TYPES: readonly Preset[] = [
  { name: "mxfp4", fileType: 38, type: "mxfp4", pure: true, summary: "every matrix in mxfp4" },
  { name: "nvfp4", fileType: 39, type: "nvfp4", pure: true, summary: "every matrix in nvfp4" },
];

const BY_LOWER_CASE = new Map<string, Preset>([
  ...[...MIXTURES, ...PLAIN_TYPES].map((preset): [string, Preset] => [preset.name.toLowerCase(), preset]),
  ...Object.entries(ALIASES).map(([alias, name]): [string, Preset] => [alias, PRESETS.find((p) => p.name === name)!]),
]);

/**
 * Reads a mixture's name, one of llama.cpp's short forms (`q4_K` is `q4_K_M`), a file type's number, or a ggml type.
 *
 * @param text in either case
 * @throws {RangeError} listing the names when there is no such preset
 * @example
 * parsePreset("Q4_K_M").type; // "q4_K"
 */
export function parsePreset(text: string): Preset {
  const wanted = text.trim().toLowerCase();
  const preset = BY_LOWER_CASE.get(wanted) ?? MIXTURES.find(({ fileType }) => String(fileType) === wanted);
  if (preset) return preset;
  const names = MIXTURES.map(({ name }) => name).join(", ");
  if (Object.keys(GGML_TYPES).some((type) => type.toLowerCase() === wanted)) {
    throw new RangeError(`Weights can't be stored as ${parseGgmlType(wanted)}; choose one of ${names}`);
  }
  throw new RangeError(`"${text}" is no quantization type; choose one of ${names}`);
}

// ggml has no routine that writes rows of these: two are for activations only, the others are whole numbers or f64.
const NOT_WRITABLE: ReadonlySet<GgmlType> = new Set(["q8_1", "q8_K", "i8", "i16", "i32", "i64", "f64"]);

/**
 * Reads a ggml type that weights can be stored as, for one tensor.
 *
 * @throws {RangeError} when there is no such type or ggml can't write it
 */
export function parseWeightType(text: string): GgmlType {
  const type = parseGgmlType(text);
  if (NOT_WRITABLE.has(type)) throw new RangeError(`Weights can't be stored as ${type}`);
  return type;
}
