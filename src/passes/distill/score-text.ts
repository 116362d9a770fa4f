// A teacher reads sequences and says at each target what it had expected. Each document of a sequence is a sequence of its
// own to llama.cpp, so that none sees another; as many as fit are computed at once.
import { EngineError } from "../../errors.js";
import type { Sequence } from "../../graph/token-batch.js";
import { LlamaContext } from "../../native/llama-context.js";
import type { LlamaModel } from "../../native/llama-model.js";
import { RowReader, emptyOpinions, keepLikeliest, keepState } from "./form-opinions.js";
import type { Opinions } from "./taught-text.js";

/** Tokens that llama.cpp computes at once. */
const BATCH_TOKENS = 512;
/** Logits of one call: what a vocabulary of 128 000 needs for 512 tokens. */
const LOGITS_BYTES_MAX = 256 << 20;
/** Documents at once; a cell of the cache is looked at by all of them. */
const DOCUMENTS_MAX = 64;

export interface ScoreOptions {
  /** Tokens of a sequence. */
  length: number;
  /** Tokens kept of each list. */
  top: number;
  temperature: number;
  /** Keep hidden states, too. */
  states?: boolean | undefined;
  threads: number;
}

/** A stretch of a sequence that is one document. */
interface Run {
  sequence: number;
  start: number;
  end: number;
}

/**
 * Scores sequences one after another.
 *
 * @param onSequence called with each in order, once it is scored
 * @throws {EngineError} when the teacher's logits are not numbers
 */
export async function scoreText(
  model: LlamaModel,
  sequences: readonly Sequence[],
  { length, top, temperature, threads, states = false }: ScoreOptions,
  onSequence: (sequence: Sequence, opinions: Opinions) => Promise<void>,
): Promise<void> {
  const rowsMax = Math.max(1, Math.min(BATCH_TOKENS, Math.floor(LOGITS_BYTES_MAX / (model.vocabularySize * 4))));
  using context = LlamaContext.create(model, {
    contextLength: Math.max(BATCH_TOKENS, length),
    batchSize: rowsMax,
    microBatchSize: rowsMax,
    sequencesMax: DOCUMENTS_MAX,
    unifiedCache: true,
    fullWindowCache: true,
    flashAttention: "off",
    embeddings: states,
    threads,
  });
  using reader = new RowReader(context);
  const batch = context.newBatch();
  const opinions = new Map<number, Opinions>();
  let rows: { sequence: number; place: number; isAsked: boolean }[] = [];

  const compute = (): void => {
    if (batch.size > 0) context.decode(batch);
    batch.clear();
    reader.read(rows.length, temperature, (row, probabilities) => {
      const { sequence, place, isAsked } = rows[row]!;
      if (!isAsked) return;
      if (!(probabilities[0]! >= 0)) throw notNumbers(model.path, sequence);
      const formed = opinions.get(sequence)!;
      keepLikeliest(probabilities, formed, place);
      if (states) keepState(context.state(row), formed, place); // then every token of the batch has a row
      formed.nats[place] = -Math.log(probabilities[sequences[sequence]!.targets[place]!]!);
    });
    rows = [];
  };
  let next = 0;
  const finish = async (until: number): Promise<void> => {
    compute();
    context.clearMemory();
    for (; next < until; next++) {
      await onSequence(sequences[next]!, opinions.get(next)!);
      opinions.delete(next);
    }
  };

  let cells = 0;
  let documents = 0;
  for (const [index, sequence] of sequences.entries()) {
    opinions.set(index, emptyOpinions(length, top, states ? model.embeddingLength : 0));
    for (const run of runsOf(sequence, index)) {
      const tokens = run.end - run.start;
      if (cells + tokens > context.contextLength || documents === DOCUMENTS_MAX) {
        await finish(index); // whole sequences before this one; of this one, documents that end here
        cells = 0;
        documents = 0;
      }
      for (let place = run.start; place < run.end; place++) {
        if (batch.size === rowsMax) compute();
        const isAsked = sequence.weights[place]! > 0;
        batch.add(sequence.tokens[place]!, place - run.start, documents, isAsked || states);
        if (isAsked || states) rows.push({ sequence: index, place, isAsked });
      }
      cells += tokens;
      documents++;
    }
  }
  await finish(sequences.length);
}

/** The documents of a sequence up to the last place that is asked about; padding is none. */
function runsOf({ documents, weights }: Sequence, sequence: number): Run[] {
  const runs: Run[] = [];
  let start = 0;
  for (let i = 1; i <= documents.length; i++) {
    if (i < documents.length && documents[i] === documents[start]) continue;
    const end = weights.subarray(start, i).findLastIndex((weight) => weight > 0) + 1 + start;
    if (end > start) runs.push({ sequence, start, end });
    start = i;
  }
  return runs;
}

function notNumbers(path: string, sequence: number): EngineError {
  return new EngineError(`Cannot learn from "${path}": it has logits that are not numbers in sequence ${sequence}`, {
    hint: "The weights may be damaged or overflow; run: pare inspect",
  });
}
