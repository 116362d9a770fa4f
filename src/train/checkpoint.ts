// A run's state on disk: weights, what the optimizer keeps, and how far it has come, as a GGUF file that appears whole. From
// it a run goes on to the same bits, as nothing else decides the next step: the order of the data follows from the seed.
import { existsSync } from "node:fs";

import { FormatError } from "../errors.js";
import { Metadata } from "../formats/gguf/metadata.js";
import { readGguf } from "../formats/gguf/read.js";
import { writeGguf } from "../formats/gguf/write.js";
import type { TensorStore } from "../graph/store.js";
import type { Tensor } from "../graph/tensor.js";

/** How far a run has come. */
export interface RunState {
  /** Steps taken. */
  step: number;
  /** The lowest validation loss so far and its step; absent before the first validation. */
  best?: Best | undefined;
  /** Validations since the best. */
  validationsSinceBest: number;
  /** Of a guarded divergence: its lowest, and validations in a row that were above what is allowed. */
  guard?: { lowest: number; worse: number } | undefined;
}

/** The best validation. */
export interface Best {
  step: number;
  loss: number;
  /** From a teacher, on the same text and on the guard's. */
  divergence?: number | undefined;
  guardDivergence?: number | undefined;
}

const FORMAT = 1;

/**
 * Writes a checkpoint, atomically.
 *
 * @param identity of the run: a checkpoint of another is refused
 */
export async function writeCheckpoint(
  path: string,
  identity: string,
  state: RunState,
  store: TensorStore,
  tensors: ReadonlyMap<string, Tensor>,
): Promise<void> {
  const metadata = new Metadata()
    .set("general.architecture", "string", "pare-checkpoint")
    .set("pare.checkpoint.format", "uint32", FORMAT)
    .set("pare.checkpoint.run", "string", identity)
    .set("pare.checkpoint.state", "string", JSON.stringify(state));
  const sources = [...tensors].map(([name, tensor]) => ({
    name,
    shape: tensor.shape,
    type: tensor.type,
    chunks: () => [new Uint8Array(store.read(tensor).buffer)],
  }));
  await writeGguf(path, { metadata, tensors: sources }, { hash: false });
}

/**
 * Reads a checkpoint into the store; undefined when there is none.
 *
 * @throws {FormatError} when it is of another run
 */
export async function readCheckpoint(
  path: string,
  identity: string,
  store: TensorStore,
  tensors: ReadonlyMap<string, Tensor>,
): Promise<RunState | undefined> {
  if (!existsSync(path)) return undefined;
  await using file = await readGguf(path);
  if (file.metadata.string("pare.checkpoint.run") !== identity || file.tensors.length !== tensors.size) {
    throw new FormatError(path, `Cannot go on from "${path}": it is of a run with other settings, model or text`, {
      hint: "Give the same settings, choose another --run folder, or remove it to start anew",
    });
  }
  for (const tensor of file.tensors) store.write(tensors.get(tensor.name)!, await file.readTensor(tensor));
  return JSON.parse(file.metadata.string("pare.checkpoint.state")!) as RunState;
}
