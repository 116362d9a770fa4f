// A conversation as the text that a model was trained on: the Jinja template in its metadata, rendered by
// @huggingface/jinja. Templates are programs from a file, so whatever they throw is diagnosed here.
import { Template } from "@huggingface/jinja";

import { FormatError, messageOf, PareError } from "../errors.js";
import type { ChatMessage } from "./task.js";

export interface ChatTemplateOptions {
  /** Texts of the special tokens, which templates ask for. */
  bosText: string;
  eosText: string;
  /** What errors call the model. */
  modelPath: string;
  /** What templates that write the date are told; the clock's by default. */
  today?: Date | undefined;
}

/** What a template renders: a conversation, the tools that may be called in it, and variables of the template's own. */
export interface TemplateInput {
  messages: readonly (ChatMessage | TemplateMessage)[];
  /** Functions in OpenAI's form. */
  tools?: readonly unknown[] | undefined;
  /** Such as `enable_thinking`. */
  variables?: Readonly<Record<string, unknown>> | undefined;
}

/** A message with what else templates know, such as `tool_calls`. */
export interface TemplateMessage {
  role: string;
  content: unknown;
  readonly [field: string]: unknown;
}

/** A model's chat template. */
export class ChatTemplate {
  readonly #template: Template;
  readonly #options: ChatTemplateOptions;

  /**
   * @param source the value of `tokenizer.chat_template`
   * @throws {FormatError} when it is no Jinja
   */
  constructor(source: string, options: ChatTemplateOptions) {
    this.#options = options;
    try {
      // The library's own clock can't be replaced by name, so a template under a fixed date calls ours.
      this.#template = new Template(options.today ? source.replaceAll("strftime_now", CLOCK) : source);
    } catch (cause) {
      throw new FormatError(
        options.modelPath,
        `Cannot read the chat template of "${options.modelPath}": ${firstLine(messageOf(cause))}`,
        { cause, hint: "Use prompts instead of messages, which need no template" },
      );
    }
  }

  /**
   * The conversation as text, ready for the model's answer.
   *
   * @throws {PareError} when the template refuses these messages, such as two of one role in a row
   */
  render({ messages, tools, variables }: TemplateInput): string {
    const { bosText, eosText, modelPath } = this.#options;
    try {
      return this.#template.render({
        ...variables,
        messages: messages.map((message) => ({ ...message })),
        add_generation_prompt: true,
        bos_token: bosText,
        eos_token: eosText,
        tools: tools?.length ? tools : null,
        [CLOCK]: (format: string) => formatDate(this.#options.today ?? new Date(), format),
      });
    } catch (cause) {
      const roles = messages.map(({ role }) => role).join(", ");
      throw new PareError(
        `The chat template of "${modelPath}" refuses the messages (${roles}): ${firstLine(messageOf(cause))}`,
        { cause, hint: "Many templates want system first, then user and assistant in turns" },
      );
    }
  }
}

const CLOCK = "pare_strftime";

/** The directives of C's `strftime` that chat templates use, in UTC. */
function formatDate(date: Date, format: string): string {
  const inEnglish = (options: Intl.DateTimeFormatOptions): string =>
    new Intl.DateTimeFormat("en", { ...options, timeZone: "UTC" }).format(date);
  const [year = "", month = "", day = "", hour = "", minute = "", second = ""] = date.toISOString().split(/[-T:.]/);
  const parts: Record<string, string> = {
    "%Y": year,
    "%m": month,
    "%d": day,
    "%H": hour,
    "%M": minute,
    "%S": second,
    "%b": inEnglish({ month: "short" }),
    "%B": inEnglish({ month: "long" }),
    "%a": inEnglish({ weekday: "short" }),
    "%A": inEnglish({ weekday: "long" }),
    "%%": "%",
  };
  return format.replaceAll(/%[a-zA-Z%]/g, (directive) => parts[directive] ?? directive);
}

/** Parse errors quote the whole template after their first line. */
function firstLine(text: string): string {
  return text.split("\n", 1)[0]!.slice(0, 300);
}
