// Puts names beside points so that no name covers another or a point, or stands nearer to another point: greedy, first come first served, and a name that
// finds no place is left out (the tooltip and the table still have it).

/** Mean width of a letter of the plot's font, in its units. */
const LETTER_WIDTH = 7;
const LINE_HEIGHT = 13;
const LETTERS_MAX = 24;

interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

export interface LabelPlace {
  x: number;
  y: number;
  anchor: "start" | "middle" | "end";
  text: string;
}

export class LabelPlacer {
  readonly #taken: Box[] = [];
  readonly #points: (readonly [x: number, y: number])[] = [];
  readonly #frame: Box;

  constructor(frame: Box) {
    this.#frame = frame;
  }

  /** Keeps names away from a point. */
  block(x: number, y: number, radius: number): void {
    this.#points.push([x, y]);
    this.#taken.push({ left: x - radius, right: x + radius, top: y - radius, bottom: y + radius });
  }

  /**
   * The first free place around a point, or undefined.
   *
   * @param isNeeded names that may not be left out take the place above, whatever stands there
   */
  place(label: string, x: number, y: number, isNeeded = false): LabelPlace | undefined {
    const text = label.length > LETTERS_MAX ? `${label.slice(0, LETTERS_MAX - 1)}…` : label;
    const width = text.length * LETTER_WIDTH;
    const tries: [dx: number, dy: number, anchor: LabelPlace["anchor"]][] = [
      [13, 4, "start"],
      [9, -10, "start"],
      [9, 19, "start"],
      [-13, 4, "end"],
      [-9, -10, "end"],
      [-9, 19, "end"],
      [0, -15, "middle"],
      [0, 24, "middle"],
    ];
    for (const [dx, dy, anchor] of tries) {
      const start = x + dx - (anchor === "end" ? width : anchor === "middle" ? width / 2 : 0);
      const baseline = y + dy;
      const box = { left: start, right: start + width, top: baseline - LINE_HEIGHT + 2, bottom: baseline + 3 };
      if (!within(box, this.#frame) || this.#taken.some((taken) => overlap(box, taken))) continue;
      if (this.#points.some((point) => distance(box, point) < distance(box, [x, y]))) continue; // it would name the other
      this.#taken.push(box);
      return { x: x + dx, y: baseline, anchor, text };
    }
    return isNeeded ? { x, y: y - 15, anchor: "middle", text } : undefined;
  }
}

function distance(box: Box, [x, y]: readonly [number, number]): number {
  return Math.hypot(Math.max(box.left - x, 0, x - box.right), Math.max(box.top - y, 0, y - box.bottom));
}

function within(box: Box, frame: Box): boolean {
  return box.left >= frame.left && box.right <= frame.right && box.top >= frame.top && box.bottom <= frame.bottom;
}

function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
