// Text that a model writes itself: the only kind on which a small model's predictions are what it was trained for.
// Sampled with seeds. The same seed gives the same text on the same processor; elsewhere kernels round differently.
import { generate } from "../../dist/evaluate/generate.js";
import { Lanes } from "../../dist/evaluate/lanes.js";
import { PromptTokenizer } from "../../dist/evaluate/prompt-tokens.js";
import { createSampler } from "../../dist/evaluate/sample.js";
import { loadEngine } from "../../dist/native/engine.js";
import { LlamaModel } from "../../dist/native/llama-model.js";
import { Random } from "../../dist/support/random.js";

/** Close to the model's own distribution, without the tail in which small models lose themselves. */
const SAMPLING = { temperature: 0.9, topK: 200, topP: 1, minP: 0 };
const ANSWER_TOKENS_MAX = 240;

/**
 * Documents without a prompt, one after another.
 *
 * @returns text of at least `tokensWanted` tokens
 */
export function ownDocuments(path, { tokensWanted, seed, threads }) {
  return withModel(path, async (model) => {
    const open = [model.bosToken];
    return collect(model, { tokensWanted, threads, seed }, () => ({ tokens: open, before: "", after: "\n\n" }));
  });
}

/** Answers to questions through the model's chat template, question and control tokens included. */
export function ownAnswers(path, { questions, tokensWanted, seed, threads }) {
  return withModel(path, async (model) => {
    const tokenizer = new PromptTokenizer(model);
    const end = model.detokenize([model.eosToken], { special: true });
    const asked = new Random(seed).fork("questions").shuffled(questions);
    return collect(model, { tokensWanted, threads, seed }, (i) => {
      const tokens = tokenizer.conversation({ messages: [{ role: "user", content: asked[i % asked.length] }] });
      return { tokens, before: model.detokenize(tokens, { special: true }), after: `${end}\n` };
    });
  });
}

async function withModel(path, work) {
  const model = LlamaModel.load(loadEngine(), path);
  try {
    return await work(model);
  } finally {
    model[Symbol.dispose]();
  }
}

async function collect(model, { tokensWanted, threads, seed }, prompt) {
  const lanes = new Lanes(model, { laneTokens: 1 + ANSWER_TOKENS_MAX + PROMPT_TOKENS_MAX, threads });
  const random = new Random(seed).fork("answers");
  let [text, tokens, asked] = ["", 0, 0];
  try {
    while (tokens < tokensWanted) {
      const prompts = Array.from({ length: 4 * lanes.count }, () => prompt(asked++));
      const requests = prompts.map(({ tokens: start }) => ({
        tokens: start,
        maxTokens: ANSWER_TOKENS_MAX,
        sampler: createSampler({ ...SAMPLING, seed: random.bits() }),
      }));
      const answers = await generate(lanes, requests);
      for (const [i, answer] of answers.entries()) {
        if (tokens >= tokensWanted) break;
        text += prompts[i].before + answer.text + prompts[i].after;
        tokens += answer.promptTokens + answer.answerTokens;
      }
    }
  } finally {
    lanes[Symbol.dispose]();
  }
  return text;
}

const PROMPT_TOKENS_MAX = 128;
