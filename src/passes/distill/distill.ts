// Distillation: a teacher says what it expects at every token of a text, and a student learns to expect the same. Three
// children in turn, so that teacher and student are never in memory together: the teacher reads or writes the text
// (`teach.job.ts`), the student is cut where it is asked for (`student.job.ts`), and learns (`distill.job.ts`). What each
// leaves in the run's folder is not made again when a run goes on.
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";

import { PareError, UsageError } from "../../errors.js";
import { llamaShape } from "../../graph/llama.js";
import { diagnosing } from "../../model/diagnose.js";
import { type Model, elementCount } from "../../model/model.js";
import { openModel } from "../../model/open.js";
import { physicalCores } from "../../native/cores.js";
import { isolate } from "../../native/isolate.js";
import type { Backend } from "../../native/platform.js";
import { AtomicFile, refuseReplacing, sha256, writeFileAtomic } from "../../support/files.js";
import { FolderLock } from "../../support/folder-lock.js";
import type { RunOptions } from "../../support/progress.js";
import { formatCount } from "../../support/units.js";
import type { Metrics } from "../../train/metrics.js";
import { resolveBatch } from "../../train/settings.js";
import { requireLayers } from "./cut-layers.js";
import type { DistillJobInput, DistillJobOutput } from "./distill.job.js";
import { learnAnswers } from "./learn-answers.js";
import { requireNarrower } from "./narrow.js";
import { learnOnPolicy } from "./on-policy.js";
import type { Cost } from "./processor-seconds.js";
import { type DistillResult, resultOf } from "./result.js";
import { requireOneVocabulary } from "./require-one-vocabulary.js";
import { type DistillRequest, checkDistillRequest, isEndpoint, resolveDistill } from "./settings.js";
import type { StudentInput, StudentOutput } from "./student.job.js";
import type { TeachInput, TeachOutput } from "./teach.job.js";
import type { WriteJobInput, WriteJobOutput } from "./write.job.js";

export interface DistillOptions extends RunOptions {
  /** Told of every step and validation as it happens. */
  onMetrics?: ((metrics: Metrics) => void) | undefined;
  backend?: Backend | undefined;
}

/**
 * Distils a teacher into a student: given, cut from the teacher, or new. Writes the student of the best validation, or the
 * last where there is none, as a GGUF file that llama.cpp runs.
 *
 * A run that was stopped goes on where it was when it is asked for again with the same request, to the same bits.
 *
 * @throws {UsageError} when the request can't be meant, or student and teacher have different vocabularies
 * @throws {FormatError} when the student is of a family that has no training graph, or a file can't be read
 * @throws {PareError} when the text is shorter than a sequence, or loss or gradients are no longer finite
 * @throws {ResourceError} when memory can't hold a step or the disk what the teacher thinks, with the numbers
 * @example
 * await distill({ teacher: "model.gguf", layers: 3, sample: 1_000_000, output: "student.gguf" });
 */
export async function distill(request: DistillRequest, options: DistillOptions = {}): Promise<DistillResult> {
  checkDistillRequest(request);
  const folder = request.run ?? `${request.output}.run`;
  await requireOutput(request);
  const warnings = await checkModels(request);
  await using _lock = await FolderLock.acquire(join(folder, "lock"), folder);
  const files = [isEndpoint(request.teacher) ? undefined : request.teacher, request.student];
  return diagnosing(files, () => run(request, folder, warnings, options));
}

async function run(
  request: DistillRequest,
  folder: string,
  warnings: string[],
  options: DistillOptions,
): Promise<DistillResult> {
  const settings = resolveDistill(request);
  const { batch, length, threads } = await sequencesOf(request);
  const input: TeachInput = { request, settings, folder, length, threads };
  const taught = isEndpoint(request.teacher)
    ? await learnAnswers(input, (one) => child("answers", "answers are read", one, options), options)
    : await child<TeachInput, TeachOutput>("teach", "the teacher reads", input, options);
  const isCut = (request.layers ?? request.narrow) !== undefined;
  const cut = isCut ? await cutStudent(request, folder, taught, options) : undefined;
  const model = request.student ?? (cut ? join(folder, STUDENT_NAME) : request.teacher);
  const job: DistillJobInput = { request, settings, folder, files: taught.files, model, shape: request.shape };
  const learn = (one: DistillJobInput): Promise<DistillJobOutput> =>
    child<DistillJobInput, DistillJobOutput>("distill", "the student learns", one, options);
  if (request.onPolicy === undefined)
    return resultOf({ request, folder, settings, taught, cut, learned: await learn(job), warnings });
  const { learned, files, cost } = await learnOnPolicy(input, batch, job, {
    learn,
    write: (one) => child<WriteJobInput, WriteJobOutput>("write", "the student writes", one, options),
  });
  return resultOf({
    request,
    folder,
    settings,
    taught: { ...taught, files, ...sumOf(taught, cost) },
    cut,
    learned,
    warnings,
  });
}

function sumOf(a: Cost, b: Cost): Cost {
  return { seconds: a.seconds + b.seconds, processorSeconds: a.processorSeconds + b.processorSeconds };
}

const STUDENT_NAME = "student.gguf";

function child<Input, Output>(
  job: string,
  what: string,
  input: Input,
  { onMetrics, backend, ...options }: DistillOptions,
): Promise<Output> {
  return isolate<Input, Output>(`passes/distill/${job}.job`, input, {
    ...options,
    what,
    ...(backend && { backend }),
    onEvent: (event) => onMetrics?.(event as Metrics),
  });
}

/** Tells before the long run that its result could not be written. */
async function requireOutput({ output, teacher, student, texts, validation, guard }: DistillRequest): Promise<void> {
  const sources = [
    isEndpoint(teacher) ? undefined : teacher,
    student,
    ...(texts ?? []),
    ...(validation ?? []),
    ...(guard ?? []),
  ];
  await refuseReplacing(
    output,
    sources.filter((path) => path !== undefined),
  );
  if ((await stat(output).catch(() => undefined))?.isDirectory())
    throw new PareError(`Cannot write "${output}": a folder stands there`, { hint: "Choose another output path" });
  await using _probe = await AtomicFile.create(output);
}

/** @returns what is to be said of the models */
async function checkModels(request: DistillRequest): Promise<string[]> {
  const { teacher, student, layers, narrow, top = 1 } = request;
  if (isEndpoint(teacher)) {
    await using model = await openModel(student!);
    llamaShape(model);
    return [];
  }
  await using teacherModel = await openModel(teacher);
  const { vocabularySize } = teacherModel.spec;
  if (top > vocabularySize)
    throw new UsageError(`A list of ${top} tokens is wanted of a vocabulary of ${vocabularySize}`, {
      hint: `Give --top ${vocabularySize} at most`,
    });
  if (layers !== undefined) requireLayers(layers, llamaShape(teacherModel));
  if (narrow) requireNarrower(narrow, llamaShape(teacherModel));
  const width = request.shape?.width ?? narrow?.width;
  if (student === undefined) return requireSameWidth(request, teacherModel, width ?? teacherModel.spec.embeddingLength);
  await using studentModel = await openModel(student);
  requireSameWidth(request, teacherModel, studentModel.spec.embeddingLength);
  requireOneVocabulary(teacherModel, studentModel);
  llamaShape(studentModel);
  const [ofTeacher, ofStudent] = [parameterCount(teacherModel), parameterCount(studentModel)];
  if (ofStudent <= ofTeacher) return [];
  return [
    `The student is larger than its teacher: ${formatCount(ofStudent)} parameters and ${formatCount(ofTeacher)}; it can learn all that the teacher knows, and no more`,
  ];
}

/** Hidden states of different widths can't be compared. @returns nothing to say */
function requireSameWidth({ hidden = 0 }: DistillRequest, { spec }: Model, width: number): [] {
  if (hidden === 0 || width === spec.embeddingLength) return [];
  throw new UsageError(
    `Hidden states of a student of width ${width} can't be held to those of width ${spec.embeddingLength}`,
    {
      hint: "Leave --hidden out, or choose a student as wide as its teacher",
    },
  );
}

function parameterCount({ tensors }: Model): number {
  return [...tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

async function sequencesOf(request: DistillRequest): Promise<{ batch: number; length: number; threads: number }> {
  await using model = await openModel(request.student ?? request.teacher);
  const { contextLength, batch } = resolveBatch(request, model.spec.contextLength);
  return { batch, length: contextLength, threads: request.threads ?? physicalCores() };
}

/** Cuts the student, unless it lies there from the same teacher and text. */
async function cutStudent(
  { teacher, layers, narrow, threads }: DistillRequest,
  folder: string,
  taught: TeachOutput,
  options: DistillOptions,
): Promise<StudentOutput> {
  const record = join(folder, "student.json");
  const text = (taught.files.find(({ use }) => use === "train") ?? taught.files[0])?.path;
  if (text === undefined)
    throw new UsageError("There is no text to choose layers by", {
      hint: "Give text, or keep some for --validation-share",
    });
  const identity = sha256(JSON.stringify([taught.teacher, layers, narrow, taught.files]));
  const known = await readFile(record, "utf8").then(JSON.parse, () => undefined);
  if (known?.identity === identity) return { ...known.student, seconds: 0, processorSeconds: 0 };
  const input: StudentInput = { teacher, layers, narrow, text, output: join(folder, STUDENT_NAME), threads };
  const student = await child<StudentInput, StudentOutput>("student", "layers are chosen", input, options);
  await writeFileAtomic(record, JSON.stringify({ identity, student }));
  return student;
}
