// Small models with random weights that llama.cpp loads: for tests and benches that need rows of a chosen length, experts,
// or a vocabulary of a chosen kind. They know nothing; they only have the right shape.
import { GGML_TYPES } from "../src/formats/gguf/ggml-types.js";
import { Metadata, MetadataArray } from "../src/formats/gguf/metadata.js";
import { type GgufTensorSource, writeGguf } from "../src/formats/gguf/write.js";
import { toFloat16 } from "../src/support/float16.js";
import { Random } from "../src/support/random.js";

/** Dimensions of a synthetic model; all have small defaults with rows that are multiples of 256. */
export interface SyntheticModelOptions {
  layers?: number;
  width?: number;
  feedForward?: number;
  heads?: number;
  kvHeads?: number;
  /** Tokens: at least 320. */
  vocabulary?: number;
  contextLength?: number;
  /** Experts per layer; 0 for a dense model. */
  experts?: number;
  expertsUsed?: number;
  /** True to leave out `output.weight`. */
  tied?: boolean;
  /** Type of the matrices; norms are always f32. */
  type?: "f32" | "f16";
  /** SentencePiece (`spm`) or byte-level BPE (`bpe`). */
  tokenizer?: "spm" | "bpe";
  seed?: number;
  chatTemplate?: string;
  /** True for a model that never likes a control token best, so that its greedy answers only end by their limit. */
  endless?: boolean;
  /** Last changes to the metadata, such as faults. */
  edit?: (metadata: Metadata) => void;
}

/** Distinct random values per tensor; larger tensors repeat them. */
const VALUES_MAX = 2 ** 22;

/** Writes a synthetic llama model. */
export async function writeSyntheticModel(
  path: string,
  options: SyntheticModelOptions = {},
): Promise<{ sizeBytes: number; sha256: string }> {
  const chosen = { ...DEFAULTS, ...options };
  const metadata = syntheticMetadata(chosen);
  options.edit?.(metadata);
  return writeGguf(path, { metadata, tensors: syntheticTensors(chosen) });
}

const DEFAULTS = {
  layers: 2,
  width: 256,
  feedForward: 512,
  heads: 4,
  kvHeads: 2,
  vocabulary: 512,
  contextLength: 256,
  experts: 0,
  expertsUsed: 2,
  tied: false,
  type: "f32",
  tokenizer: "spm",
  seed: 1,
  endless: false,
} as const satisfies SyntheticModelOptions;

type Chosen = Required<Omit<SyntheticModelOptions, "chatTemplate" | "edit">> & SyntheticModelOptions;

function syntheticMetadata(chosen: Chosen): Metadata {
  const metadata = new Metadata()
    .set("general.architecture", "string", "llama")
    .set("general.name", "string", "synthetic")
    .set("general.file_type", "uint32", chosen.type === "f32" ? 0 : 1)
    .set("llama.context_length", "uint32", chosen.contextLength)
    .set("llama.embedding_length", "uint32", chosen.width)
    .set("llama.block_count", "uint32", chosen.layers)
    .set("llama.feed_forward_length", "uint32", chosen.feedForward)
    .set("llama.attention.head_count", "uint32", chosen.heads)
    .set("llama.attention.head_count_kv", "uint32", chosen.kvHeads)
    .set("llama.attention.layer_norm_rms_epsilon", "float32", 1e-5)
    .set("llama.rope.dimension_count", "uint32", chosen.width / chosen.heads)
    .set("llama.vocab_size", "uint32", chosen.vocabulary);
  if (chosen.experts > 0) {
    metadata.set("llama.expert_count", "uint32", chosen.experts);
    metadata.set("llama.expert_used_count", "uint32", chosen.expertsUsed);
  }
  if (chosen.tokenizer === "spm") addSentencePieces(metadata, chosen.vocabulary);
  else addBytePairs(metadata, chosen.vocabulary);
  if (chosen.chatTemplate !== undefined) metadata.set("tokenizer.chat_template", "string", chosen.chatTemplate);
  return metadata;
}

// llama.cpp's token types
const [NORMAL, UNKNOWN, CONTROL, BYTE] = [1, 2, 3, 6];

/** `<unk> <s> </s>`, the 256 bytes, printable characters, then made-up words. */
function addSentencePieces(metadata: Metadata, vocabulary: number): void {
  const tokens = ["<unk>", "<s>", "</s>"];
  const types = [UNKNOWN, CONTROL, CONTROL];
  for (let byte = 0; byte < 256; byte++) {
    tokens.push(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    types.push(BYTE);
  }
  for (const letter of "▁etaoinshrdlcumwfgypbvkxjqz.,!?ETAOINSHRDLCUMW'-0123456789") tokens.push(letter);
  addWords(tokens, vocabulary, "▁");
  while (types.length < tokens.length) types.push(NORMAL);
  metadata
    .set("tokenizer.ggml.model", "string", "llama")
    .set("tokenizer.ggml.tokens", "array", MetadataArray.of("string", tokens))
    .set(
      "tokenizer.ggml.scores",
      "array",
      MetadataArray.of(
        "float32",
        tokens.map((_, id) => -id),
      ),
    )
    .set("tokenizer.ggml.token_type", "array", MetadataArray.of("int32", types))
    .set("tokenizer.ggml.bos_token_id", "uint32", 1)
    .set("tokenizer.ggml.eos_token_id", "uint32", 2)
    .set("tokenizer.ggml.unknown_token_id", "uint32", 0);
}

/** GPT-2's 256 bytes, pairs of letters with their merges, then made-up words and `<|endoftext|>`. */
function addBytePairs(metadata: Metadata, vocabulary: number): void {
  const tokens = bytesAsCharacters();
  const merges: string[] = [];
  const letters = "etaoinshrdlu";
  for (const first of `Ġ${letters}`) {
    for (const second of letters) {
      if (tokens.length >= vocabulary - 1) break;
      tokens.push(first + second);
      merges.push(`${first} ${second}`);
    }
  }
  addWords(tokens, vocabulary - 1, "Ġ");
  tokens.push("<|endoftext|>");
  const types = tokens.map((_, id) => (id === tokens.length - 1 ? CONTROL : NORMAL));
  metadata
    .set("tokenizer.ggml.model", "string", "gpt2")
    .set("tokenizer.ggml.pre", "string", "gpt-2")
    .set("tokenizer.ggml.tokens", "array", MetadataArray.of("string", tokens))
    .set("tokenizer.ggml.token_type", "array", MetadataArray.of("int32", types))
    .set("tokenizer.ggml.merges", "array", MetadataArray.of("string", merges))
    .set("tokenizer.ggml.bos_token_id", "uint32", tokens.length - 1)
    .set("tokenizer.ggml.eos_token_id", "uint32", tokens.length - 1);
}

function addWords(tokens: string[], count: number, space: string): void {
  if (tokens.length > count) throw new RangeError(`A vocabulary of ${count} tokens is too small`);
  for (let word = 0; tokens.length < count; word++) tokens.push(`${space}word${word}`);
}

/** GPT-2's spelling of the 256 bytes: printable ones as they are, the others from U+0100 on. */
function bytesAsCharacters(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    return String.fromCharCode(isPrintable ? byte : next++);
  });
}

function syntheticTensors(chosen: Chosen): GgufTensorSource[] {
  const { width, feedForward, vocabulary, experts } = chosen;
  const random = new Random(chosen.seed);
  const keyWidth = (width / chosen.heads) * chosen.kvHeads;
  const matrix = (name: string, ...shape: number[]) => randomTensor(random.fork(name), name, shape, chosen.type);
  const norm = (name: string) => randomNorm(random.fork(name), name, width);
  const tensors = [matrix("token_embd.weight", width, vocabulary), norm("output_norm.weight")];
  if (!chosen.tied) {
    const output = matrix("output.weight", width, vocabulary);
    tensors.push(chosen.endless ? withoutControlTokens(output) : output);
  }
  for (let layer = 0; layer < chosen.layers; layer++) {
    const block = `blk.${layer}.`;
    tensors.push(
      norm(`${block}attn_norm.weight`),
      matrix(`${block}attn_q.weight`, width, width),
      matrix(`${block}attn_k.weight`, width, keyWidth),
      matrix(`${block}attn_v.weight`, width, keyWidth),
      matrix(`${block}attn_output.weight`, width, width),
      norm(`${block}ffn_norm.weight`),
    );
    const suffix = experts > 0 ? "_exps" : "";
    const stack = experts > 0 ? [experts] : [];
    if (experts > 0)
      tensors.push(randomTensor(random.fork(`${block}router`), `${block}ffn_gate_inp.weight`, [width, experts], "f32"));
    tensors.push(
      matrix(`${block}ffn_gate${suffix}.weight`, width, feedForward, ...stack),
      matrix(`${block}ffn_up${suffix}.weight`, width, feedForward, ...stack),
      matrix(`${block}ffn_down${suffix}.weight`, feedForward, width, ...stack),
    );
  }
  return tensors;
}

/** An output matrix whose first rows, those of `<unk> <s> </s>`, are zero: some other token always has a larger logit. */
function withoutControlTokens(output: GgufTensorSource): GgufTensorSource {
  const blank = 3 * (output.shape[0]! * GGML_TYPES[output.type].typeSizeBytes);
  return {
    ...output,
    chunks: async function* chunks() {
      let offset = 0;
      for await (const chunk of output.chunks()) {
        yield offset < blank ? chunk.slice().fill(0, 0, blank - offset) : chunk;
        offset += chunk.byteLength;
      }
    },
  };
}

/** Normal values that keep the variance of their input. */
function randomTensor(random: Random, name: string, shape: number[], type: "f32" | "f16"): GgufTensorSource {
  return { name, shape, type, chunks: () => randomChunks(random, shape, type, 1 / Math.sqrt(shape[0]!), 0) };
}

/** Values near one. */
function randomNorm(random: Random, name: string, width: number): GgufTensorSource {
  return { name, shape: [width], type: "f32", chunks: () => randomChunks(random, [width], "f32", 0.1, 1) };
}

function* randomChunks(random: Random, shape: number[], type: "f32" | "f16", spread: number, mean: number) {
  const count = shape.reduce((product, length) => product * length, 1);
  const values = new Float32Array(Math.min(count, VALUES_MAX));
  for (let i = 0; i < values.length; i++) values[i] = mean + spread * random.normal();
  const encoded = type === "f32" ? values : Uint16Array.from(values, toFloat16);
  const bytes = new Uint8Array(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  for (let left = count * GGML_TYPES[type].typeSizeBytes; left > 0; left -= bytes.byteLength) {
    yield bytes.subarray(0, Math.min(left, bytes.byteLength));
  }
}
