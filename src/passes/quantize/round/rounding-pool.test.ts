// Tasks on real workers, and on workers of data: URLs that misbehave.
import { once } from "node:events";
import type { Worker } from "node:worker_threads";

import { expect, test } from "vitest";

import { correlatedHessian, diagonalOf, trainedRows } from "../../../../test/rounding-problems.js";
import { EngineError, PareError } from "../../../errors.js";
import { loadGgml } from "../../../native/engine.js";
import { Random } from "../../../support/random.js";
import { driftOf, retarget } from "./retarget.js";
import { roundRows } from "./round-rows.js";
import { RoundingKernel } from "./rounding-kernel.js";
import { type RoundingInput, RoundingPool, type RoundingTask } from "./rounding-pool.js";

const COLUMNS = 64;
const ROWS = 6;
const ggml = loadGgml();

test("round() gives what roundRows() gives, for each type, and the power of the rows", async () => {
  const input = inputOf("a", 1);
  const weights = trainedRows(new Random(2), ROWS, COLUMNS);
  const kernel = RoundingKernel.load();
  kernel.setHessian(input.hessian, COLUMNS);
  await using pool = new RoundingPool(2);
  const types = ["q4_0", "q8_0"] as const;
  const task = { input, weights: weights.slice(), rows: ROWS, types, effort: "default" as const };
  const { solutions, powers } = await pool.round(task);
  expect(powers).toEqual(kernel.powers(weights, ROWS));
  types.forEach((type, i) => expect(solutions[i]).toEqual(alone(kernel, input, weights, type)));
});

test("round() of many tasks on two workers: each gets its own Hessian and its own rows", async () => {
  await using pool = new RoundingPool(2);
  const inputs = [inputOf("a", 1), inputOf("b", 2), inputOf("c", 3)];
  const tasks = Array.from({ length: 12 }, (_, i) => taskOf(inputs[i % 3]!, i));
  const expected = tasks.map(({ input, weights }) => {
    const kernel = RoundingKernel.load();
    kernel.setHessian(input.hessian, COLUMNS);
    return alone(kernel, input, weights.slice(), "q4_0");
  });
  const rounded = await Promise.all(tasks.map((task) => pool.round(task)));
  expect(rounded.map(({ solutions }) => solutions[0])).toEqual(expected);
});

test("rest() stops idle workers, and the next task starts one with the same result", async () => {
  await using pool = new RoundingPool(1);
  const [before, after] = [taskOf(inputOf("a", 1), 1), taskOf(inputOf("a", 1), 1)];
  const first = await pool.round(before);
  await pool.rest();
  expect(await pool.round(after)).toEqual(first);
});

test("round() moves targets by the drift before it rounds", async () => {
  const input = inputOf("a", 1);
  const cross = input.hessian.map((value, i) => value * (i % 3 ? 1 : 1.2));
  const drift = driftOf(cross, input.hessian, COLUMNS);
  await using pool = new RoundingPool(1);
  const kernel = RoundingKernel.load();
  kernel.setHessian(input.hessian, COLUMNS);
  const targets = taskOf(input, 1).weights;
  retarget(targets, drift, kernel.factor, 0.5);
  const { powers } = await pool.round(taskOf({ ...input, drift, driftShare: 0.5 }, 1));
  const expected = kernel.powers(targets, ROWS);
  powers.forEach((power, row) => expect(power / expected[row]!).toBeCloseTo(1, 4));
  const still = kernel.powers(taskOf(input, 1).weights, ROWS);
  expect(Math.abs(expected[0]! / still[0]! - 1)).toBeGreaterThan(0.01);
});

test("round() rejects a task that can't be done, with the error's class and hint, and the others go on", async () => {
  await using pool = new RoundingPool(2);
  const sound = inputOf("a", 1);
  const unsound = { ...inputOf("b", 2), hessian: new Float32Array(COLUMNS * COLUMNS) };
  const broken = taskOf(sound, 3);
  broken.weights[70] = Number.NaN;
  const results = await Promise.allSettled([
    pool.round(taskOf(sound, 1)),
    pool.round(broken),
    pool.round(taskOf(unsound, 2)),
    pool.round({ ...taskOf(sound, 4), types: ["q4_K"] }),
    pool.round(taskOf(sound, 1)),
  ]);
  const reasons = results.map((result) => (result.status === "rejected" ? (result.reason as Error) : undefined));
  expect(reasons.map((reason) => reason?.message)).toEqual([
    undefined,
    "A weight of column 6 is NaN",
    expect.stringMatching(/^The Hessian is not positive definite: column 63 /),
    "A row of 64 elements is not a multiple of the 256 in a block of q4_K",
    undefined,
  ]);
  expect(reasons[1]).toBeInstanceOf(PareError);
  expect(reasons[2]).toMatchObject({ hint: expect.stringContaining("damping") });
  expect(reasons[3]).toBeInstanceOf(RangeError);
  const [first, , , , last] = results as PromiseFulfilledResult<unknown>[];
  expect(last!.value).toEqual(first!.value);
});

test("round() takes a sound Hessian after a broken one of the same size", async () => {
  await using pool = new RoundingPool(1);
  const input = inputOf("a", 1);
  const before = await pool.round(taskOf(input, 1));
  await expect(
    pool.round(taskOf({ ...input, key: "b", hessian: new Float32Array(COLUMNS ** 2) }, 1)),
  ).rejects.toThrow();
  expect(await pool.round(taskOf(input, 1))).toEqual(before);
});

test("round() rejects weights that can't be handed over, and keeps the worker", async () => {
  await using pool = new RoundingPool(1);
  const task = taskOf(inputOf("a", 1), 1);
  const shared = new Float32Array(new SharedArrayBuffer(task.weights.byteLength)) as Float32Array;
  await expect(pool.round({ ...task, weights: shared })).rejects.toThrow(/could not be cloned|transfer/i);
  expect((await pool.round(task)).solutions).toHaveLength(1);
});

test.each([
  ["throws", 'throw new Error("no such luck")', /^A rounding worker stopped: no such luck$/],
  ["exits", "process.exit(3)", /^A rounding worker stopped: exit code 3$/],
])("a worker that %s takes its task with it; another does the next", async (_, end, message) => {
  await using pool = new RoundingPool(
    2,
    workerOf(`if (task.rows === 13) { ${end} } parentPort.postMessage({ rounded: task.rows });`),
  );
  const [fine, doomed] = [taskOf(inputOf("a", 1), 1), { ...taskOf(inputOf("a", 1), 2), rows: 13 }];
  const results = await Promise.allSettled(
    [doomed, fine, again(doomed), again(doomed), again(fine)].map((task) => pool.round(task)),
  );
  expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "rejected", "rejected", "fulfilled"]);
  const { reason } = results[0] as PromiseRejectedResult;
  expect(reason).toBeInstanceOf(EngineError);
  expect((reason as Error).message).toMatch(message);
  expect(await pool.round(again(fine))).toBe(ROWS);
});

test("a worker that ends while it waits is replaced", async () => {
  await using pool = new RoundingPool(
    1,
    workerOf("parentPort.postMessage({ rounded: task.rows }); parentPort.close();"),
  );
  for (let turn = 0; turn < 2; turn++) {
    const started = once(process, "worker") as Promise<[Worker]>;
    const rounded = pool.round(taskOf(inputOf("a", 1), 1));
    const [worker] = await started;
    const ended = once(worker, "exit");
    expect(await rounded).toBe(ROWS);
    await ended;
  }
});

test("workers that die before their first task reject it, once each, and nothing hangs", async () => {
  const dead = new URL('data:text/javascript,throw new Error("not built")');
  await using pool = new RoundingPool(2, dead);
  const results = await Promise.allSettled([1, 2, 3, 4, 5].map((seed) => pool.round(taskOf(inputOf("a", 1), seed))));
  for (const result of results) {
    expect(result).toMatchObject({ status: "rejected", reason: { message: "A rounding worker stopped: not built" } });
  }
});

test("disposing rejects what is under way and what waits, and later tasks", async () => {
  const pool = new RoundingPool(1, workerOf("")); // never answers
  const waiting = [1, 2, 3].map((seed) => pool.round(taskOf(inputOf("a", 1), seed)));
  const settled = Promise.allSettled(waiting);
  await pool[Symbol.asyncDispose]();
  for (const result of await settled) {
    expect(result).toMatchObject({
      status: "rejected",
      reason: { message: "The rounding was stopped before it was done" },
    });
  }
  await expect(pool.round(taskOf(inputOf("a", 1), 4))).rejects.toBeInstanceOf(PareError);
  await pool[Symbol.asyncDispose](); // twice does no harm
});

function alone(kernel: RoundingKernel, input: RoundingInput, weights: Float32Array, type: "q4_0" | "q8_0") {
  const { importance, columns } = input;
  return roundRows(ggml, kernel, { type, weights, rows: ROWS, columns, importance, effort: "default" });
}

function inputOf(key: string, seed: number): RoundingInput {
  const hessian = correlatedHessian(new Random(seed), COLUMNS);
  return { key, columns: COLUMNS, hessian, importance: diagonalOf(hessian, COLUMNS) };
}

function taskOf(input: RoundingInput, seed: number): RoundingTask {
  const weights = trainedRows(new Random(seed), ROWS, COLUMNS);
  return { input, weights, rows: ROWS, types: ["q4_0"], effort: "default" };
}

/** The same task, its weights not handed over yet. */
function again(task: RoundingTask): RoundingTask {
  return { ...task, weights: new Float32Array(ROWS * COLUMNS) };
}

function workerOf(onTask: string): URL {
  const source = `import { parentPort } from "node:worker_threads"; parentPort.on("message", (task) => { ${onTask} });`;
  return new URL(`data:text/javascript,${encodeURIComponent(source)}`);
}
