// What a draft model brings: tokens per second of one client with and without it, and how many guesses were right. Answers are the same.
//
//   npm run build && node bench/draft-speed.mjs [--rounds 3] [--threads 1] [--tokens 64] MODEL DRAFT
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";

import { serve } from "../dist/serve/serve.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "1" },
    tokens: { type: "string", default: "64" },
  },
});
const [model, draft] = positionals;
if (!model || !draft) throw new Error("Name a model and its draft");
const PROMPTS = [
  "Write a short story about a lighthouse.",
  "List the months of the year with their numbers of days.",
  "Explain how tides work, for a child.",
];
const common = { models: `model=${model}`, port: 0, threads: Number(values.threads), parallel: 8, contextLength: 1024 };
const servers = {
  plain: await serve(common),
  always: await serve({ ...common, drafts: [draft], alwaysDrafts: true }),
  "where it pays": await serve({ ...common, drafts: [draft] }),
};

async function ask({ url }, content, temperature) {
  const body = { messages: [{ role: "user", content }], temperature, seed: 1, max_tokens: Number(values.tokens) };
  const startedAt = performance.now();
  const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", body: JSON.stringify(body) });
  const { choices, usage } = await response.json();
  const { accepted_prediction_tokens: accepted = 0, rejected_prediction_tokens: rejected = 0 } =
    usage.completion_tokens_details ?? {};
  const seconds = (performance.now() - startedAt) / 1000;
  return { text: choices[0].message.content, tokens: usage.completion_tokens, seconds, accepted, rejected };
}

console.log("| sampling | draft | tokens/s | to plain | guesses right | tokens from guesses |");
console.log("| --- | --- | --- | --- | --- | --- |");
for (const temperature of [0, 0.8]) {
  const sums = Object.fromEntries(
    Object.keys(servers).map((name) => [name, { tokens: 0, seconds: 0, accepted: 0, rejected: 0 }]),
  );
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const prompt of PROMPTS) {
      const texts = new Set();
      for (const [name, server] of Object.entries(servers)) {
        const { text, ...taken } = await ask(server, prompt, temperature);
        texts.add(text);
        if (round === 0) continue; // the first computes prompts
        for (const key of Object.keys(taken)) sums[name][key] += taken[key];
      }
      if (texts.size !== 1) throw new Error("A draft changed an answer");
    }
  }
  const rate = ({ tokens, seconds }) => tokens / seconds;
  for (const [name, sum] of Object.entries(sums)) {
    const guessed = sum.accepted + sum.rejected;
    const right = guessed === 0 ? "" : `${((100 * sum.accepted) / guessed).toFixed(0)} %`;
    const share = guessed === 0 ? "" : `${((100 * sum.accepted) / sum.tokens).toFixed(0)} %`;
    console.log(
      `| ${temperature === 0 ? "greedy" : temperature} | ${name} | ${rate(sum).toFixed(1)} | ${(rate(sum) / rate(sums.plain)).toFixed(2)} | ${right} | ${share} |`,
    );
  }
}
for (const server of Object.values(servers)) await server.close();
