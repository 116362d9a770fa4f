// The text of a run whose teacher is an endpoint: its prompts are asked, and the answers become taught text.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { sha256 } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import { readExamples } from "../../train/examples.js";
import type { AnswersInput, AnswersOutput } from "./answers.job.js";
import { askEndpoint } from "./ask-endpoint.js";
import type { TeachInput, TeachOutput } from "./teach.job.js";

/** The variable of the environment that holds an endpoint's key. */
const KEY = "PARE_TEACHER_KEY";

/** @param read makes taught text of answers, in a child process */
export async function learnAnswers(
  { request, settings, folder, length }: TeachInput,
  read: (input: AnswersInput) => Promise<AnswersOutput>,
  options: RunOptions,
): Promise<TeachOutput> {
  const started = performance.now();
  await mkdir(folder, { recursive: true });
  const examples = await readExamples(request.texts!, options.signal);
  const endpoint = { url: request.teacher, model: request.teacherModel, key: process.env[KEY] };
  const { top, sampleTemperature: temperature } = settings;
  const asking = { tokensMax: request.answerTokens ?? length, temperature, seed: request.seed ?? 0, top };
  const answers = await askEndpoint(endpoint, examples, asking, join(folder, "answers.jsonl"), options);
  const { files, shared } = await read({
    student: request.student!,
    examples,
    answers,
    validationShare: request.validationShare ?? 0.05,
    identity: sha256(JSON.stringify(answers)),
    length,
    top,
    outputs: { train: join(folder, "answers.taught"), validation: join(folder, "answers-end.taught") },
  });
  const without = answers.length - shared;
  const warnings =
    without === 0
      ? []
      : [
          `Of ${without} of ${answers.length} answers only the text is learned: the endpoint's tokens are not the student's`,
        ];
  return { files, teacher: null, warnings, seconds: (performance.now() - started) / 1000, processorSeconds: 0 };
}
