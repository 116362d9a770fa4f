// Faults in a vocabulary that would stop llama.cpp. Two tokens that read the same abort it.
import type { Metadata, MetadataArray, MetadataType } from "../formats/gguf/metadata.js";
import type { Model } from "./model.js";

/** Special tokens whose loss changes what the engine does; for others it takes its own default. */
const SPECIAL_TOKENS = ["bos", "eos", "eot", "eom"];

/** Four times the largest vocabulary in use; keeps a hostile one from filling memory. */
const TOKENS_MAX = 2 ** 20;

/** The faults of a model's vocabulary, the first of each kind. */
export function* checkVocabulary({ metadata, tensors }: Pick<Model, "metadata" | "tensors">): Generator<string> {
  const tokenizer = metadata.string("tokenizer.ggml.model");
  if (tokenizer === undefined) return yield `metadata "tokenizer.ggml.model" is absent`;
  if (tokenizer === "none" || tokenizer === "no_vocab") return;
  const tokens = typedArray(metadata, "tokenizer.ggml.tokens", ["string"]);
  if (!tokens) return yield `metadata "tokenizer.ggml.tokens" is absent`;
  if (tokens.length === 0) return yield "its vocabulary is empty";
  if (tokens.length > TOKENS_MAX) return yield `its vocabulary has ${tokens.length} tokens, more than ${TOKENS_MAX}`;
  yield* duplicateFaults(tokens);
  yield* lengthFaults(metadata, tokens.length);
  if (tokenizer === "gpt2" && !mergesAreOptional(metadata) && !typedArray(metadata, MERGES, ["string"])) {
    yield `metadata "${MERGES}" is absent, which its byte-pair tokenizer needs`;
  }
  for (const special of SPECIAL_TOKENS) {
    const key = `tokenizer.ggml.${special}_token_id`;
    const id = metadata.number(key);
    if (id !== undefined && id >= tokens.length)
      yield `metadata "${key}" is ${id}, the vocabulary ends at ${tokens.length - 1}`;
  }
  const rows = tensors.get("token_embd.weight")?.shape[1] ?? 1;
  if (tensors.has("token_embd.weight") && rows !== tokens.length) {
    yield `tensor "token_embd.weight" has ${rows} rows for ${tokens.length} tokens`;
  }
}

const MERGES = "tokenizer.ggml.merges";

/** Kimi K2's tokenizer works without. */
function mergesAreOptional(metadata: Metadata): boolean {
  return metadata.string("tokenizer.ggml.pre") === "kimi-k2";
}

function* duplicateFaults(tokens: MetadataArray): Generator<string> {
  const idByBytes = new Map<string, number>();
  let id = 0;
  for (const bytes of tokens.stringBytes()) {
    // As bytes, not as text: invalid UTF-8 would read alike. An empty token gets a name of its own from the engine.
    const key =
      bytes.byteLength === 0
        ? `[EMPTY_${id}]`
        : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
    const twin = idByBytes.get(key);
    if (twin !== undefined) {
      const text = JSON.stringify(new TextDecoder().decode(bytes));
      return yield `tokens ${twin} and ${id} of its vocabulary are both ${text}, each must be there once`;
    }
    idByBytes.set(key, id++);
  }
}

function* lengthFaults(metadata: Metadata, tokens: number): Generator<string> {
  const types = typedArray(metadata, "tokenizer.ggml.token_type", ["int32"]);
  if (types && types.length < tokens) yield `its vocabulary has ${tokens} tokens and ${types.length} token types`;
  const scores = typedArray(metadata, "tokenizer.ggml.scores", ["float32", "int32"]);
  if (scores && scores.length < tokens) yield `its vocabulary has ${tokens} tokens and ${scores.length} scores`;
}

/**
 * An array of one of these element types; undefined when the key is absent.
 *
 * @throws {TypeError} when it is of another type
 */
function typedArray(metadata: Metadata, key: string, types: readonly MetadataType[]): MetadataArray | undefined {
  const array = metadata.array(key);
  if (!array || types.includes(array.elementType)) return array;
  throw new TypeError(`metadata "${key}" has elements of type ${array.elementType}, ${types.join(" or ")} is wanted`);
}
