import type { Random } from "../src/support/random.js";

/** A random JSON Schema whose root is an object. */
export function randomSchema(random: Random): Record<string, unknown>;
