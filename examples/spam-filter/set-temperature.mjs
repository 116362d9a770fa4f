// Makes a model's probabilities mean what they say: one temperature for all its logits, chosen where the labels of the
// validation mails are the likeliest (Guo et al., 2017, arXiv:1706.04599, section 4.2). It goes into the file, as a factor of
// the last norm, so that whoever runs the model has it.
//
//   node examples/spam-filter/set-temperature.mjs MODEL VALIDATION.task.jsonl OUTPUT
import { evaluateTask, openModel, readTask, saveModel } from "pare";

const [input, validation, output] = process.argv.slice(2);
const NORM = "output_norm.weight";

/** On a machine with other work, more threads than free cores wait for each other. */
const THREADS = 1;

const task = await readTask(validation);
const { perCase } = await evaluateTask({ model: input, task, threads: THREADS });
const margins = perCase.map(({ logLikelihoods }, i) => {
  const right = task.cases[i].choices.indexOf(task.cases[i].expect);
  return logLikelihoods[right] - logLikelihoods[1 - right];
});
const temperature = likeliestTemperature(margins);

const model = await openModel(input);
const tensors = new Map(model.tensors).set(NORM, scaled(model.tensors.get(NORM), 1 / temperature));
await saveModel({ metadata: model.metadata, tensors }, output);
await model.close();
console.log(
  `temperature ${temperature.toFixed(3)}, mean loss ${loss(margins, 1).toFixed(4)} before, ${loss(margins, temperature).toFixed(4)} with it`,
);

/** −ln p of the right one of two, when logits are divided by a temperature. */
function loss(margins, temperature) {
  return margins.reduce((sum, margin) => sum + Math.log1p(Math.exp(-margin / temperature)), 0) / margins.length;
}

/** The loss has one valley, so a golden section finds its ground; between 1/8 and 8. */
function likeliestTemperature(margins) {
  const at = (x) => loss(margins, 2 ** x);
  const ratio = (Math.sqrt(5) - 1) / 2;
  let [low, high] = [-3, 3];
  while (high - low > 1e-4) {
    const [a, b] = [high - ratio * (high - low), low + ratio * (high - low)];
    if (at(a) < at(b)) high = b;
    else low = a;
  }
  return 2 ** ((low + high) / 2);
}

function scaled(tensor, factor) {
  if (tensor.type !== "f32") throw new Error(`${tensor.name} is ${tensor.type}, f32 is wanted`);
  return {
    ...tensor,
    async readRows(start, count) {
      const bytes = await tensor.readRows(start, count);
      const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
      return new Uint8Array(values.map((value) => value * factor).buffer);
    },
  };
}
