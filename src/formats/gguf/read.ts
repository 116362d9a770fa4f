// Reads a GGUF model: header now, tensors when asked for. A split model is opened from any of its parts and looks like
// one file. Nothing here trusts the file; see `read-header.ts` for the checks.
import { FormatError } from "../../errors.js";
import { type ByteSource, openSource } from "./bytes.js";
import type { Metadata } from "./metadata.js";
import { type GgufHeader, readHeader } from "./read-header.js";
import type { TensorInfo } from "./read-tensor-table.js";
import { parseSplitPath, splitPath } from "./split-path.js";

/** A tensor and the part of a split model that holds it (0 where there is one file). */
export interface GgufTensor extends Readonly<TensorInfo> {
  readonly part: number;
}

/** How to open the parts and when to stop. */
export interface ReadGgufOptions {
  signal?: AbortSignal;
  /** Opens the other parts of a split model. */
  open?: (path: string, options: { signal?: AbortSignal }) => Promise<ByteSource>;
}

/** An open GGUF model. */
export class GgufFile implements AsyncDisposable {
  readonly path: string;
  readonly version: number;
  readonly alignment: number;
  /** Without the `split.` keys when the model came in several parts. */
  readonly metadata: Metadata;
  readonly tensors: readonly GgufTensor[];
  /** Bytes of all parts together. */
  readonly sizeBytes: number;
  /** The files it came in. */
  readonly parts: readonly string[];
  readonly #sources: readonly ByteSource[];
  readonly #byName: ReadonlyMap<string, GgufTensor>;

  constructor(sources: readonly ByteSource[], headers: readonly GgufHeader[], tensors: readonly GgufTensor[]) {
    const [source, header] = [sources[0]!, headers[0]!];
    this.path = source.path;
    this.version = header.version;
    this.alignment = header.alignment;
    this.metadata = sources.length > 1 ? withoutSplitKeys(header.metadata) : header.metadata;
    this.tensors = tensors;
    this.sizeBytes = sources.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
    this.parts = sources.map(({ path }) => path);
    this.#sources = sources;
    this.#byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  }

  tensor(name: string): GgufTensor | undefined {
    return this.#byName.get(name);
  }

  /**
   * Reads a tensor's bytes, or `length` of them from `offset`, into fresh memory or the start of `into`.
   *
   * @throws {RangeError} when there is no such tensor or the range is beyond it
   * @throws {FormatError} when the file ends before
   */
  async readTensor(which: string | GgufTensor, offset = 0, length?: number, into?: Uint8Array): Promise<Uint8Array> {
    const tensor = typeof which === "string" ? this.tensor(which) : which;
    if (!tensor) throw new RangeError(`"${this.path}" has no tensor "${String(which)}"`);
    const count = length ?? tensor.sizeBytes - offset;
    if (!(offset >= 0 && count >= 0 && offset + count <= tensor.sizeBytes)) {
      throw new RangeError(`Tensor "${tensor.name}" has ${tensor.sizeBytes} bytes, not ${count} from ${offset}`);
    }
    return this.#sources[tensor.part]!.read(tensor.offset + offset, count, into);
  }

  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Opens a GGUF model by path, address or source. A source is closed with the file.
 *
 * @throws {FormatError} when it is no sound GGUF file
 * @throws {PareError} when it can't be read
 * @example
 * await using gguf = await readGguf("model.gguf");
 * console.log(gguf.metadata.string("general.architecture"), gguf.tensors.length);
 */
export async function readGguf(pathOrSource: string | ByteSource, options: ReadGgufOptions = {}): Promise<GgufFile> {
  const open = options.open ?? openSource;
  const sources: ByteSource[] = [];
  try {
    const given = typeof pathOrSource === "string" ? await open(pathOrSource, options) : pathOrSource;
    sources.push(given);
    const headers = [await readHeader(given, options)];
    const parts = splitCount(given.path, headers[0]!.metadata);
    if (parts > 1) await readParts(sources, headers, parts, open, options);
    return new GgufFile(sources, headers, joinTensors(sources, headers));
  } catch (error) {
    await Promise.all(sources.map((source) => source.close().catch(() => undefined)));
    throw error;
  }
}

/** Opens the parts that are missing, in order, and checks that they belong together. */
async function readParts(
  sources: ByteSource[],
  headers: GgufHeader[],
  parts: number,
  open: NonNullable<ReadGgufOptions["open"]>,
  options: ReadGgufOptions,
): Promise<void> {
  const given = { source: sources.pop()!, header: headers.pop()! };
  const { path } = given.source;
  const place = parseSplitPath(path);
  try {
    if (!place || place.parts !== parts) {
      throw failure(
        path,
        `it is a part of a model split in ${parts}, and its name does not end in "-00001-of-${String(parts).padStart(5, "0")}.gguf"`,
        "Give the parts the names they were published with",
      );
    }
    for (let part = 0; part < parts; part++) {
      const isGiven = part === place.part;
      const source = isGiven ? given.source : await open(splitPath(place.prefix, part, parts, place.suffix), options);
      sources.push(source);
      const header = isGiven ? given.header : await readHeader(source, options);
      headers.push(header);
      checkPart(source.path, header.metadata, part, parts);
    }
  } finally {
    if (!sources.includes(given.source)) sources.push(given.source);
  }
  checkTensorsTotal(path, headers);
}

function checkPart(path: string, metadata: Metadata, part: number, parts: number): void {
  const count = splitCount(path, metadata);
  if (count !== parts) throw failure(path, `split.count is ${count}, the other parts say ${parts}`);
  const number = splitKey(path, metadata, "split.no");
  if (number !== part) throw failure(path, `split.no is ${number ?? "absent"}, the name says ${part}`);
}

function checkTensorsTotal(path: string, headers: readonly GgufHeader[]): void {
  const wanted = splitKey(path, headers[0]!.metadata, "split.tensors.count");
  const found = headers.reduce((total, { tensors }) => total + tensors.length, 0);
  if (wanted === undefined || wanted === found) return;
  throw failure(path, `its parts hold ${found} tensors, split.tensors.count says ${wanted}`);
}

function joinTensors(sources: readonly ByteSource[], headers: readonly GgufHeader[]): GgufTensor[] {
  const tensors = headers.flatMap((header, part) => header.tensors.map((tensor) => ({ ...tensor, part })));
  if (headers.length === 1) return tensors;
  const seen = new Map<string, GgufTensor>();
  for (const tensor of tensors) {
    const twin = seen.get(tensor.name);
    if (twin) throw failure(sources[tensor.part]!.path, `tensor "${tensor.name}" is in part ${twin.part + 1} too`);
    seen.set(tensor.name, tensor);
  }
  return tensors;
}

function splitCount(path: string, metadata: Metadata): number {
  return splitKey(path, metadata, "split.count") ?? 1;
}

function splitKey(path: string, metadata: Metadata, key: string): number | undefined {
  const value = metadata.get(key);
  if (value === undefined || (typeof value === "number" && value >= 0)) return value;
  throw failure(path, `${key} is of type ${metadata.typeOf(key)}, a count is wanted`);
}

function withoutSplitKeys(metadata: Metadata): Metadata {
  const copy = metadata.clone();
  for (const key of ["split.no", "split.count", "split.tensors.count"]) copy.delete(key);
  return copy;
}

function failure(path: string, message: string, hint?: string): FormatError {
  return new FormatError(path, `Cannot read GGUF "${path}": ${message}`, { hint });
}
