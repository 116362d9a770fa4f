// The C API as TypeScript functions, bound on first use from the generated tables. Pointers are bigints; a typed array
// passed for a pointer is read or written in place; 64-bit integers come back as numbers while they are safe integers.
import koffi, { type LibraryHandle, type TypeObject } from "koffi";

import { EngineError, messageOf } from "../errors.js";
import { GGML_FUNCTIONS, LLAMA_FUNCTIONS, STRUCTS } from "./abi.gen.js";

export type Pointer = bigint | null;
type PointerArgument = Pointer | NodeJS.ArrayBufferView;
type StructName = keyof typeof STRUCTS;

type Result<T extends string> = T extends "void"
  ? void
  : T extends "bool"
    ? boolean
    : T extends "void *"
      ? Pointer
      : T extends "const char *"
        ? string | null
        : T extends StructName
          ? FieldsOf<T>
          : number;

type Argument<T extends string> = T extends "bool"
  ? boolean
  : T extends "void *"
    ? PointerArgument
    : T extends "const char *"
      ? string | null
      : T extends StructName
        ? Struct<T>
        : number;

type Arguments<T extends readonly string[]> = { [K in keyof T]: Argument<T[K]> };

/** A struct as it is handed over: its fields by name, or its words. What comes back has fields always. */
export type Struct<N extends StructName> = N extends StructInWords ? { words: BigInt64Array } : FieldsOf<N>;

type FieldsOf<N extends StructName> = {
  [F in (typeof STRUCTS)[N]["fields"][number] as F[0]]: F[1] extends `${string}[${string}`
    ? ArrayLike<number>
    : Argument<F[1]>;
};

type NativeFunction<T extends readonly string[]> = T extends readonly [
  infer R extends string,
  ...infer A extends string[],
]
  ? ((...args: Arguments<A>) => Result<R>) & {
      async(...args: [...Arguments<A>, (error: Error | null, result: Result<R>) => void]): void;
    }
  : never;

type Bound<Table> = {
  readonly [K in keyof Table]: Table[K] extends readonly string[] ? NativeFunction<Table[K]> : never;
};

export type GgmlFunctions = Bound<typeof GGML_FUNCTIONS>;
export type LlamaFunctions = Bound<typeof LLAMA_FUNCTIONS>;

/** Opens the libraries in dependency order and binds their functions. */
export function bindLibraries(paths: { base: string; ggml: string; llama: string }): {
  ggml: GgmlFunctions;
  llama: LlamaFunctions;
} {
  registerStructs();
  const base = open(paths.base);
  const ggml = open(paths.ggml);
  const llama = open(paths.llama);
  return { ggml: bindTable(GGML_FUNCTIONS, [base, ggml]), llama: bindTable(LLAMA_FUNCTIONS, [llama]) };
}

/** Opens ggml's base library alone; functions of the other libraries are not there. */
export function bindBase(paths: { base: string }): GgmlFunctions {
  registerStructs();
  return bindTable(GGML_FUNCTIONS, [open(paths.base)]);
}

function open(path: string): LibraryHandle {
  try {
    return koffi.load(path, { global: true });
  } catch (cause) {
    throw new EngineError(`Cannot load the native engine "${path}": ${messageOf(cause)}`, {
      hint: loadHint(messageOf(cause)),
      cause,
    });
  }
}

/** Runs a function on koffi's thread pool: several at once use several cores. */
export function callAsync<A extends unknown[], R>(
  fn: { async(...args: [...A, (error: Error | null, result: R) => void]): void },
  ...args: A
): Promise<R> {
  return new Promise((resolve, reject) => {
    fn.async(...args, (error, result) => (error ? reject(error) : resolve(result)));
  });
}

let structsRegistered = false;

/**
 * Structs that hot loops pass by value, as the words they consist of: koffi copies an array of words several times faster
 * than it collects fields by name. It is right for integers and pointers that fill more than two words: every platform's
 * calling convention hands such a struct over in the same way whatever its fields are.
 */
const STRUCTS_IN_WORDS: readonly string[] = ["llama_batch"] satisfies StructInWords[];
type StructInWords = "llama_batch";

/** koffi knows a struct once per process. */
function registerStructs(): void {
  if (structsRegistered) return;
  for (const [name, { fields, sizeBytes }] of Object.entries(STRUCTS)) {
    koffi.struct(name, Object.fromEntries(fields.map(([field, type]) => [field, fieldType(type)])));
    if (STRUCTS_IN_WORDS.includes(name))
      koffi.struct(`${name}_words`, { words: koffi.array("int64_t", sizeBytes / 8) });
  }
  structsRegistered = true;
}

function fieldType(type: string): string | TypeObject {
  const array = /^(.+)\[(\d+)\]$/.exec(type);
  if (!array) return type;
  return koffi.array(array[1]!, Number(array[2]), array[1] === "char" ? "String" : undefined);
}

function bindTable<T extends Record<string, readonly string[]>>(table: T, libraries: LibraryHandle[]): Bound<T> {
  const bound: Record<string, unknown> = {};
  for (const [name, [result, ...parameters]] of Object.entries(table)) {
    Object.defineProperty(bound, name, {
      configurable: true,
      enumerable: true,
      get() {
        const value = bindFunction(name, result!, parameters, libraries);
        Object.defineProperty(bound, name, { value, enumerable: true });
        return value;
      },
    });
  }
  return bound as Bound<T>;
}

function bindFunction(name: string, result: string, parameters: string[], libraries: LibraryHandle[]): unknown {
  for (const library of libraries) {
    try {
      return library.func(name, result, parameters.map(parameterType));
    } catch {
      continue; // the other library exports it
    }
  }
  throw new EngineError(`The native engine does not export ${name}`, { hint: "Run: pare doctor" });
}

function parameterType(type: string): string {
  return STRUCTS_IN_WORDS.includes(type) ? `${type}_words` : type;
}

function loadHint(message: string): string {
  if (/GLIBC/.test(message)) return "The prebuilt engine needs glibc 2.34 or newer (Debian 12, Ubuntu 22.04, RHEL 9)";
  if (/libcuda|cudart|cublas/.test(message)) return "Install the CUDA runtime or choose --backend cpu";
  if (/libvulkan/.test(message)) return "Install the Vulkan loader or choose --backend cpu";
  return "Run: pare doctor";
}
