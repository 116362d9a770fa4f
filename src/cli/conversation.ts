// A conversation on the terminal: a line in, an answer out. Ctrl-C stops the answer; at the prompt it leaves, as Ctrl-D does.
import { createInterface } from "node:readline";

import type { ChatSession } from "../evaluate/chat.js";
import { interruption } from "./interruption.js";
import type { Invocation } from "./invocation.js";

const PROMPT = "> ";
const LEAVING = new Set(["/exit", "/quit", "/bye"]);
const HELP = "A line is a message; end it with \\ to go on in the next. /exit leaves, Ctrl-C stops an answer";

/** Talks until the user leaves. */
export async function converse(session: ChatSession, invocation: Invocation): Promise<void> {
  const { description, usesTemplate } = await session.ready;
  const manner = usesTemplate ? "" : "; it has no chat template and continues your text";
  invocation.remark(`${description}${manner}\n${HELP}`);
  const history: string[] = [];
  for (;;) {
    const message = await readMessage(history);
    if (message === undefined || LEAVING.has(message.trim())) return;
    if (message.trim() === "") continue;
    await answer(session, message);
  }
}

/** Lines up to one that does not end with a backslash, or undefined when the user leaves. */
async function readMessage(history: string[]): Promise<string | undefined> {
  const lines: string[] = [];
  for (;;) {
    const line = await readLine(lines.length === 0 ? PROMPT : "  ", history);
    if (line === undefined) return undefined;
    if (!line.endsWith("\\")) return [...lines, line].join("\n");
    lines.push(line.slice(0, -1));
  }
}

/** Each line has a reader of its own: while an answer runs the terminal is as usual, and Ctrl-C is a signal. */
function readLine(prompt: string, history: string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const reader = createInterface({ input: process.stdin, output: process.stdout, prompt, history });
    let line: string | undefined;
    reader.on("history", (entries: string[]) => history.splice(0, history.length, ...entries));
    reader.on("line", (text) => {
      line = text;
      reader.close();
    });
    reader.on("SIGINT", () => reader.close());
    reader.on("close", () => {
      if (line === undefined) process.stdout.write("\n");
      resolve(line);
    });
    reader.prompt();
  });
}

async function answer(session: ChatSession, message: string): Promise<void> {
  const stopping = new AbortController();
  using _interrupts = interruption.onInterrupt(() => {
    if (stopping.signal.aborted) return false; // the second Ctrl-C ends the command
    stopping.abort();
    return true;
  });
  for await (const piece of session.send(message, { signal: stopping.signal }))
    process.stdout.write(forTerminal(piece));
  process.stdout.write("\n");
}

/** What a model says is text: it does not get to steer the terminal. */
function forTerminal(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
}
