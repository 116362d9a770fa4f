// Calibration, selection, confirmation: three parts that never mix. Calibration shapes the candidates, selection chooses
// among them, confirmation judges the choice. Evidence that was used to choose would flatter the winner.
import { PareError } from "../errors.js";
import { Random } from "../support/random.js";

export interface Parts<T> {
  calibration: T;
  selection: T;
  confirmation: T;
}

/** Shares of the whole; the rest is confirmation, which has to be the most convincing. */
const CALIBRATION_SHARE = 0.25;
const SELECTION_SHARE = 0.25;
/** Text is cut into this many segments, so that no part is all beginning or all end. */
const SEGMENTS = 24;
/** Below this a part could hold nothing. */
const CASES_MIN = 4;

/**
 * Cuts text into parts at line ends. Each part is a set of whole segments in their old order.
 *
 * @throws {PareError} when the text is too short to be cut into three
 */
export function splitText(text: string, seed: number): Parts<string> {
  const segments = segmentsOf(text);
  if (segments.length < 3) {
    throw new PareError(`Cannot split ${text.length} characters of text into calibration, selection and confirmation`, {
      hint: "Give a longer text; some 50 kB is a good start",
    });
  }
  const order = new Random(seed).fork("split-text").shuffled(segments.map((_, index) => index));
  return mapParts(cut(order), (indices) =>
    indices
      .sort((a, b) => a - b)
      .map((index) => segments[index]!)
      .join(""),
  );
}

/**
 * Tells which texts another one holds whole, of equal ones all but the first: cut apart together, a passage would come to
 * lie in several parts.
 *
 * @returns for each text whether it adds nothing
 */
export function findRepeats(texts: readonly string[]): boolean[] {
  const contents = texts.map((text) => text.trim());
  return contents.map((content, index) =>
    contents.some((other, at) => at !== index && other.includes(content) && (other !== content || at < index)),
  );
}

/**
 * Divides cases at random. Cases that ask the same go to the same part.
 *
 * @param question what makes two cases the same, such as the prompt
 * @throws {PareError} when there are too few different cases
 */
export function splitCases<T>(cases: readonly T[], question: (item: T) => string, seed: number): Parts<T[]> {
  const groups = new Map<string, T[]>();
  for (const item of cases) {
    const key = question(item).toLowerCase().replace(/\s+/g, " ").trim();
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  if (groups.size < CASES_MIN) {
    throw new PareError(
      `Cannot split ${groups.size} different ${groups.size === 1 ? "case" : "cases"} into calibration, selection and confirmation; at least ${CASES_MIN} are needed`,
      { hint: "Some 100 cases are a good start; a bar of 99% needs several hundred to be sure of" },
    );
  }
  const order = new Random(seed).fork("split-cases").shuffled([...groups.values()]);
  return mapParts(cut(order), (part) => part.flat());
}

function cut<T>(items: readonly T[]): Parts<T[]> {
  const calibration = Math.max(1, Math.floor(items.length * CALIBRATION_SHARE));
  const selection = Math.max(1, Math.floor(items.length * SELECTION_SHARE));
  return {
    calibration: items.slice(0, calibration),
    selection: items.slice(calibration, calibration + selection),
    confirmation: items.slice(calibration + selection),
  };
}

export function mapParts<A, B>(parts: Parts<A>, change: (part: A, name: keyof Parts<A>) => B): Parts<B> {
  return {
    calibration: change(parts.calibration, "calibration"),
    selection: change(parts.selection, "selection"),
    confirmation: change(parts.confirmation, "confirmation"),
  };
}

/** Pieces of about equal length that end at line ends, or at spaces where lines are long. */
function segmentsOf(text: string): string[] {
  const target = Math.max(1, Math.ceil(text.length / SEGMENTS));
  const segments: string[] = [];
  for (let start = 0; start < text.length;) {
    const end = boundaryAfter(text, start + target);
    segments.push(text.slice(start, end));
    start = end;
  }
  return segments;
}

function boundaryAfter(text: string, position: number): number {
  if (position >= text.length) return text.length;
  const reach = position + 2000;
  const line = text.indexOf("\n", position);
  if (line >= 0 && line < reach) return line + 1;
  const space = text.indexOf(" ", position);
  return space >= 0 && space < reach ? space + 1 : Math.min(position, text.length);
}
