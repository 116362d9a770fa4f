// WebAssembly kernels out of the build: their sources are in kernels/assembly.
import { readFileSync } from "node:fs";

/** A new instance of a kernel, as its exports. @param env what the kernel imports */
export function loadKernel<Exports>(name: "round" | "codebook" | "argmax", env: Record<string, unknown> = {}): Exports {
  const module = new WebAssembly.Module(readFileSync(kernelUrl(name)));
  return new WebAssembly.Instance(module, { env }).exports as unknown as Exports;
}

/** The build's: tests import src/. */
function kernelUrl(name: string): URL {
  const fromSource = import.meta.url.endsWith(".ts");
  return new URL(`${fromSource ? "../../dist" : ".."}/kernels/${name}.wasm`, import.meta.url);
}
