// The models of the comparison, each with the text that suits it. The folder `shared` is beside the checkout.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

import { ownAnswers, ownDocuments } from "./own-text.mjs";
import { questions } from "./questions.mjs";

const shared = (path) => fileURLToPath(new URL(`../../../shared/${path}`, import.meta.url));
const read = (path) => readFileSync(shared(path), "utf8");
const jsonLines = (text) =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

/**
 * @param smolLm2 path of SmolLM2's baseline from decode-and-perturb.mjs, or undefined
 * @returns those whose file is there
 */
export function benchModels({ smolLm2 }) {
  return [stories15M(), minimind2Small(), smolLm2_135M(smolLm2)].filter(({ path }) => path && existsSync(path));
}

/** A model that comes with Pare: rows of 256 and 768, all of which take 256-wide types. */
export function homeCommands() {
  const own = (path) => fileURLToPath(new URL(`../../models/home-commands${path}`, import.meta.url));
  const commands = () => jsonLines(readFileSync(own(".task.jsonl"), "utf8")).map(({ messages }) => messages[0].content);
  return {
    name: "home-commands",
    path: own("-f16.gguf"),
    contextLength: 256,
    isChat: true,
    windows: { calibration: 80, heldOut: 48, outOfDomain: 16 },
    texts: {
      calibration: () => readFileSync(own("-calibration.txt"), "utf8"),
      heldOut: (request) => ownAnswers(request.path, { ...request, questions: commands(), seed: 2 }),
      outOfDomain: (request) => ownAnswers(request.path, { ...request, questions: questions("heldOut"), seed: 2 }),
    },
  };
}

/** Rows of 64 and 172, none of which takes 256-wide types, and those of 172 none at all: small enough to train long. */
export function stories260K() {
  return {
    name: "stories260K",
    path: shared("models/stories260K-f32.gguf"),
    contextLength: 256,
    isChat: false,
    windows: { calibration: 128, heldOut: 96, outOfDomain: 32 },
    texts: storyTexts(260),
  };
}

/** Rows of 288 and 768: of the two, only 768 takes 256-wide types. */
function stories15M() {
  return {
    name: "stories15M",
    path: shared("models/stories15M-f16.gguf"),
    contextLength: 256, // all it was trained on
    isChat: false,
    windows: { calibration: 128, heldOut: 96, outOfDomain: 32 },
    texts: storyTexts(15),
  };
}

/** Rows of 512 and 1408: of the two, only 512 takes 256-wide types. */
function minimind2Small() {
  const own = (part, seed) => (request) => ownAnswers(request.path, { ...request, questions: questions(part), seed });
  return {
    name: "minimind2-small",
    path: shared("models/minimind2-small-f16.gguf"),
    contextLength: 512,
    isChat: true,
    windows: { calibration: 64, heldOut: 48, outOfDomain: 24 },
    texts: {
      calibration: own("calibration", 1),
      heldOut: own("heldOut", 2),
      outOfDomain: () =>
        jsonLines(read("data/gsm8k/test.jsonl"))
          .map(({ question, answer }) => chatTurn(question, answer))
          .join(""),
    },
  };
}

/** Rows of 576 and 1536: of the two, only 1536 takes 256-wide types. */
function smolLm2_135M(path) {
  return {
    name: "SmolLM2-135M",
    path,
    contextLength: 512,
    isChat: false,
    windows: { calibration: 64, heldOut: 32, outOfDomain: 16 },
    texts: {
      calibration: () => read("data/wikitext2_train_5k.txt"),
      heldOut: () => read("data/wikitext-2-raw.test.raw"),
      outOfDomain: () =>
        jsonLines(gunzipSync(readFileSync(shared("data/humaneval/HumanEval.jsonl.gz"))).toString())
          .map((problem) => `${problem.prompt}${problem.canonical_solution}\n`)
          .join("\n"),
    },
  };
}

/** Children's stories; what is there gives stories15M 12 800 tokens to calibrate on, and the rest the model writes in the same way. */
function storyTexts(seed) {
  return {
    calibration: async ({ path, tokensWanted, threads }) =>
      `${read("data/stories-calibration.txt")}\n${await ownDocuments(path, { tokensWanted, threads, seed })}`,
    heldOut: () => read("data/stories-heldout.txt"),
    outOfDomain: () =>
      jsonLines(read("data/gsm8k/test.jsonl"))
        .map(({ question }) => `${question}\n`)
        .join(""),
  };
}

function chatTurn(question, answer) {
  return `<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n${answer}<|im_end|>\n`;
}
