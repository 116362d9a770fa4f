// The part of the WebAssembly API that Pare uses: TypeScript declares it with the browser's, which has no place here.
declare namespace WebAssembly {
  class Memory {
    readonly buffer: ArrayBuffer;
    /** @returns pages of 64 KiB before */
    grow(pages: number): number;
  }
  type Module = object;
  const Module: new (bytes: Uint8Array) => Module;
  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
    readonly exports: Record<string, unknown>;
  }
}
