// Numbers for Prometheus, in its text format: https://prometheus.io/docs/instrumenting/exposition_formats/
import type { ModelSet, ServedModel } from "../model-set.js";
import type { LogEntry } from "./request-record.js";

const SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

/** What was counted since the start. */
export class Metrics {
  readonly #requests = new Map<string, number>();
  readonly #tokens = new Map<string, number>();
  readonly #answeredBy = new Map<string, number>();
  readonly #routed = new Map<string, number>();
  readonly #duration = new Histogram();
  readonly #firstToken = new Histogram();

  note(entry: LogEntry): void {
    const { status, model = "", promptTokens = 0, cachedTokens = 0, answerTokens = 0 } = entry;
    add(this.#requests, labels({ model, status }), 1);
    if (entry.model === undefined) return;
    add(this.#tokens, labels({ model, kind: "prompt" }), promptTokens);
    add(this.#tokens, labels({ model, kind: "prompt_cached" }), cachedTokens);
    add(this.#tokens, labels({ model, kind: "answer" }), answerTokens);
    if (entry.draftTokens !== undefined) {
      add(this.#tokens, labels({ model, kind: "draft" }), entry.draftTokens);
      add(this.#tokens, labels({ model, kind: "draft_accepted" }), entry.draftAccepted ?? 0);
    }
    const { task, routedBy } = entry;
    if (task !== undefined && routedBy !== undefined) add(this.#routed, labels({ model, task, by: routedBy }), 1);
    for (const by of entry.answeredBy ?? []) add(this.#answeredBy, labels({ model, by }), 1);
    this.#duration.add(entry.milliseconds / 1000);
    if (entry.firstTokenMilliseconds !== undefined) this.#firstToken.add(entry.firstTokenMilliseconds / 1000);
  }

  /** All of it as text. */
  text(models: ModelSet): string {
    const now = (value: (model: ServedModel) => number): Map<string, number> =>
      new Map(models.engines.map((model) => [labels({ model: model.name }), value(model)]));
    return [
      family("pare_requests_total", "counter", "Requests by model and HTTP status", this.#requests),
      family(
        "pare_tokens_total",
        "counter",
        "Tokens of prompts, of prompts found in the cache, and of answers",
        this.#tokens,
      ),
      family(
        "pare_cascade_answers_total",
        "counter",
        "Answers of cascades by whose answer was taken",
        this.#answeredBy,
      ),
      family("pare_routed_requests_total", "counter", "Requests by task and what said it", this.#routed),
      this.#duration.text("pare_request_seconds", "Time from a request to the end of its answer"),
      this.#firstToken.text("pare_first_token_seconds", "Time from a request to its answer's first text"),
      family(
        "pare_running_requests",
        "gauge",
        "Requests in the engine",
        now(({ engine }) => engine.load.running),
      ),
      family(
        "pare_waiting_requests",
        "gauge",
        "Requests that wait for the engine",
        now(({ engine }) => engine.load.waiting),
      ),
      family(
        "pare_cache_tokens",
        "gauge",
        "Tokens in the caches of running requests",
        now(({ engine }) => engine.load.cacheTokens),
      ),
      family(
        "pare_engine_up",
        "gauge",
        "1 where the model is loaded",
        now(({ engine }) => (engine.model ? 1 : 0)),
      ),
      family(
        "pare_engine_deaths_total",
        "counter",
        "Times that the engine's process died",
        now(({ engine }) => engine.deaths),
      ),
    ].join("");
  }
}

class Histogram {
  readonly #counts = SECONDS.map(() => 0);
  #sum = 0;
  #count = 0;

  add(seconds: number): void {
    this.#sum += seconds;
    this.#count++;
    const bucket = SECONDS.findIndex((bound) => seconds <= bound);
    if (bucket >= 0) this.#counts[bucket]!++;
  }

  text(name: string, help: string): string {
    let below = 0;
    const buckets = SECONDS.map((bound, i) => `${name}_bucket{le="${bound}"} ${(below += this.#counts[i]!)}\n`);
    return `${header(name, "histogram", help)}${buckets.join("")}${name}_bucket{le="+Inf"} ${this.#count}\n${name}_sum ${this.#sum}\n${name}_count ${this.#count}\n`;
  }
}

function family(name: string, type: string, help: string, values: ReadonlyMap<string, number>): string {
  return header(name, type, help) + [...values].map(([label, value]) => `${name}${label} ${value}\n`).join("");
}

function header(name: string, type: string, help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

function labels(values: Record<string, string | number>): string {
  const escaped = (value: string): string => value.replace(/["\\\n]/g, (one) => (one === "\n" ? "\\n" : `\\${one}`));
  return `{${Object.entries(values)
    .map(([name, value]) => `${name}="${escaped(String(value))}"`)
    .join(",")}}`;
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}
