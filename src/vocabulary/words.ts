// Text to words, the largest pieces that a byte-pair vocabulary joins: the pattern of GPT-2 (Radford et al., 2019, section
// 2.2), which llama.cpp knows as the pre-tokenizer `gpt-2`.

/** llama.cpp's name of it, in `tokenizer.ggml.pre`. */
export const PRE_TOKENIZER = "gpt-2";

// White space is Unicode's, as in llama.cpp: JavaScript's \s lacks U+0085 and has U+FEFF.
const WORD =
  /'(?:[stmd]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** The words of a text; put together they are the text. */
export function splitWords(text: string): string[] {
  return text.match(WORD) ?? [];
}
