// Pare as a library: the verbs of the command with the same names, typed, with progress callbacks and abort signals.
//
//   import { fit, inspect, quantize } from "pare";
//
// Native work runs in child processes, so a crash of the engine is an error here and an abort takes effect at once.

// The verbs.
export { compare } from "./compare/compare.js";
export { calibrate } from "./calibrate/calibrate.js";
export { convert } from "./convert/convert.js";
export { doctor } from "./doctor.js";
export { chat, complete } from "./evaluate/chat.js";
export { evaluateTask } from "./evaluate/run-task.js";
export { evaluateText } from "./evaluate/text.js";
export { exportBrowser } from "./export/browser/export-browser.js";
export { exportDocker } from "./export/docker/export-docker.js";
export { exportNode } from "./export/node/export-node.js";
export { exportOllama } from "./export/ollama/export-ollama.js";
export { exportTransformers } from "./export/transformers/export-transformers.js";
export { fit } from "./report/fit-with-report.js";
export { fitCascade } from "./fit/cascade/fit-cascade.js";
export { verify } from "./fit/verify.js";
export { cost } from "./fit/estimate-cost.js";
export { inspect } from "./model/inspect.js";
export { pull } from "./hub/pull.js";
export { quantizeCalibrated } from "./fit/allocate/quantize-calibrated.js";
export { distill } from "./passes/distill/distill.js";
export { quantize } from "./passes/quantize/quantize.js";
export { train } from "./train/train.js";
export { adapt } from "./passes/adapt/adapt.js";
export { merge } from "./passes/adapt/merge.js";
export { BytePairEncoder } from "./vocabulary/byte-pair-encoder.js";
export { learnVocabulary } from "./vocabulary/learn-vocabulary.js";
export { serve } from "./serve/serve.js";
export { openStudio } from "./studio/studio.js";

// Files: models, importance data, tasks, devices, certificates.
export { readImportance } from "./calibrate/read-imatrix.js";
export { writeImportance } from "./calibrate/write-imatrix.js";
export { parseTask } from "./evaluate/task.js";
export { readTask } from "./evaluate/tasks/read-task.js";
export { EXIT_CODES, certificateSchema } from "./fit/certificate.js";
export { listDevices, readDevice } from "./fit/device.js";
export { readGguf } from "./formats/gguf/read.js";
export { writeGguf } from "./formats/gguf/write.js";
export { openModel } from "./model/open.js";
export { saveModel } from "./model/save.js";
export { renderReport } from "./report/report.js";

// Arithmetic about models.
export { bitsPerWeight, kvCacheBytes, kvCacheBytesPerToken, memoryBytes } from "./model/memory.js";
export { PRESETS } from "./passes/quantize/presets.js";

// Errors that a caller can tell apart.
export { EngineError, FormatError, PareError, ResourceError, UsageError } from "./errors.js";
export { HubError, NetworkError } from "./hub/client.js";

export type { CompareRequest } from "./compare/compare.js";
export type { Comparison } from "./compare/summarize.js";
export type { CalibrationRequest, CalibrationResult, CalibrationText, ExpertUse } from "./calibrate/calibrate.js";
export type { Importance, ImportanceEntry } from "./calibrate/importance.js";
export type { LayerSimilarity } from "./calibrate/similarity.js";
export type { ConvertRequest, ConvertResult } from "./convert/convert.js";
export type { DoctorCheck, DoctorReport } from "./doctor.js";
export type { Answer, AnswerResult, ChatModel, ChatOptions, ChatSession } from "./evaluate/chat.js";
export type { CaseResult, EvaluateTaskRequest, TaskFailure, TaskResult } from "./evaluate/run-task.js";
export type { ChatMessage, Task, TaskCase } from "./evaluate/task.js";
export type { EvaluateTextRequest, TextResult } from "./evaluate/text.js";
export type { BrowserExportRequest, BrowserExportResult } from "./export/browser/export-browser.js";
export type { DockerExportRequest, DockerExportResult } from "./export/docker/export-docker.js";
export type { NodeExportRequest, NodeExportResult } from "./export/node/export-node.js";
export type { OllamaExportRequest, OllamaExportResult } from "./export/ollama/export-ollama.js";
export type { TransformersExportRequest, TransformersExportResult } from "./export/transformers/export-transformers.js";
export type { Parity } from "./export/parity/compare.js";
export type { CostRequest, CostResult } from "./fit/estimate-cost.js";
export type { Certificate, Quality, TrialRecord, Verdict } from "./fit/certificate.js";
export type { Verification, VerifyRequest } from "./fit/verify.js";
export type { DeviceInput, DeviceSpec } from "./fit/device.js";
export type { FitRequest, FitRequestInput } from "./fit/request.js";
export type { GgmlType } from "./formats/gguf/ggml-types.js";
export type { GgufFile, GgufTensor } from "./formats/gguf/read.js";
export type { PullRequest, PullResult } from "./hub/pull.js";
export type { HubSettings } from "./hub/settings.js";
export type { Inspection } from "./model/inspect.js";
export type { LazyTensor, Model } from "./model/model.js";
export type { ModelSpec } from "./model/spec.js";
export type { Backend } from "./native/platform.js";
export type { PresetName } from "./passes/quantize/presets.js";
export type { CalibratedRequest, CalibratedResult } from "./fit/allocate/quantize-calibrated.js";
export type { QuantizeRequest, QuantizeResult } from "./passes/quantize/quantize.js";
export type { LogEntry } from "./serve/observe/request-record.js";
export type { PareServer, ServeOptions } from "./serve/serve.js";
export type { Studio, StudioOptions } from "./studio/studio.js";
export type { ReportDetail } from "./report/report.js";
export type { OnProgress, Progress, RunOptions } from "./support/progress.js";
export type { DistillOptions } from "./passes/distill/distill.js";
export type { DistillResult } from "./passes/distill/result.js";
export type { DistillRequest, DistillSettings } from "./passes/distill/settings.js";
export type { Metrics, StepMetrics, ValidationMetrics } from "./train/metrics.js";
export type { NewModel } from "./train/new-model.js";
export type { TrainRequest, TrainSettings } from "./train/settings.js";
export type { TrainOptions, TrainResult } from "./train/train.js";
export type { AdaptRequest, AdapterSettings } from "./passes/adapt/adapt-settings.js";
export type { AdaptResult } from "./passes/adapt/adapt.js";
export type { AdapterTarget } from "./passes/adapt/targets.js";
export type { MergeRequest } from "./passes/adapt/merge.js";
export type { MergedFile } from "./passes/adapt/write-merged.js";
export type { BytePairVocabulary } from "./vocabulary/byte-pair-encoder.js";
export type { VocabularyRequest, VocabularyResult } from "./vocabulary/learn-vocabulary.js";
