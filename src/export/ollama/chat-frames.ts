// What a chat template puts around messages, found by rendering one. Most templates frame each message by its role alone;
// then a few texts say all of it, and can be written in another template language. Whether they do is tried, not assumed.
import type { ChatMessage } from "../../evaluate/task.js";
import { Random } from "../../support/random.js";

/** Texts around the messages of a conversation that turns between user and assistant. */
export interface ChatFrames {
  /** Before and behind the system message. */
  readonly system: readonly [before: string, behind: string];
  /** In its place where there is none. */
  readonly withoutSystem: string;
  readonly beforeUser: string;
  /** Between a user's message and the answer, also where the answer is yet to come. */
  readonly beforeAssistant: string;
  readonly behindAssistant: string;
}

/** The conversation as text, ready for the model's answer. */
export type Render = (messages: readonly ChatMessage[]) => string;

/** Conversations on which frames must agree with the template. */
export const CONVERSATIONS_TRIED = 24;

// Texts that no template has, nor trims or changes.
const [SYSTEM, USER, ASSISTANT, LAST] = ["⟪s⟫", "⟪u⟫", "⟪a⟫", "⟪l⟫"];

/** The frames of a template, or undefined where messages are framed by more than their role. */
export function chatFrames(render: Render): ChatFrames | undefined {
  try {
    const frames = probe(render);
    const random = new Random(5);
    const tried = Array.from({ length: CONVERSATIONS_TRIED }, () => conversation(random));
    return frames && tried.every((messages) => renderFrames(frames, messages) === render(messages))
      ? frames
      : undefined;
  } catch {
    return undefined; // a template that refuses a plain conversation
  }
}

/** What the frames make of a conversation. */
export function renderFrames(frames: ChatFrames, messages: readonly ChatMessage[]): string {
  const system = messages.find(({ role }) => role === "system")?.content;
  const parts = [system === undefined ? frames.withoutSystem : frames.system.join(system)];
  for (const { role, content } of messages) {
    if (role === "user") parts.push(frames.beforeUser, content);
    if (role === "assistant") parts.push(frames.beforeAssistant, content, frames.behindAssistant);
  }
  return parts.join("") + frames.beforeAssistant;
}

function probe(render: Render): ChatFrames | undefined {
  const turns: ChatMessage[] = [
    { role: "user", content: USER },
    { role: "assistant", content: ASSISTANT },
    { role: "user", content: LAST },
  ];
  const [start, afterUser, afterAssistant] = cut(render(turns), USER, ASSISTANT, LAST) ?? [];
  const [beforeSystem, afterSystem] = cut(render([{ role: "system", content: SYSTEM }, ...turns]), SYSTEM, USER) ?? [];
  if (start === undefined || beforeSystem === undefined) return undefined;
  const beforeUser = fromMark(commonEnd(start, afterSystem!, afterAssistant!));
  const without = (text: string) => text.slice(0, text.length - beforeUser.length);
  return {
    system: [beforeSystem, without(afterSystem!)],
    withoutSystem: without(start),
    beforeUser,
    beforeAssistant: afterUser!,
    behindAssistant: without(afterAssistant!),
  };
}

/** The text before each mark; undefined where one is not there exactly once, in order. */
function cut(text: string, ...marks: readonly string[]): string[] | undefined {
  const parts: string[] = [];
  let rest = text;
  for (const mark of marks) {
    const [before, ...after] = rest.split(mark);
    if (after.length !== 1) return undefined;
    parts.push(before!);
    rest = after[0]!;
  }
  return parts;
}

function commonEnd(...texts: readonly string[]): string {
  let length = 0;
  const [first] = texts as [string];
  while (length < first.length && texts.every((text) => text.at(-1 - length) === first.at(-1 - length))) length++;
  return first.slice(first.length - length);
}

/** From where a token such as `<|user|>` or `[INST]` may begin, so that none is cut in two. */
function fromMark(text: string): string {
  return text.slice(Math.max(0, text.search(/[<[]/)));
}

const WORDS = [
  "Hello",
  "why?",
  "{{ x }}",
  "2 + 2 = 4",
  "天空",
  "a\nb",
  "<b>&amp;</b>",
  "'quoted' \"twice\"",
  "<think>Hm</think>",
];

function conversation(random: Random): ChatMessage[] {
  const content = () =>
    Array.from({ length: 1 + random.integer(4) }, () => WORDS[random.integer(WORDS.length)]).join(" ");
  const messages: ChatMessage[] = random.integer(2) === 0 ? [{ role: "system", content: content() }] : [];
  for (let turn = random.integer(4); turn > 0; turn--) {
    messages.push({ role: "user", content: content() }, { role: "assistant", content: content() });
  }
  return [...messages, { role: "user", content: content() }];
}
