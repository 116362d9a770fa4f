// The baseline: naive Bayes over words, as wink-naive-bayes-text-classifier has it, trained on the same mails.
import Classifier from "wink-naive-bayes-text-classifier";

/** Usual settings (Metsis, Androutsopoulos and Paliouras, 2006, "Spam filtering with naive Bayes – which naive Bayes?"). */
const CONFIG = { considerOnlyPresence: true, smoothingFactor: 1 };

/**
 * @param {{ text: string, label: "spam" | "ham" }[]} examples
 * @returns {(text: string) => "spam" | "ham"}
 */
export function trainNaiveBayes(examples) {
  const classifier = Classifier();
  classifier.definePrepTasks([wordsOf]);
  classifier.defineConfig(CONFIG);
  for (const { text, label } of examples) classifier.learn(text, label);
  classifier.consolidate();
  return (text) => classifier.predict(text);
}

/** Words, numbers and runs of signs. */
function wordsOf(text) {
  return text.toLowerCase().match(/\p{L}+|\p{N}+|[^\s\p{L}\p{N}]+/gu) ?? [];
}
