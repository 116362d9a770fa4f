// How a calibration text of any length is cut: for importance data and for mixes alike.

/** Tokens of a window: 512, less for a short text so that there are some windows at all; a token is taken for six characters. */
export function calibrationWindow(characters: number, trained: number): number {
  return Math.max(32, Math.min(512, trained || 512, Math.floor(characters / 6 / 4)));
}
