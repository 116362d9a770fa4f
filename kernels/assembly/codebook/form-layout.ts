// Where a form of eight weights has what; see problem-forms.ts of the host for what it all is. All f32.

/** S [8 × 8] comes first, then its diagonal [8]. */
export const DIAGONAL: usize = 256;
/** Then one or two parts, of codewords of 8 or 4. */
export const PART: usize = 288;
/** In a part of 8: `first` [4 × 4], `carry` [4 × 4], `secondInverse` [4 × 4]. */
export const EIGHT_CARRY: usize = PART + 64;
export const EIGHT_INVERSE: usize = PART + 128;
/** In a part of 4, the same [2 × 2] each. */
export const FOUR_PART_BYTES: usize = 48;
export const FOUR_CARRY: usize = PART + 16;
export const FOUR_INVERSE: usize = PART + 32;
export const FORM_BYTES: usize = PART + 192;
