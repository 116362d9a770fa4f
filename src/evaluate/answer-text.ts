// An answer's text as it grows token by token: whole characters only, and nothing that may yet turn out to be the
// beginning of a text that ends the answer.

/** Joins the bytes of tokens to text and watches for stop texts. */
export class AnswerText {
  readonly #stops: readonly string[];
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #text = "";
  #released = 0;
  #isStopped = false;

  /** @param stops texts that end the answer; none may be empty */
  constructor(stops: readonly string[] = []) {
    this.#stops = stops;
  }

  /** The answer so far, without the text that stopped it. */
  get text(): string {
    return this.#text;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** @returns what can be shown now: empty while a character or a stop text is incomplete */
  push(bytes: Uint8Array): string {
    return this.#append(this.#decoder.decode(bytes, { stream: true }));
  }

  /** No token follows. @returns what was still held back */
  end(): string {
    const shown = this.#append(this.#decoder.decode());
    const rest = this.#text.slice(this.#released);
    this.#released = this.#text.length;
    return shown + rest;
  }

  #append(piece: string): string {
    if (piece === "" || this.#isStopped) return "";
    const searchFrom = this.#released; // all that was released can be no part of a stop text
    this.#text += piece;
    const stopAt = firstIndexOfAny(this.#text, this.#stops, searchFrom);
    if (stopAt >= 0) {
      this.#text = this.#text.slice(0, stopAt);
      this.#isStopped = true;
    }
    const safe = this.#isStopped ? this.#text.length : this.#text.length - heldBack(this.#text, this.#stops);
    const shown = this.#text.slice(this.#released, safe);
    this.#released = Math.max(this.#released, safe);
    return shown;
  }
}

function firstIndexOfAny(text: string, wanted: readonly string[], from: number): number {
  const indices = wanted.map((stop) => text.indexOf(stop, from)).filter((index) => index >= 0);
  return indices.length === 0 ? -1 : Math.min(...indices);
}

/** Length of the longest end of the text that is the beginning of a stop text. */
function heldBack(text: string, stops: readonly string[]): number {
  let held = 0;
  for (const stop of stops) {
    for (let length = Math.min(stop.length - 1, text.length); length > held; length--) {
      if (text.endsWith(stop.slice(0, length))) held = length;
    }
  }
  return held;
}
