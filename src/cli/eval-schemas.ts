// The documents of `pare eval` and `pare suite`.
import { z } from "zod";

const sizeBytes = z.number().int().nonnegative();
const share = z.number().min(0).max(1);

const meanWithError = z.object({ mean: z.number(), standardError: z.number() });
const perplexity = meanWithError.extend({
  standardErrorIfIndependent: z.number().describe("as llama-perplexity prints it: tokens taken as independent"),
});

const divergence = perplexity.extend({
  median: z.number(),
  medianStandardError: z.number(),
  p99: z.number().describe("99th percentile"),
  p99StandardError: z.number(),
  minimum: z.number(),
  p5: z.number(),
  p90: z.number(),
  p95: z.number(),
  maximum: z.number(),
});

const probabilityChange = meanWithError.extend({
  rootMeanSquare: z.number(),
  rootMeanSquareStandardError: z.number(),
  minimum: z.number(),
  p1: z.number(),
  p5: z.number(),
  p25: z.number(),
  median: z.number(),
  p75: z.number(),
  p95: z.number(),
  p99: z.number(),
  maximum: z.number(),
});

const windowSums = z.object({
  window: z.number().int().describe("its number in the text, from 0"),
  tokens: z.number().int(),
  negativeLogLikelihood: z.number(),
  baselineNegativeLogLikelihood: z.number().optional(),
  klDivergence: z.number().optional(),
});

export const evalTextSchema = z
  .object({
    model: z.string(),
    baseline: z.object({ name: z.string(), sizeBytes, sha256: z.string() }).optional(),
    contextLength: z.number().int().describe("tokens per window"),
    tokens: z.number().int().describe("scored tokens"),
    perplexity: perplexity.describe("exp of the mean of −ln p(token); the standard error is taken between windows"),
    baselinePerplexity: perplexity.optional(),
    perplexityRatio: z
      .object({ mean: z.number(), low: z.number(), high: z.number() })
      .optional()
      .describe("baseline perplexity ÷ this model's, paired by window, with its 95 % interval; absent with one window"),
    logPerplexityRatio: meanWithError.optional().describe("ln(this model's perplexity ÷ the baseline's)"),
    klDivergence: divergence.optional().describe("KL(baseline ‖ model) per token, in nats; with --against"),
    sameTopRate: share
      .optional()
      .describe("share of tokens after which both models' likeliest token is the same; with --against"),
    sameTopRateStandardError: z.number().optional(),
    probabilityChange: probabilityChange
      .optional()
      .describe("this model's minus the baseline's probability of the text's next token; with --against"),
    windows: z.array(windowSums).describe("sums over each window's scored tokens, in nats"),
    repack: z.boolean().describe("weights rearranged for speed, which changes some types' results a little"),
    seconds: z.record(z.string(), z.number()),
    tokensPerSecond: z.number().describe("tokens run through the model per second, unscored ones included"),
  })
  .describe("what `pare eval --text --json` prints");

const score = z.object({ mean: share, low: share, high: share });
export const rate = z.number().nullable().describe("tokens per second; null where nothing was measured");

const calibrationSchema = z
  .object({
    cases: z.number().int(),
    expectedCalibrationError: share.describe("mean distance of confidence and score, over ten bins of confidence"),
    brierScore: z.number().describe("mean squared error of the probabilities of all choices: 0 perfect, 2 the worst"),
    bins: z.array(z.object({ low: share, high: share, cases: z.number().int(), confidence: share, score: share })),
    abstention: z
      .array(z.object({ coverage: share, confidence: share, score: share }))
      .describe("the score if only the surest share of the cases is answered"),
  })
  .describe("how far the model's confidence can be trusted; where all cases are choices with a known answer");

const faultyCaseSchema = z.object({ id: z.string(), line: z.number().int(), reason: z.string() });

const caseResultSchema = z.object({
  id: z.string(),
  score: share.nullable().describe("null where the answer can't be scored"),
  answer: z.string(),
  explanation: z.string().optional().describe("why the score is not 1"),
  tags: z.array(z.string()),
  ended: z.string().describe("why the answer ended; `chosen` for a choice"),
  promptTokens: z.number().int(),
  answerTokens: z.number().int(),
  prefillMs: z.number(),
  decodeTokensPerSecond: rate,
  logLikelihoods: z.array(z.number()).optional().describe("for choices: ln p of each, normalized as the case asks"),
  parts: z.record(z.string(), share).optional().describe("fields of an object or constraints, one by one"),
  label: z.string().optional().describe("the label that the answer was read as; empty where it names none"),
  judged: z
    .array(z.string())
    .optional()
    .describe("what the judge said: of a pair with this answer first and with it second"),
  repeats: z
    .array(z.object({ score: share.nullable(), answer: z.string() }))
    .optional()
    .describe("every answer, where the case was asked several times; `score` is their mean"),
});

const confusionSchema = z
  .object({
    labels: z.array(z.string()),
    matrix: z
      .array(z.array(z.number().int()))
      .describe(
        "cases by expected label (row) and found label (column); the last column is for answers that name none",
      ),
    perLabel: z.record(z.string(), z.object({ precision: share, recall: share, f1: share, cases: z.number().int() })),
    macroF1: share.describe("mean F1 of the labels that some case expects"),
  })
  .describe("with the scorer label: what was taken for what");

const repeatsSchema = z
  .object({
    count: z.number().int().describe("answers per case"),
    passPower: z.array(share).describe("chance that a case is right k times in a row, for k from 1 on"),
    passAny: share.describe("share of cases of which at least one answer is right"),
    flickerRate: share.describe("share of cases that are sometimes right and sometimes not"),
  })
  .describe("with repeats: how steady the answers are");

export const judgeSchema = z
  .object({
    judges: z.array(z.string()).describe("files, or endpoint#model"),
    cases: z.number().int().describe("answers that were to be judged"),
    unclear: z.number().int().describe("of them those without a clear verdict, which are not scored"),
    order: z
      .object({
        pairs: z.number().int().describe("with a verdict in both orders"),
        agreement: share.describe("share of them on which both orders say the same"),
        kappa: z.number().nullable().describe("the same beyond chance (Cohen); null where all verdicts are one"),
        firstShare: share.nullable().describe("share of preferred answers that stood first: 0.5 without bias"),
      })
      .optional(),
  })
  .describe("with the scorer judge: how steady it is");

export const evalTaskSchema = z
  .object({
    model: z.string(),
    task: z.object({ name: z.string(), path: z.string(), sha256: z.string() }),
    score: score.nullable().describe("mean score of the cases with its 95 % confidence interval"),
    cases: z.number().int().describe("cases that were scored"),
    tags: z
      .record(z.string(), score.extend({ cases: z.number().int() }))
      .describe("the same for the cases of each tag"),
    worstTag: score
      .extend({ tag: z.string(), cases: z.number().int() })
      .optional()
      .describe("the tag with the lowest score; its interval holds for all tags at once (Bonferroni)"),
    calibration: calibrationSchema.optional(),
    confusion: confusionSchema.optional(),
    parts: z
      .record(z.string(), z.object({ mean: share, cases: z.number().int() }))
      .optional()
      .describe("with the scorers json and constraints: how often each field or constraint is right"),
    repeats: repeatsSchema.optional(),
    judge: judgeSchema.optional(),
    failures: z
      .array(z.object({ id: z.string(), expected: z.string(), answer: z.string(), explanation: z.string() }))
      .describe("cases that did not get the full score"),
    unscored: z
      .array(z.object({ id: z.string(), answer: z.string(), explanation: z.string() }))
      .describe("answers that could not be judged; they count neither for nor against"),
    contradictions: z
      .array(faultyCaseSchema)
      .optional()
      .describe("cases that ask the same and expect different answers"),
    excluded: z.array(faultyCaseSchema).optional().describe("faulty cases that were left out, with --exclude-faulty"),
    perCase: z.array(caseResultSchema),
    speed: z.object({
      seconds: z.number(),
      promptTokens: z.number().int(),
      answerTokens: z.number().int(),
      prefillTokensPerSecond: rate,
      decodeTokensPerSecond: rate,
    }),
    baseline: z
      .object({ model: z.string(), score: score.nullable(), cases: z.number().int() })
      .optional()
      .describe("what the baseline scored on the same cases; with --against"),
  })
  .describe("what `pare eval --task --json` prints");

export const suiteSchema = z
  .object({
    suites: z
      .array(
        z.object({
          name: z.string(),
          summary: z.string(),
          cases: z.number().int().describe("unless asked for others"),
        }),
      )
      .optional()
      .describe("without the name of a suite: all there are"),
    output: z.string().optional().describe("the file that was written"),
    cases: z.number().int().optional(),
    sha256: z.string().optional().describe("of the file"),
  })
  .describe("what `pare suite --json` prints");
