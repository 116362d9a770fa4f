// The text that a model is held to in both runtimes: prose, dialogue, code, numbers and other scripts, so that every part
// of a tokenizer is passed. Its words mean nothing; it must not change, since reports are compared with older ones.
export const PARITY_TEXT = `The harbour was quiet before sunrise. Two fishermen mended a net on the quay, and a grey cat watched them from the wall.
"Will it rain today?" asked the younger one. "Not before noon," said the other, "and if it does, we stay and drink tea."
In 1987 the village had 412 people, 61 boats and one school; now it has 38 boats, and the school is a library.

def total(prices, tax=0.25):
    return sum(prices) * (1 + tax)  # 3 items: 10.50 + 4.25 + 7.00 = 21.75

- Wasser kocht bei 100 °C, auf hohen Bergen früher.
- Le chat dort près de la fenêtre.
- 水は高い所から低い所へ流れる。
- Всё, что нужно, – это время.

The answer to the first question is "yes", because every even number greater than two can be divided by two. Therefore the sum of two even numbers is even.
`;
