// What the engine prints goes here instead of to the terminal: the last lines are kept, for error messages and `--verbose`.
import koffi from "koffi";

import { ggml_log_level } from "./abi.gen.js";
import type { LlamaFunctions } from "./bindings.js";

const LINES_KEPT = 200;

export interface LogLine {
  level: "debug" | "info" | "warn" | "error";
  text: string;
}

/** The engine's recent output, oldest first. */
export class EngineLog {
  readonly #lines: LogLine[] = [];
  #partial = "";
  #level: LogLine["level"] = "info";
  /** Called with every whole line; set by `--verbose`. */
  onLine: ((line: LogLine) => void) | undefined;

  /** Redirects llama.cpp's and ggml's log to this object for the rest of the process. */
  static capture(llama: LlamaFunctions): EngineLog {
    const log = new EngineLog();
    const type = koffi.proto("void EngineLogCallback(int level, const char *text, void *user_data)");
    const callback = koffi.register(
      (level: number, text: string | null) => log.#append(level, text ?? ""),
      koffi.pointer(type),
    );
    llama.llama_log_set(callback, null); // never unregistered: the engine may log until the process ends
    return log;
  }

  /** The last lines at `warn` or above, or of every level. */
  recent(options: { all?: boolean; count?: number } = {}): string[] {
    const lines = options.all ? this.#lines : this.#lines.filter(({ level }) => level === "warn" || level === "error");
    return lines.slice(-(options.count ?? 20)).map(({ text }) => text);
  }

  clear(): void {
    this.#lines.length = 0;
    this.#partial = "";
  }

  #append(level: number, text: string): void {
    if (level !== ggml_log_level.GGML_LOG_LEVEL_CONT) this.#level = levelName(level);
    const parts = (this.#partial + text).split("\n");
    this.#partial = parts.pop()!;
    for (const part of parts) {
      const line = { level: this.#level, text: part.trimEnd() };
      if (line.text === "") continue;
      this.#lines.push(line);
      if (this.#lines.length > LINES_KEPT) this.#lines.shift();
      this.onLine?.(line);
    }
  }
}

function levelName(level: number): LogLine["level"] {
  if (level === ggml_log_level.GGML_LOG_LEVEL_ERROR) return "error";
  if (level === ggml_log_level.GGML_LOG_LEVEL_WARN) return "warn";
  return level === ggml_log_level.GGML_LOG_LEVEL_DEBUG ? "debug" : "info";
}
