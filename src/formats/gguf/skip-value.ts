// Steps over one metadata value while checking every length in it, so that it can be decoded later without checks.
import type { HeaderCursor } from "./header-cursor.js";
import { METADATA_SIZES, METADATA_TYPES, type MetadataType } from "./metadata-types.js";

/** Arrays of arrays of …: the format sets no limit, nobody goes beyond two. */
const NESTING_MAX = 4;

/**
 * Moves past a value.
 *
 * @throws {FormatError} when a type or a length in it is impossible
 */
export function skipValue(cursor: HeaderCursor, type: MetadataType, what: string, nesting = 0): void {
  if (type === "string") return cursor.skipString(what);
  if (type !== "array") return cursor.skip(METADATA_SIZES[type]!, what);
  if (nesting >= NESTING_MAX) throw cursor.failure(`${what} nests arrays more than ${NESTING_MAX} deep`);
  const elementTypeId = cursor.uint32(`the element type of ${what}`);
  const elementType = METADATA_TYPES[elementTypeId];
  if (!elementType) {
    throw cursor.failure(
      `${what} has elements of type ${elementTypeId}, a type below ${METADATA_TYPES.length} is wanted`,
    );
  }
  const length = cursor.count(`the length of ${what}`);
  const elementBytesMin = METADATA_SIZES[elementType] ?? (elementType === "string" ? 8 : 12);
  if (length * elementBytesMin > cursor.remainingBytes) {
    throw cursor.failure(`${what} has ${length} elements, which do not fit in the ${cursor.remainingBytes} bytes left`);
  }
  cursor.need(length * elementBytesMin, what);
  if (METADATA_SIZES[elementType] !== undefined) return cursor.skip(length * elementBytesMin, what);
  for (let i = 0; i < length; i++) skipValue(cursor, elementType, what, nesting + 1);
}
