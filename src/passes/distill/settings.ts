// What a distillation is asked for, and what of it can't be meant.
import { UsageError } from "../../errors.js";
import type { NewModel } from "../../train/new-model.js";
import { type RunRequest, checkRun, checkShape } from "../../train/settings.js";
import type { Widths } from "./narrow.js";
import type { Divergence } from "./teacher-objective.js";

/** What is asked for beside what every training run takes. */
export interface DistillRequest extends RunRequest {
  /** GGUF file to learn from, or the address of an endpoint of OpenAI's API, such as `http://localhost:8080/v1`. */
  teacher: string;
  /** The endpoint's model; its first by default. */
  teacherModel?: string | undefined;
  /** Tokens of an endpoint's answer at most; those of a sequence by default. */
  answerTokens?: number | undefined;
  /** Files to learn on: `.jsonl` examples, anything else as plain text. Either these or `sample`, or both. */
  texts?: readonly string[] | undefined;
  /** Tokens of text that the teacher writes. */
  sample?: number | undefined;
  /** Of the teacher's writing; 1 by default. */
  sampleTemperature?: number | undefined;
  /** The student: a GGUF file, or `layers` and `narrow`, or `shape`. */
  student?: string | undefined;
  /** Layers that a student cut from the teacher keeps. */
  layers?: number | undefined;
  /** What a student that is cut keeps of its teacher's widths. */
  narrow?: Widths | undefined;
  /** A student with weights by chance and the teacher's vocabulary. */
  shape?: NewModel | undefined;
  /** `forward-kl` by default. */
  divergence?: Divergence | undefined;
  /** What logits are divided by before they are compared; 1 by default. */
  temperature?: number | undefined;
  /** Share of cross-entropy on the labels in the loss; 0 by default. */
  labels?: number | undefined;
  /** Weight of the distance between the last hidden states of both, for a student as wide as its teacher; 0 by default. */
  hidden?: number | undefined;
  /** Tokens of the teacher's that are kept for each place; 32 by default. */
  top?: number | undefined;
  /** Steps after which the student writes the text of as many more itself, and its teacher scores it. Needs `steps`. */
  onPolicy?: number | undefined;
  /** Leave embedding and output matrix as they are: some three times faster where they are most of the student. */
  freezeEmbeddings?: boolean | undefined;
  /** Text of another kind, on which the student must not get further from the teacher. */
  guard?: readonly string[] | undefined;
  /** How much further it may be than at its nearest; 0.05 by default. */
  guardTolerance?: number | undefined;
  /** Validation loss to reach, in nats per token: how many tokens that takes is estimated. */
  bar?: number | undefined;
}

/** The settings that decide what the teacher says and what is made of it. */
export interface DistillSettings {
  divergence: Divergence;
  temperature: number;
  labels: number;
  hidden: number;
  top: number;
  sampleTemperature: number;
  freezeEmbeddings: boolean;
  guardTolerance: number;
}

/** Of GPT-2's vocabulary, 32 hold all but some 3 % on plain text, and less is left of what a teacher wrote itself. */
const TOP = 32;
/** The most that the API gives of a token. */
const ENDPOINT_TOP = 20;

/** Fills in the defaults. */
export function resolveDistill(request: DistillRequest): DistillSettings {
  return {
    divergence: request.divergence ?? "forward-kl",
    temperature: request.temperature ?? 1,
    labels: request.labels ?? 0,
    hidden: request.hidden ?? 0,
    top: isEndpoint(request.teacher) ? Math.min(ENDPOINT_TOP, request.top ?? ENDPOINT_TOP) : (request.top ?? TOP),
    sampleTemperature: request.sampleTemperature ?? 1,
    freezeEmbeddings: request.freezeEmbeddings ?? false,
    guardTolerance: request.guardTolerance ?? 0.05,
  };
}

/**
 * Refuses what can't be meant, before anything is read.
 *
 * @throws {UsageError} naming the setting
 */
export function checkDistillRequest(request: DistillRequest): void {
  const { texts = [], sample, student, layers, shape, onPolicy } = request;
  if (isEndpoint(request.teacher)) checkEndpoint(request);
  if (onPolicy !== undefined) checkOnPolicy(request);
  if (texts.length === 0 && sample === undefined && !(onPolicy && student)) {
    throw new UsageError("No text to learn on is given", {
      hint: "Name files, or let the teacher write: --sample 1000000",
    });
  }
  const students = [student, layers ?? request.narrow, shape].filter((one) => one !== undefined).length;
  if (students !== 1) {
    const fault = "A student is either given, or cut from its teacher, or new";
    throw new UsageError(students === 0 ? "No student is given" : fault, {
      hint: "Give --student FILE, or --layers, or --new with --layers, --width and --heads",
    });
  }
  if (shape) checkShape(shape);
  if (shape && request.freezeEmbeddings)
    throw new UsageError("The embedding of a new student has yet to be learned", {
      hint: "Leave --freeze-embeddings out",
    });
  checkRun(request);
  const { temperature, sampleTemperature, labels = 0, top, bar, guardTolerance } = request;
  for (const [name, value] of Object.entries({ temperature, sampleTemperature, bar }))
    if (value !== undefined && !(value > 0)) throw new UsageError(`${name} is ${value}, a number above 0 is wanted`);
  for (const [name, count] of Object.entries({
    top,
    sample,
    layers,
    onPolicy,
    answerTokens: request.answerTokens,
    ...request.narrow,
  }))
    if (count !== undefined && !(Number.isInteger(count) && count >= 1))
      throw new UsageError(`${name} is ${count}, a whole number above 0 is wanted`);
  if (!(labels >= 0 && labels <= 1)) throw new UsageError(`labels is ${labels}, a share from 0 to 1 is wanted`);
  if (request.hidden !== undefined && !(request.hidden >= 0))
    throw new UsageError(`hidden is ${request.hidden}, a weight of 0 or more is wanted`);
  if (guardTolerance !== undefined && !(guardTolerance >= 0))
    throw new UsageError(`guardTolerance is ${guardTolerance}, a share is wanted`);
}

function checkOnPolicy({ steps, shape }: DistillRequest): void {
  if (shape)
    throw new UsageError("A new student writes nothing worth scoring", {
      hint: "Distil it on text first, and then on its own with --student",
    });
  if (steps === undefined)
    throw new UsageError("A text that the student writes has no end", { hint: "Say how long to learn: --steps" });
}

/** True for the address of an endpoint. */
export function isEndpoint(teacher: string): boolean {
  return /^https?:\/\//.test(teacher);
}

/** What an endpoint can't do. */
function checkEndpoint(request: DistillRequest): void {
  const { student, sample, onPolicy, guard, validation, hidden, temperature = 1 } = request;
  if (student === undefined)
    throw new UsageError("An endpoint shows no weights to cut and no vocabulary to begin with", {
      hint: "Give --student FILE",
    });
  const refused = { sample, onPolicy, guard, validation, hidden };
  for (const [name, value] of Object.entries(refused))
    if (value !== undefined)
      throw new UsageError(`${name} needs a teacher that reads text, and an endpoint only answers prompts`, {
        hint: "Leave it out, or give the teacher as a GGUF file",
      });
  if (temperature !== 1)
    throw new UsageError("An endpoint tells its probabilities at temperature 1 only", {
      hint: "Leave --temperature out",
    });
}
