// Text with columns of a row in it: `Question: {{ question }}`. The language is Jinja, as in chat templates.
import { Template } from "@huggingface/jinja";

import { messageOf } from "../../errors.js";

/** One row of a file of cases, by column. */
export type Row = Record<string, unknown>;

/** A template, read once and filled for many rows. */
export class RowTemplate {
  readonly #source: string;
  readonly #template: Template;
  /** Gives the value of the single expression that the template is, where it is one. */
  readonly #valueTemplate: Template | undefined;

  /** @throws {Error} when it is no template */
  constructor(source: string) {
    this.#source = withCalls(source);
    this.#template = new Template(this.#source);
    const expression = /^\s*\{\{-?((?:(?!\}\}|\{\{).)+?)-?\}\}\s*$/su.exec(this.#source)?.[1];
    this.#valueTemplate = expression === undefined ? undefined : new Template(`{{ ((${expression})) | tojson }}`);
  }

  /** @throws {Error} naming a column that the row lacks */
  text(row: Row): string {
    this.#requireColumns(row);
    return this.#template.render({ ...row, ...CALLS });
  }

  /** The value of `{{ expression }}`, of whatever type, else the text. */
  value(row: Row): unknown {
    if (!this.#valueTemplate) return this.text(row);
    this.#requireColumns(row);
    const json = this.#valueTemplate.render({ ...row, ...CALLS });
    try {
      return JSON.parse(json) as unknown;
    } catch {
      return this.text(row);
    }
  }

  /** A column that is not there would be filled in as nothing. */
  #requireColumns(row: Row): void {
    for (const [, name = ""] of this.#source.matchAll(/\{\{-?\s*([A-Za-z_]\w*)\s*(?=[.[|}-])/gu)) {
      if (name in row) continue;
      throw new Error(`the template names the column "${name}", there are ${Object.keys(row).join(", ")}`);
    }
  }
}

/** Methods of Python's lists that templates call and the library lacks. */
const CALLS = {
  pare_index: (list: unknown[], item: unknown) => list.findIndex((one) => String(one) === String(item)),
};

function withCalls(source: string): string {
  return source.replaceAll(/([\w.]+)\.index\(([^()]+)\)/gu, "pare_index($1, $2)");
}

/** Fills a template, and says which one failed. @throws {Error} */
export function filled<T>(name: string, fill: () => T): T {
  try {
    return fill();
  } catch (cause) {
    throw new Error(`"${name}": ${messageOf(cause).split("\n", 1)[0]}`, { cause });
  }
}
