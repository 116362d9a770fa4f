// What is known of one request when it ends, for the log and the metrics. No prompt text, unless it was asked for.
import { performance } from "node:perf_hooks";

/** A line of the log. */
export interface LogEntry {
  time: string;
  request: string;
  client: string;
  method: string;
  path: string;
  status: number;
  milliseconds: number;
  model?: string;
  /** Where routes are served: the task, and what said it: `header`, `metadata`, `model`, `rule 1` or `default`. */
  task?: string;
  routedBy?: string;
  /** Of a cascade: which model's answer each of a request's answers was. */
  answeredBy?: string[];
  promptTokens?: number;
  /** Of the prompt's tokens, those that were in the cache. */
  cachedTokens?: number;
  answerTokens?: number;
  /** Tokens that a draft model guessed, and those of them that were right. */
  draftTokens?: number;
  draftAccepted?: number;
  firstTokenMilliseconds?: number;
  error?: string;
  /** The request's body, where prompts are logged. */
  body?: unknown;
}

/** Gathers while a request is served. */
export class RequestRecord {
  readonly id: string;
  readonly startedAt = performance.now();
  client = "";
  model: string | undefined;
  /** Where a route was taken: the task, and what said it. */
  task: string | undefined;
  routedBy: string | undefined;
  /** Of a cascade: whose answers were taken. */
  readonly answeredBy: string[] = [];
  body: unknown;
  error: unknown;
  promptTokens = 0;
  cachedTokens = 0;
  answerTokens = 0;
  draftTokens = 0;
  draftAccepted = 0;
  firstTextAt: number | undefined;
  /** Set while a stream goes on after the response has begun. */
  streaming: Promise<void> | undefined;
  /** Gives back what the client's limits counted. */
  leave: () => void = () => undefined;

  constructor(id: string) {
    this.id = id;
  }

  noteStarted(promptTokens: number, cachedTokens: number): void {
    this.promptTokens += promptTokens;
    this.cachedTokens += cachedTokens;
  }

  noteText(): void {
    this.firstTextAt ??= performance.now();
  }

  noteEnded(taken: { answerTokens: number; draftTokens?: number; draftAccepted?: number }): void {
    this.answerTokens += taken.answerTokens;
    this.draftTokens += taken.draftTokens ?? 0;
    this.draftAccepted += taken.draftAccepted ?? 0;
  }

  /** Counts what was gathered apart, whose text is shown only now. */
  take(other: RequestRecord): void {
    this.noteStarted(other.promptTokens, other.cachedTokens);
    if (other.firstTextAt !== undefined) this.noteText();
    this.noteEnded(other);
  }
}
