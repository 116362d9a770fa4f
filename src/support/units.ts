// Sizes and durations between people and numbers. Decimal units for bytes unless the "i" is written (MB = 10^6, MiB = 2^20).

const BYTES_PER_UNIT: Record<string, number> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

const MS_PER_UNIT: Record<string, number> = { ms: 1, s: 1e3, m: 60e3, min: 60e3, h: 3600e3, d: 86_400e3 };

/**
 * Reads a size such as `38MB`, `1.5 GiB` or `12345` (bytes).
 *
 * @returns whole bytes
 * @throws {RangeError} when the text is no size
 */
export function parseBytes(text: string): number {
  const [amount, unit] = splitUnit(text);
  const scale = BYTES_PER_UNIT[unit === "" ? "b" : unit.toLowerCase()];
  if (amount === undefined || scale === undefined) {
    throw new RangeError(`"${text}" is not a size; write one like 38MB, 1.5GiB or 12345B`);
  }
  return Math.round(amount * scale);
}

/**
 * Reads a duration such as `10m`, `90s` or `1.5h`.
 *
 * @returns milliseconds
 * @throws {RangeError} when the text is no duration
 */
export function parseDuration(text: string): number {
  const [amount, unit] = splitUnit(text);
  const scale = MS_PER_UNIT[unit.toLowerCase()];
  if (amount === undefined || scale === undefined) {
    throw new RangeError(`"${text}" is not a duration; write one like 90s, 10m or 1.5h`);
  }
  return amount * scale;
}

/**
 * Reads a share such as `99%` or `0.99`.
 *
 * @returns the share in 0…1
 * @throws {RangeError} when the text is no share
 */
export function parseShare(text: string): number {
  const [amount, unit] = splitUnit(text);
  const share = unit === "%" ? amount! / 100 : unit === "" ? amount : undefined;
  if (share === undefined || !(share > 0 && share <= 1)) {
    throw new RangeError(`"${text}" is not a share; write one like 99% or 0.99`);
  }
  return share;
}

/** `12.3 MB`: three significant digits, decimal units. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : threeDigits(value)} ${units[unit]}`;
}

/** `850 ms`, `12.3 s`, `4m 05s`, `2h 10m`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${String(seconds % 60).padStart(2, "0")}s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, "0")}m`;
}

/** `1 234 567` with thin grouping, for tables. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

function threeDigits(value: number): string {
  return value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}

function splitUnit(text: string): [amount: number | undefined, unit: string] {
  const match = /^\s*(\d+(?:[._]\d+)?|\.\d+)\s*([a-z%]*)\s*$/i.exec(text);
  return match ? [Number(match[1]!.replace("_", "")), match[2]!] : [undefined, ""];
}
