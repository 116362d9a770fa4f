// Frames as a template of Ollama's, which is Go's text/template over `.System` and `.Messages`.
// https://github.com/ollama/ollama/blob/main/docs/template.md
import type { ChatFrames } from "./chat-frames.js";

/** The template. Texts stand in quotation marks, so that no brace and no line end of theirs means anything. */
export function goTemplate(frames: ChatFrames): string {
  const { system, withoutSystem, beforeUser, beforeAssistant, behindAssistant } = frames;
  const otherwise = withoutSystem === "" ? "" : `{{- else }}${text(withoutSystem)}\n`;
  return [
    `{{- if .System }}${text(system[0])}{{- .System }}${text(system[1])}`,
    `${otherwise}{{- end }}`,
    "{{- range .Messages }}",
    `{{- if eq .Role "user" }}${text(beforeUser)}{{- .Content }}`,
    `{{- else if eq .Role "assistant" }}${text(beforeAssistant)}{{- .Content }}${text(behindAssistant)}`,
    "{{- end }}",
    `{{- end }}${text(beforeAssistant)}`,
  ].join("\n");
}

/** A text as it is: an action that prints a quoted string. */
function text(value: string): string {
  return value === "" ? "" : `{{- ${quoted(value)} }}`;
}

/** Go's string in quotation marks. */
function quoted(value: string): string {
  const escaped = value.replaceAll(/["\\\p{Cc}]/gu, (letter) => {
    if (letter === '"' || letter === "\\") return `\\${letter}`;
    return letter === "\n" ? "\\n" : `\\u${letter.codePointAt(0)!.toString(16).padStart(4, "0")}`;
  });
  return `"${escaped}"`;
}
