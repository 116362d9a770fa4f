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
   * @param isNeeded names that may not be left out stand further away where there is no room, in the worst case above
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
    const far = isNeeded ? FAR : [];
    for (const [index, [dx, dy, anchor]] of [...tries, ...far].entries()) {
      const place = { x: x + dx, y: y + dy, anchor, text };
      const box = boxOf(place, width);
      if (!within(box, this.#frame) || this.#taken.some((taken) => overlap(box, taken))) continue;
      const namesAnother = this.#points.some((point) => distance(box, point) < distance(box, [x, y]));
      if (namesAnother && index < tries.length) continue;
      this.#taken.push(box);
      return place;
    }
    if (!isNeeded) return undefined;
    const above: LabelPlace = { x, y: y - 15, anchor: "middle", text };
    this.#taken.push(boxOf(above, width));
    return above;
  }
}

/** Places below, then above, in steps of a line. */
const FAR = [40, 56, 72, 88, -32, -48].flatMap((dy) =>
  (["start", "middle", "end"] as const).map((anchor): [number, number, LabelPlace["anchor"]] => [0, dy, anchor]),
);

function boxOf({ x, y, anchor }: LabelPlace, width: number): Box {
  const left = x - (anchor === "end" ? width : anchor === "middle" ? width / 2 : 0);
  return { left, right: left + width, top: y - LINE_HEIGHT + 2, bottom: y + 3 };
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
