// The types of the library's face: what a program that uses Pare can rely on.
import { expectTypeOf, test } from "vitest";
import type { z } from "zod";

import type { doctorSchema, inspectSchema, quantizeSchema } from "../src/cli/schemas.js";
import type { evalTaskSchema, evalTextSchema } from "../src/cli/eval-schemas.js";
import type { EXPORT_DOCUMENTS, convertSchema, pullSchema } from "../src/cli/exchange-schemas.js";
import type { distillSchema } from "../src/cli/distill-schema.js";
import type { trainSchema, vocabularySchema } from "../src/cli/train-schema.js";
import {
  type BrowserExportResult,
  type Certificate,
  type CalibrationResult,
  type ConvertResult,
  type DockerExportResult,
  type DoctorReport,
  type FitRequestInput,
  type OllamaExportResult,
  type Inspection,
  type NodeExportResult,
  type Progress,
  type PullResult,
  type QuantizeRequest,
  type QuantizeResult,
  type RunOptions,
  type TaskResult,
  type TextResult,
  type TrainOptions,
  type DistillResult,
  type TransformersExportResult,
  type TrainResult,
  type Verdict,
  type VocabularyResult,
  EXIT_CODES,
  EngineError,
  FormatError,
  PareError,
  UsageError,
  calibrate,
  chat,
  complete,
  convert,
  doctor,
  evaluateTask,
  evaluateText,
  exportBrowser,
  exportOllama,
  exportTransformers,
  fit,
  inspect,
  learnVocabulary,
  pull,
  quantize,
  distill,
  train,
} from "../src/index.js";

test("every verb gives a promise of its result", () => {
  expectTypeOf(inspect).returns.resolves.toEqualTypeOf<Inspection>();
  expectTypeOf(quantize).returns.resolves.toEqualTypeOf<QuantizeResult>();
  expectTypeOf(exportOllama).returns.resolves.toEqualTypeOf<OllamaExportResult>();
  expectTypeOf(exportBrowser).returns.resolves.toEqualTypeOf<BrowserExportResult>();
  expectTypeOf(exportTransformers).returns.resolves.toEqualTypeOf<TransformersExportResult>();
  expectTypeOf(pull).returns.resolves.toEqualTypeOf<PullResult>();
  expectTypeOf(convert).returns.resolves.toEqualTypeOf<ConvertResult>();
  expectTypeOf(calibrate).returns.resolves.toEqualTypeOf<CalibrationResult>();
  expectTypeOf(evaluateText).returns.resolves.toEqualTypeOf<TextResult>();
  expectTypeOf(evaluateTask).returns.resolves.toEqualTypeOf<TaskResult>();
  expectTypeOf(fit).returns.resolves.toEqualTypeOf<Certificate>();
  expectTypeOf(distill).returns.resolves.toEqualTypeOf<DistillResult>();
  expectTypeOf(train).returns.resolves.toEqualTypeOf<TrainResult>();
  expectTypeOf(learnVocabulary).returns.resolves.toEqualTypeOf<VocabularyResult>();
  expectTypeOf(train).parameter(1).toEqualTypeOf<TrainOptions | undefined>();
  expectTypeOf(doctor).returns.resolves.toEqualTypeOf<DoctorReport>();
});

test("long verbs take a signal and a progress callback", () => {
  expectTypeOf<RunOptions["signal"]>().toEqualTypeOf<AbortSignal | undefined>();
  expectTypeOf<NonNullable<RunOptions["onProgress"]>>().toEqualTypeOf<(progress: Progress) => void>();
  for (const verb of [pull, convert, quantize, calibrate, learnVocabulary, evaluateText, evaluateTask, fit]) {
    expectTypeOf(verb).parameter(1).toEqualTypeOf<RunOptions | undefined>();
  }
});

test("chat streams text", () => {
  expectTypeOf(chat({ model: "m.gguf" }).send("hello")).toExtend<AsyncIterable<string>>();
  expectTypeOf(complete({ model: "m.gguf", prompt: "hello" }).result).resolves.toHaveProperty("text");
});

test("results are what the JSON documents say", () => {
  expectTypeOf<Inspection>().toExtend<z.input<typeof inspectSchema>>();
  expectTypeOf<OllamaExportResult>().toExtend<z.input<(typeof EXPORT_DOCUMENTS)["export-ollama"]>>();
  expectTypeOf<BrowserExportResult>().toExtend<z.input<(typeof EXPORT_DOCUMENTS)["export-browser"]>>();
  expectTypeOf<DockerExportResult>().toExtend<z.input<(typeof EXPORT_DOCUMENTS)["export-docker"]>>();
  expectTypeOf<NodeExportResult>().toExtend<z.input<(typeof EXPORT_DOCUMENTS)["export-node"]>>();
  expectTypeOf<PullResult>().toExtend<z.input<typeof pullSchema>>();
  expectTypeOf<ConvertResult>().toExtend<Mutable<z.input<typeof convertSchema>>>();
  expectTypeOf<QuantizeResult>().toExtend<Mutable<z.input<typeof quantizeSchema>>>();
  expectTypeOf<TaskResult>().toExtend<z.input<typeof evalTaskSchema>>();
  expectTypeOf<DoctorReport>().toExtend<z.input<typeof doctorSchema>>();
  expectTypeOf<TrainResult>().toExtend<z.input<typeof trainSchema>>();
  expectTypeOf<VocabularyResult>().toExtend<z.input<typeof vocabularySchema>>();
  expectTypeOf<DistillResult>().toExtend<z.input<typeof distillSchema>>();
  expectTypeOf<TextResult["klDivergence"]>().toExtend<z.input<typeof evalTextSchema>["klDivergence"]>();
});

test("each verdict has an exit code", () => {
  expectTypeOf<keyof typeof EXIT_CODES>().toEqualTypeOf<Verdict>();
});

test("a fit is asked in words", () => {
  expectTypeOf<{ models: string; text: string; keep: "98%"; budget: "10m" }>().toExtend<FitRequestInput>();
  // @ts-expect-error a goal that there is not
  const request: FitRequestInput = { models: "m.gguf", text: "t.txt", minimize: "beauty" };
  expectTypeOf(request).toEqualTypeOf<FitRequestInput>();
});

test("quantize wants an input", () => {
  // @ts-expect-error the input is missing
  const request: QuantizeRequest = { output: "b.gguf", type: "q4_K_M" };
  expectTypeOf(request).toEqualTypeOf<QuantizeRequest>();
});

test("errors carry their fields", () => {
  expectTypeOf<PareError["hint"]>().toEqualTypeOf<string | undefined>();
  expectTypeOf<FormatError["path"]>().toEqualTypeOf<string>();
  expectTypeOf<EngineError["log"]>().toEqualTypeOf<readonly string[]>();
  expectTypeOf<UsageError>().toExtend<PareError>();
});

/** Results are read-only in places; documents are plain. */
type Mutable<T> = T extends object ? { readonly [K in keyof T]: Mutable<T[K]> } : T;
