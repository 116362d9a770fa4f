// One cell of the table: build a file with a method's commands, measure it on held-out and out-of-domain text.
import { existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

import { evaluateText } from "../../dist/evaluate/text.js";
import { elementCount } from "../../dist/model/model.js";
import { openModel } from "../../dist/model/open.js";
import { sha256File } from "../../dist/support/files.js";
import { hashOf } from "./cache.mjs";
import { PLACES, calibrateCommand } from "./methods.mjs";
import { runPare } from "./run-command.mjs";

const EVALUATED = ["heldOut", "outOfDomain"];

/** Builds and measures files of one model. */
export class Laboratory {
  /** @param model of models.mjs with `texts` made and its `sha256` */
  constructor(model, { cache, folder, threads, windowsMax }) {
    Object.assign(this, { model, cache, folder, threads, windowsMax });
    for (const part of ["baselines", "imatrix", "built"]) mkdirSync(join(folder, part), { recursive: true });
  }

  /**
   * @param commands of methods.mjs
   * @param code hash of the code that the result depends on, or undefined
   * @param windowsMax fewer windows, of the held-out text only
   */
  async cell(commands, { code, windowsMax, keep = false } = {}) {
    const calibration = this.model.texts.calibration.sha256;
    const key = { model: this.model.sha256, calibration, commands, code };
    const windows = EVALUATED.map((kind) => [this.model.texts[kind].sha256, this.#windows(kind, windowsMax)]);
    const path = join(this.folder, "built", `${this.model.name}-${hashOf(key)}.gguf`);
    const value = await this.cache.remember("cell", { ...key, windows, quick: windowsMax }, async () => {
      const isThere = (built) => existsSync(path) && statSync(path).size === built.sizeBytes;
      const built = await this.cache.remember("build", key, () => this.#build(commands, path), isThere);
      const kinds = windowsMax === undefined ? EVALUATED : ["heldOut"];
      const measured = {};
      for (const kind of kinds) measured[kind] = await this.#evaluate(path, built.sha256, kind, windowsMax);
      return { ...built, ...measured };
    });
    if (!keep) rmSync(path, { force: true });
    return { ...value, commands };
  }

  async #build(commands, path) {
    const files = { ...this.#files, [PLACES.output]: path };
    let [seconds, peakBytes] = [0, 0];
    for (const words of commands) {
      const named = words.map((word) => files[word] ?? word);
      const run = await (words[0] === "calibrate"
        ? this.calibrate(words, named)
        : runPare([...named, "--threads", `${this.threads}`]));
      seconds += run.seconds;
      peakBytes = Math.max(peakBytes, run.peakBytes);
    }
    return { seconds, peakBytes, ...(await this.#facts(path)) };
  }

  get #files() {
    const { path, texts } = this.model;
    return { [PLACES.input]: path, [PLACES.text]: texts.calibration.path, [PLACES.importance]: this.importancePath };
  }

  get importancePath() {
    const { name, texts, sha256 } = this.model;
    return join(this.folder, "imatrix", `${name}-${hashOf([sha256, texts.calibration.sha256])}.gguf`);
  }

  /** Where importance data are; computed now if they are not. */
  async requireImportance() {
    const words = calibrateCommand(this.model);
    await this.calibrate(
      words,
      words.map((word) => this.#files[word] ?? word),
    );
    return this.importancePath;
  }

  /** Importance data are the same for every preset: computed once, and their cost counted every time. */
  async calibrate(words, named) {
    const key = { model: this.model.sha256, calibration: this.model.texts.calibration.sha256, words };
    return this.cache.remember(
      "calibrate",
      key,
      () => runPare([...named, "--threads", `${this.threads}`]),
      () => existsSync(this.importancePath),
    );
  }

  async #facts(path) {
    const model = await openModel(path);
    try {
      const tensors = [...model.tensors.values()];
      const sum = (list, measure) => list.reduce((total, tensor) => total + measure(tensor), 0);
      const weightBytes = sum(tensors, ({ sizeBytes }) => sizeBytes);
      return {
        sizeBytes: statSync(path).size,
        sha256: await sha256File(path),
        bitsPerWeight: (8 * weightBytes) / sum(tensors, ({ shape }) => elementCount(shape)),
        decoderBytes: sum(
          tensors.filter(({ name }) => name.startsWith("blk.")),
          ({ sizeBytes }) => sizeBytes,
        ),
        ends: tensors.filter(({ name }) => isEnd(name)).map(({ name, type }) => ({ name, type })),
      };
    } finally {
      await model.close();
    }
  }

  async #evaluate(path, sha256, kind, windowsMax) {
    const text = this.model.texts[kind];
    const windows = this.#windows(kind, windowsMax);
    const key = { baseline: this.model.sha256, text: text.sha256, sha256, windows };
    return this.cache.remember("evaluation", key, async () => {
      const against = await this.#baseline(kind);
      const result = await evaluateText({ ...this.#request(kind, windows), model: path, against });
      const { mean, standardError, median, p99 } = result.klDivergence;
      return {
        divergence: mean,
        standardError,
        median,
        p99,
        sameTopRate: result.sameTopRate,
        perplexity: result.perplexity.mean,
        perplexityRatio: result.perplexity.mean / result.baselinePerplexity.mean,
        tokens: result.tokens,
        windowDivergences: result.windows.map(({ klDivergence }) => klDivergence),
      };
    });
  }

  /** @returns path of the full-precision model's logits */
  async #baseline(kind) {
    const text = this.model.texts[kind];
    const name = `${this.model.name}-${kind}-${hashOf([this.model.sha256, text.sha256, text.windows])}.baseline`;
    const path = join(this.folder, "baselines", name);
    if (!existsSync(path))
      await evaluateText({ ...this.#request(kind, text.windows), model: this.model.path, baselineFile: path });
    return path;
  }

  #request(kind, windows) {
    const { contextLength, isChat, texts } = this.model;
    const { threads } = this;
    return { texts: [texts[kind].content], contextLength, parseSpecial: isChat, windows: { count: windows }, threads };
  }

  #windows(kind, windowsMax = this.windowsMax) {
    return Math.min(this.model.texts[kind].windows, windowsMax ?? Infinity);
  }
}

/** The token embedding and the output: what stands before and behind the blocks. */
export function isEnd(name) {
  return name === "token_embd.weight" || name === "output.weight";
}
