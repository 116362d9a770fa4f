// Numbers in the sentences of a certificate.
import type { Quality } from "./certificate.js";

/** Such as `98.2% (95 % interval 96.1% to 100%)`. */
export function keptText({ mean, low, high }: Quality["kept"]): string {
  return `${percent(mean)} (95 % interval ${percent(low)} to ${percent(high)})`;
}

export function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))}%`;
}

/** `1 case`, `420 cases`. */
export function counted(count: number, unit: string): string {
  return `${count} ${count === 1 ? unit.replace(/s$/, "") : unit}`;
}

export function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
