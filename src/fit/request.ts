// What is asked of a fit, from flags, from a `pare.yaml`, or from a program. One definition for all three.
import { z } from "zod";

import { parseGrid } from "../cost/grid.js";
import { parseEndpointPrices } from "../cost/money.js";
import { parseWorkload, workloadSchema } from "../cost/workload.js";
import { parseFileSize } from "./allocate/size-target.js";
import { parseBytes, parseDuration, parseShare } from "../support/units.js";

const share = z.union([z.number(), z.string().transform(orIssue(parseShare))]).pipe(z.number().gt(0).max(1));
const seconds = z
  .union([z.number(), z.string().transform(orIssue((text) => parseDuration(text) / 1000))])
  .pipe(z.number().positive());
const paths = z.union([z.string().transform((path) => [path]), z.array(z.string()).min(1)]);

/** Most measurements that a fit buys unless told otherwise: 24 screenings, 10 selections, 2 confirmations, and room. */
export const EVALUATIONS_DEFAULT = 40;
/** Three for the baseline, two screenings, one selection, two confirmations. */
const EVALUATIONS_MIN = 8;

export const fitRequestSchema = z
  .strictObject({
    models: paths.describe(
      "GGUF files to start from, base.gguf+adapter.gguf one with an adapter; the first is the baseline",
    ),
    task: z.string().optional().describe("cases, JSON Lines"),
    text: paths.optional().describe("plain text, scored by perplexity"),
    scorer: z.string().optional().describe("scorer of cases that name none"),
    device: z.string().default("this").describe("shipped device, device file, or `this`"),
    keep: share.default(0.99).describe("share of the baseline's quality to keep, such as 99%"),
    claim: z
      .enum(["task", "population"])
      .default("task")
      .describe("what the verdict is about: the task's own cases, or all cases like them, which takes many more"),
    minimize: z.enum(["size", "latency", "memory"]).default("size"),
    budget: seconds.default(600).describe("time for measurements, such as 10m"),
    evaluations: z
      .number()
      .int()
      .min(EVALUATIONS_MIN)
      .default(EVALUATIONS_DEFAULT)
      .describe("most measurements to buy"),
    context: z
      .number()
      .int()
      .min(8)
      .optional()
      .describe("context length to plan memory for; what the task needs when absent"),
    memory: z
      .union([z.number(), z.string().transform(orIssue(parseBytes))])
      .pipe(z.number().positive())
      .optional()
      .describe("memory for the model, in place of the device's"),
    candidates: z.array(z.string()).min(1).optional().describe("only these, such as q4_K_M or q8_0+q5_1-embd"),
    importance: z.string().optional().describe("importance data to use instead of calibrating"),
    calibrate: paths
      .optional()
      .describe(
        "text that shows what the model is used for: mixes of types that are chosen and rounded for it race, too",
      ),
    sizes: z
      .array(z.string().transform(orIssue((text) => (parseFileSize(text), text))))
      .min(1)
      .optional()
      .describe(
        "sizes of such mixes, as 4.2bpw, 38MB or -30%; without a text they are calibrated on a part of the evidence",
      ),
    out: z.string().default("pare-out").describe("folder for the results"),
    seed: z
      .number()
      .int()
      .min(0)
      .max(2 ** 32 - 1)
      .default(1),
    threads: z.number().int().min(1).optional(),
    excludeFaulty: z
      .boolean()
      .optional()
      .describe("leave out cases that contradict each other or exceed the context, in place of refusing the task"),
    allowCode: z.boolean().optional().describe("run the code that answers or the task's own scorers are"),
    workload: z
      .union([
        workloadSchema.pick({ promptTokens: true, answerTokens: true, concurrency: true }),
        z.string().transform(orIssue(parseWorkload)),
      ])
      .optional()
      .describe(
        "a usual request, for what it costs: tokens of prompt and answer and answers at once, such as 512+128x4",
      ),
    utilisation: share.optional().describe("share of the paid hours in which the model works, such as 30%"),
    grid: z
      .string()
      .transform(orIssue((text) => (parseGrid(text), text)))
      .optional()
      .describe("where the electricity comes from: a region, or grams of CO2 per kilowatt-hour"),
    endpoint: z
      .string()
      .transform(orIssue((text) => (parseEndpointPrices(text), text)))
      .optional()
      .describe(
        "prices of a paid endpoint to compare with, USD per million tokens of prompt and answer, such as 0.15/0.60",
      ),
    judgePrice: z
      .string()
      .transform(orIssue((text) => (parseEndpointPrices(text), text)))
      .optional()
      .describe("prices of a judge at an endpoint, USD per million tokens in and out, such as 2.50/10"),
    costCap: z.number().min(0).optional().describe("USD that judges at endpoints may cost at most"),
    sign: z.string().optional().describe("private Ed25519 key, PEM, to sign the certificate with"),
  })
  .refine((request) => (request.task === undefined) !== (request.text === undefined), {
    message: "wanted either a task or a text, and not both",
    path: ["task"],
  })
  .refine(({ text, costCap, judgePrice }) => text === undefined || (costCap ?? judgePrice) === undefined, {
    message: "a text has no judge, whose cost could be capped",
    path: ["costCap"],
  });

/** A request as it may be written: shares and durations as text or numbers. */
export type FitRequestInput = z.input<typeof fitRequestSchema>;
export type FitRequest = z.output<typeof fitRequestSchema>;

function orIssue<T>(parse: (text: string) => T): (text: string, context: z.RefinementCtx) => T {
  return (text, context) => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: "custom", message: (error as Error).message, continue: true }); // a union then tells this and not "Invalid input"
      return z.NEVER;
    }
  };
}
