// Vectors of texts in pieces: the same wherever they are cut, the same as llama.cpp's own pooling, and given up when nobody waits.
import { afterAll, beforeAll, expect, test } from "vitest";

import { temporaryFolder } from "../../../test/command.js";
import { writeSyntheticModel } from "../../../test/synthetic-model.js";
import { loadEngine } from "../../native/engine.js";
import { LlamaModel } from "../../native/llama-model.js";
import { EmbedQueue } from "./embed-queue.js";
import { Embedder } from "./embedder.js";
import type { EngineEvent } from "./messages.js";

const folder = temporaryFolder();
const MEAN = 1; // LLAMA_POOLING_TYPE_MEAN
let plain: LlamaModel;
let pooled: LlamaModel;
beforeAll(async () => {
  const load = async (name: string, pooling?: number): Promise<LlamaModel> => {
    const edit = pooling === undefined ? {} : { edit: pool(pooling) };
    await writeSyntheticModel(folder.path(name), { contextLength: 1024, ...edit });
    return LlamaModel.load(loadEngine(), folder.path(name));
  };
  plain = await load("plain.gguf");
  pooled = await load("pooled.gguf", MEAN);
});
afterAll(() => {
  plain[Symbol.dispose]();
  pooled[Symbol.dispose]();
  folder[Symbol.dispose]();
});

const pool = (type: number) => (metadata: { set(key: string, kind: "uint32", value: number): unknown }) =>
  void metadata.set("llama.pooling_type", "uint32", type);
const text = (length: number): number[] => Array.from({ length }, (_, i) => 3 + ((i * i + i) % 300));

function embed(model: LlamaModel, tokens: readonly number[], most: number): { vector: Float32Array; pieces: number } {
  using embedder = new Embedder(model, { contextLength: 1024, threads: 1 });
  embedder.begin(tokens);
  for (let pieces = 1; ; pieces++) {
    const vector = embedder.piece(most);
    if (vector) return { vector, pieces };
  }
}

test.each([5, 64, 130, 700])("a vector of %i tokens is the same in pieces of any length", (length) => {
  const short = embed(plain, text(length), 64);
  expect(short.pieces).toBe(Math.ceil(length / 64));
  expect(short.vector).toEqual(embed(plain, text(length), 512).vector);
});

test("a vector added up from pieces is that of llama.cpp's mean, which takes one", () => {
  const { vector, pieces } = embed(pooled, text(700), 64);
  expect(pieces).toBe(1);
  const cosine = embed(plain, text(700), 64).vector.reduce((sum, value, i) => sum + value * vector[i]!, 0);
  expect(cosine).toBeCloseTo(1, 5);
});

test("clients take turns, and a text that nobody waits for is not computed to its end", () => {
  using embedder = new Embedder(plain, { contextLength: 1024, threads: 1 });
  const events: EngineEvent[] = [];
  const queue = new EmbedQueue(embedder, (event) => events.push(event));
  const add = (id: number, client: string, length: number): void =>
    queue.add({ kind: "embed", id, client, input: { kind: "tokens", tokens: [] } }, text(length));
  add(1, "a", 700);
  add(2, "a", 20);
  add(3, "b", 30);
  add(4, "a", 20);
  queue.turn(true);
  queue.turn(true);
  expect(events).toEqual([]);
  queue.cancel(1);
  queue.cancel(4);
  queue.turn(true);
  expect(events.map(({ id }) => id)).toEqual([3]);
  queue.turn(true);
  expect(events.map(({ id }) => id)).toEqual([3, 2]);
  expect(queue.isIdle).toBe(true);
  expect(events[1]).toMatchObject({ tokens: 20, values: embed(plain, text(20), 512).vector });
});

test("a text that can't be embedded is refused before it waits", () => {
  using embedder = new Embedder(plain, { contextLength: 1024, threads: 1 });
  expect(() => embedder.requireEmbeddable([])).toThrow("without tokens");
  expect(() => embedder.requireEmbeddable(text(1025))).toThrow("at most 1024 can be embedded");
});
