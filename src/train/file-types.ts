// What a file of unquantized matrices calls itself: the numbers of llama.cpp's presets.
export const FILE_TYPES = { f32: 0, f16: 1, bf16: 32 } as const;
