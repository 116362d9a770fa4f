// What can't be turned into a grammar is refused by name: an answer that only seems to keep to its schema is worse than none.
import { PareError } from "../../errors.js";

/** A JSON Schema that can't be enforced, or that no value can meet. */
export class UnsupportedSchema extends PareError {
  override readonly name = "UnsupportedSchema";
  /** JSON pointer into the schema, such as `#/properties/name`. */
  readonly pointer: string;

  constructor(pointer: string, reason: string, hint?: string) {
    super(`The JSON Schema at ${pointer} ${reason}`, hint ? { hint } : {});
    this.pointer = pointer;
  }
}
