// The type that a matrix is rounded to, set once per matrix; see scalar-format.ts for what the numbers mean.

export let blockWeights: i32 = 0;
export let groupWeights: i32 = 0;
export let scaleMin: i32 = 0;
export let scaleMax: i32 = 0;
export let minMax: i32 = 0;
export let levelCount: i32 = 0;
/** True where the levels are consecutive whole numbers. */
export let isEven: bool = false;
export let lowestLevel: f32 = 0;
export let highestLevel: f32 = 0;
/** Levels [256], ascending. */
export const levels: usize = memory.data(1024, 16);

export function setFormat(block: i32, group: i32, scaleLow: i32, scaleHigh: i32, minHigh: i32, count: i32): void {
  blockWeights = block;
  groupWeights = group;
  scaleMin = scaleLow;
  scaleMax = scaleHigh;
  minMax = minHigh;
  levelCount = count;
  lowestLevel = load<f32>(levels);
  highestLevel = load<f32>(levels + ((count - 1) << 2));
  isEven = highestLevel - lowestLevel == <f32>(count - 1);
}

/** Where the host writes the levels before `setFormat`. */
export function levelsAddress(): usize {
  return levels;
}

export function levelOf(code: i32): f32 {
  return load<f32>(levels + ((<usize>code) << 2));
}

/** The code whose level is nearest to a value in units of the scale; NaN gives the level nearest to zero. */
export function codeOf(value: f32): i32 {
  if (isEven) {
    const level = nearest<f32>(value != value ? <f32>0 : value);
    return <i32>(max<f32>(lowestLevel, min<f32>(highestLevel, level)) - lowestLevel);
  }
  const wanted: f32 = value != value ? <f32>0 : value;
  let code = 0;
  let step = levelCount >> 1; // a power of two levels: a search by halves
  while (step > 0) {
    const next = code + step;
    if (wanted > (levelOf(next - 1) + levelOf(next)) * <f32>0.5) code = next;
    step >>= 1;
  }
  return code;
}
