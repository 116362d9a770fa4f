// Prompts and conversations as tokens, with exactly one BOS where the vocabulary wants one.
import { PareError } from "../errors.js";
import type { LlamaModel } from "../native/llama-model.js";
import { ChatTemplate, type TemplateInput } from "./chat-template.js";

/** Turns prompts into a model's tokens. */
export class PromptTokenizer {
  readonly #model: LlamaModel;
  readonly #bosText: string;
  readonly #template: ChatTemplate | undefined;

  /** @throws {FormatError} when the model has a chat template that can't be read */
  constructor(model: LlamaModel, options: { readTemplate?: boolean; today?: Date } = {}) {
    this.#model = model;
    this.#bosText = specialText(model, model.bosToken);
    const source = options.readTemplate === false ? undefined : model.chatTemplate;
    this.#template =
      source === undefined
        ? undefined
        : new ChatTemplate(source, {
            bosText: this.#bosText,
            eosText: specialText(model, model.eosToken),
            modelPath: model.path,
            today: options.today,
          });
  }

  get hasTemplate(): boolean {
    return this.#template !== undefined;
  }

  /** A raw prompt. Control tokens written in it are read as such, as llama.cpp does. */
  prompt(text: string): number[] {
    return this.#tokens(text);
  }

  /**
   * A conversation through the model's template.
   *
   * @param begun the beginning of the answer, if there is one
   * @throws {PareError} when the model has no template, or its template refuses the messages
   */
  conversation(conversation: TemplateInput, begun = ""): number[] {
    if (this.#template === undefined) {
      throw new PareError(`"${this.#model.path}" has no chat template, so it can't take messages`, {
        hint: "Use a prompt instead, which the model continues as it is",
      });
    }
    return this.#tokens(this.#template.render(conversation) + begun);
  }

  /** Where the text begins with BOS already, as many templates write it, the vocabulary does not add another. */
  #tokens(text: string): number[] {
    const hasBos = this.#bosText !== "" && text.startsWith(this.#bosText);
    return this.#withoutEos(this.#model.tokenize(text, { addSpecial: !hasBos, parseSpecial: true }));
  }

  /** Vocabularies that end every text with EOS would end the prompt with it; what follows would be another text. */
  #withoutEos(tokens: Int32Array): number[] {
    const { addsEos, eosToken } = this.#model;
    const length = addsEos && tokens.at(-1) === eosToken ? tokens.length - 1 : tokens.length;
    return Array.from(tokens.subarray(0, length));
  }
}

function specialText(model: LlamaModel, token: number): string {
  return token < 0 ? "" : model.detokenize([token], { special: true });
}
