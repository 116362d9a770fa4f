// Versions of everything that a measurement depends on; in the certificate, and in the journal's identity.
import { createRequire } from "node:module";

import { ENGINE_PACKAGE_VERSION } from "../native/platform.js";
import { GGML_VERSION, LLAMA_VERSION } from "../native/self-check.js";

/** Pare's own version. */
export const PARE_VERSION = (createRequire(import.meta.url)("../../package.json") as { version: string }).version;

export function versions(): Record<string, string> {
  return {
    pare: PARE_VERSION,
    node: process.versions.node,
    "llama.cpp": LLAMA_VERSION,
    ggml: GGML_VERSION,
    engine: `@node-llama-cpp ${ENGINE_PACKAGE_VERSION}`,
    platform: `${process.platform}-${process.arch}`,
  };
}
