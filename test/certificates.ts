// Certificates as `pare fit` might write them, one for each verdict. The numbers are invented and plausible.
import { exactly, within } from "../src/cost/band.js";
import { type Cost, costOf } from "../src/cost/cost.js";
import { parseGrid } from "../src/cost/grid.js";
import { parseEndpointPrices } from "../src/cost/money.js";
import { percentilesOf } from "../src/cost/percentiles.js";
import type { Certificate, Quality, TrialRecord } from "../src/fit/certificate.js";
import type { Regressions } from "../src/report/regressions.js";

const baselineBytes = 30_474_000;
const baselinePerplexity = 9.42;

interface Sketch {
  candidate: string;
  sizeBytes: number;
  klDivergence: number;
  kept: number;
  tokensPerSecond: number;
  verdict: TrialRecord["verdict"];
  stage?: TrialRecord["stage"];
  reason?: string;
}

const sketches: Sketch[] = [
  sketch("f16", 30_474_000, 0.0000004, 1, 331, "does-not-fit"),
  sketch("q8_0", 16_300_000, 0.00021, 0.9996, 498, "clears"),
  sketch("q6_K", 15_870_000, 0.00034, 0.9994, 476, "clears"),
  sketch("q5_K_M", 14_120_000, 0.0018, 0.9976, 503, "clears"),
  sketch("q5_K_S", 13_900_000, 0.0021, 0.9971, 507, "clears"),
  sketch("q5_1", 12_350_000, 0.0029, 0.9958, 489, "clears"),
  sketch("q5_0", 11_410_000, 0.0047, 0.9936, 512, "clears"),
  sketch("q4_K_M", 12_700_000, 0.0059, 0.9921, 527, "clears"),
  sketch("iq4_nl+q8_0-embd", 11_020_000, 0.0068, 0.9903, 534, "winner", "confirmed"),
  sketch("q4_1", 10_460_000, 0.0142, 0.9822, 541, "undecided", "confirmed"),
  sketch("iq4_nl", 9_540_000, 0.0174, 0.9779, 548, "fails"),
  sketch("q4_0", 9_520_000, 0.0211, 0.9735, 566, "fails"),
  sketch("iq3_M", 9_020_000, 0.0613, 0.9381, 402, "fails"),
  sketch("q3_K_M", 9_340_000, 0.0742, 0.9264, 488, "fails"),
  sketch("q3_K_S", 8_860_000, 0.1093, 0.8955, 493, "fails"),
  sketch("q2_K", 8_710_000, 0.1514, 0.8571, 487, "fails"),
];

const inputs = {
  from: "f16",
  blocks: 6,
  kinds: ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"],
};

/** A model that clears the bar was found. */
export function acceptCertificate(): Certificate {
  const trials = [...sketches.map(trial), unmeasured("tq2_0", 7_900_000), unmeasured("q2_K_S", 8_650_000)];
  trials.push({
    ...unmeasured("iq1_S", 7_480_000),
    verdict: "error",
    reason: "The engine stopped while measuring: not enough importance data for blk.3.ffn_down.weight",
  });
  const winner = sketches.find((each) => each.verdict === "winner")!;
  return {
    format: "pare-certificate/1",
    verdict: "ACCEPT",
    reason:
      "iq4_nl+q8_0-embd keeps 99.03 % of the baseline's quality, at least 98.88 % with 95 % confidence; the bar is 98 %",
    bar: { keep: 0.98, metric: "perplexityRatio", confidence: 0.95 },
    minimize: "size",
    device: { name: "badge", memoryBytes: 20_000_000, contextLength: 256 },
    baseline: {
      path: "models/stories15M-f16.gguf",
      name: "stories15M",
      architecture: "llama",
      sizeBytes: baselineBytes,
      bitsPerWeight: 16.03,
      parametersTotal: 15_191_712,
      memoryBytes: 34_900_000,
      decodeTokensPerSecond: 331,
      prefillTokensPerSecond: 4120,
      cost: cost(baselineBytes, 331, 4120),
      quality: {
        metric: "perplexityRatio",
        part: "confirmation",
        kept: exact(1),
        perplexity: around(baselinePerplexity, 0.21),
        tokens: 65_280,
      },
      sha256: "4f1c0ea5b2f36f6bb84cba6c2f3ff4b0f8ab7b2b0a38d7f7f3a51b6ac6d1f0aa",
    },
    winner: {
      candidate: winner.candidate,
      path: "out/badge/model.gguf",
      name: "stories15M",
      architecture: "llama",
      sizeBytes: winner.sizeBytes,
      bitsPerWeight: 5.8,
      parametersTotal: 15_191_712,
      memoryBytes: winner.sizeBytes + 4_400_000,
      decodeTokensPerSecond: winner.tokensPerSecond,
      prefillTokensPerSecond: 6890,
      cost: cost(winner.sizeBytes, winner.tokensPerSecond, 6890),
      quality: quality(winner, "confirmation"),
      sha256: "b1946ac92492d2347c6235b4d2611184a4f1c0ea5b2f36f6bb84cba6c2f3ff4b",
      tensors: tensors(),
    },
    trials,
    task: {
      kind: "text",
      path: "data/stories-heldout.txt",
      calibration: 128_000,
      selection: 32_640,
      confirmation: 65_280,
    },
    calibration: { source: "data/stories-calibration.txt", tokens: 128_000 },
    budget: { seconds: 600, secondsUsed: 214, evaluations: 40, evaluationsUsed: 27 },
    speedPrediction: { bandwidthBytesPerSecond: 14.2e9, medianErrorShare: 0.083, measurements: 16 },
    notes: [
      "Quality was measured with repacked weights off, speed with them on; repacking changes the KL divergence of q8_0 by about 2 %",
      "Rows of width 288 are no multiple of 256: k-quants fall back to a larger type in 42 of 56 tensors",
    ],
    seed: 42,
    versions: { pare: "0.1.0", "llama.cpp": "0.4.0-dev", ggml: "0.23.0", node: "20.20.0" },
    hashes: {
      model: "4f1c0ea5b2f36f6bb84cba6c2f3ff4b0f8ab7b2b0a38d7f7f3a51b6ac6d1f0aa",
      task: "9b74c9897bac770ffc029102a200c5de9b74c9897bac770ffc029102a200c5de",
      result: "b1946ac92492d2347c6235b4d2611184a4f1c0ea5b2f36f6bb84cba6c2f3ff4b",
    },
    startedAt: "2026-03-14T09:26:53.000Z",
    finishedAt: "2026-03-14T09:30:27.000Z",
  };
}

/** Something fits, nothing clears. */
export function rejectCertificate(): Certificate {
  const accepted = acceptCertificate();
  return {
    ...accepted,
    verdict: "REJECT",
    reason: "Nothing that fits keeps 98 % of the quality: the best, iq4_nl, keeps 97.8 %",
    device: { ...accepted.device, name: "smaller badge", memoryBytes: 14_000_000, storageBytes: 9_600_000 },
    winner: null,
    trials: accepted.trials.map((each) =>
      each.memoryBytes > 14_000_000 || each.sizeBytes > 9_600_000
        ? { ...each, fits: false, verdict: "does-not-fit", reason: "needs more than the device has" }
        : each,
    ),
  };
}

/** Nothing fits at all, so nothing was measured. */
export function infeasibleCertificate(): Certificate {
  const accepted = acceptCertificate();
  return {
    ...accepted,
    verdict: "INFEASIBLE",
    reason: "Nothing fits 5.00 MB; the smallest candidate, iq1_S, needs 11.9 MB",
    nearestFeasibleBytes: 11_880_000,
    device: { ...accepted.device, name: "watch", memoryBytes: 5_000_000 },
    baseline: { ...accepted.baseline, decodeTokensPerSecond: null, prefillTokensPerSecond: null, quality: undefined },
    winner: null,
    trials: accepted.trials.map((each) => ({
      ...unmeasured(each.candidate, each.sizeBytes),
      fits: false,
      verdict: "does-not-fit",
      reason: "needs more memory than the device has for a model",
    })),
    speedPrediction: undefined,
    notes: [],
  };
}

/** A task whose cases are too few to decide. */
export function needMoreCertificate(): Certificate {
  const accepted = acceptCertificate();
  const scores: Record<string, number> = { q8_0: 0.9, q6_K: 0.89, q5_0: 0.88, q4_0: 0.85 };
  return {
    ...accepted,
    verdict: "NEED_MORE",
    reason: "60 cases leave q5_0 between 93.1 and 102.4 % of the baseline's score; the bar is 97 %",
    casesNeeded: { count: 420, unit: "cases" },
    bar: { keep: 0.97, metric: "score", confidence: 0.95 },
    baseline: {
      ...accepted.baseline,
      name: "SmolLM2-135M-Instruct",
      quality: { metric: "score", part: "confirmation", kept: exact(1), score: around(0.9, 0.07), cases: 60 },
    },
    winner: null,
    trials: accepted.trials
      .filter((each) => each.candidate in scores)
      .map((each) => {
        const score = scores[each.candidate]!;
        return {
          ...each,
          verdict: "undecided",
          stage: "confirmed",
          reason: "its interval reaches both sides of the bar",
          speed: {
            decodeTokensPerSecond: each.speed!.decodeTokensPerSecond,
            prefillTokensPerSecond: null,
            source: "predicted",
          },
          quality: {
            metric: "score",
            part: "confirmation",
            kept: around(score / 0.9, 0.047),
            score: around(score, 0.08),
            cases: 60,
            casesInPart: 60,
            slices: [
              { tag: "lights", cases: 24, kept: around(score / 0.9 - 0.1, 0.2) },
              { tag: "<music>", cases: 36, kept: around(score / 0.9, 0.1) },
            ],
          },
        };
      }),
    task: {
      kind: "cases",
      path: "examples/home-commands.task.jsonl",
      scorer: "json",
      calibration: 80,
      selection: 60,
      confirmation: 60,
    },
    calibration: { source: "examples/home-commands-calibration.txt", tokens: 40_960 },
    speedPrediction: undefined,
  };
}

/** Cases that were lost, one of them hostile. */
export function someRegressions(): Regressions {
  const lost = {
    tags: ["lights"],
    asked: "Turn the lights in the kitchen down to a third, please.",
    expected: '{"room":"kitchen","level":33}',
    baseline: { score: 1, shown: '{"room":"kitchen","level":33}' },
    candidate: { score: 0, shown: '{"room":"kitchen","level":3}' },
  };
  const hostile = { score: 0, shown: "<img src=x onerror=alert(1)>".repeat(20) };
  return {
    candidate: "iq4_nl+q8_0-embd",
    cases: [
      { id: "home-17", ...lost },
      { id: "home-23", ...lost, tags: [], candidate: hostile },
    ],
  };
}

function cost(sizeBytes: number, decode: number, prefill: number): Cost {
  const waits = percentilesOf([0.031, 0.033, 0.034, 0.052]);
  return costOf({
    device: "badge",
    source: "measured",
    workload: { promptTokens: 128, answerTokens: 32, concurrency: 4, utilisation: 0.5 },
    contextLength: 256,
    fileBytes: sizeBytes,
    memory: {
      weightsBytes: sizeBytes - 700_000,
      kvCacheBytes: 1_769_472,
      computeBytes: 3_000_000,
      totalBytes: sizeBytes + 4_069_472,
      kvBytesPerToken: 6912,
      attention: "multi-head, 6 heads",
      residentBytes: sizeBytes + 70_000_000,
    },
    speeds: { decodeTokensPerSecond: exactly(decode), prefillTokensPerSecond: within(prefill, 0.2) },
    load: [1, 4].map((concurrency) => ({
      concurrency,
      requests: 4 * concurrency,
      promptTokens: 128,
      answerTokens: 32,
      firstTokenSeconds: waits,
      tokenSeconds: waits,
      answerTokensPerSecond: decode,
      secondsPerRequest: 0.03,
    })),
    terms: { watts: 4, pricePerHour: 0.02, grid: parseGrid("germany"), endpoint: parseEndpointPrices("0.15/0.60") },
  });
}

function sketch(
  candidate: string,
  sizeBytes: number,
  klDivergence: number,
  kept: number,
  tokensPerSecond: number,
  verdict: TrialRecord["verdict"],
  stage: TrialRecord["stage"] = "selected",
): Sketch {
  return { candidate, sizeBytes, klDivergence, kept, tokensPerSecond, verdict, stage };
}

function trial(from: Sketch): TrialRecord {
  const reasons: Partial<Record<TrialRecord["verdict"], string>> = {
    winner: "the smallest that clears the bar, confirmed on text that played no part in choosing it",
    clears: "clears the bar, but is larger than the winner",
    fails: "the upper end of its interval is below the bar",
    undecided: "its interval reaches both sides of the bar",
    "does-not-fit": "needs 34.9 MB of memory, the device has 20.0 MB for a model",
  };
  return {
    ...unmeasured(from.candidate, from.sizeBytes),
    stage: from.stage ?? "selected",
    fits: from.verdict !== "does-not-fit",
    screenKlDivergence: { mean: from.klDivergence * 1.04, standardError: from.klDivergence * 0.05, tokens: 8160 },
    quality: quality(from, from.stage === "confirmed" ? "confirmation" : "selection"),
    speed: {
      decodeTokensPerSecond: from.tokensPerSecond,
      prefillTokensPerSecond: from.tokensPerSecond * 12.9,
      source: "measured",
    },
    onFront: ["q8_0", "q6_K", "q5_K_M", "q5_0", "iq4_nl+q8_0-embd", "q4_1", "iq4_nl", "q4_0", "iq3_M", "q2_K"].includes(
      from.candidate,
    ),
    verdict: from.verdict,
    reason: reasons[from.verdict]!,
    seconds: 7.4,
  };
}

function unmeasured(candidate: string, sizeBytes: number): TrialRecord {
  return {
    id: `trial-${candidate}`,
    model: "models/stories15M-f16.gguf",
    candidate,
    recipe: { passes: [{ quantize: { type: candidate } }] },
    sizeBytes,
    bitsPerWeight: Math.round((sizeBytes * 800) / 15_191_712) / 100,
    memoryBytes: sizeBytes + 4_400_000,
    fits: true,
    stage: "predicted",
    onFront: false,
    verdict: "not-measured",
    reason: "a larger candidate of the same kind already fails the bar",
  };
}

function quality(from: Sketch, part: Quality["part"]): Quality {
  const error = part === "confirmation" ? 0.0021 : 0.0032;
  return {
    metric: "perplexityRatio",
    part,
    kept: around(from.kept, error * Math.min(2.5, 0.15 + (1 - from.kept) * 60)),
    perplexity: around(baselinePerplexity / from.kept, 0.21),
    klDivergence: {
      mean: from.klDivergence,
      standardError: from.klDivergence * 0.021,
      median: from.klDivergence * 0.38,
      p99: from.klDivergence * 9.6,
    },
    sameTopRate: 1 - Math.sqrt(from.klDivergence) * 0.31,
    tokens: part === "confirmation" ? 65_280 : 32_640,
  };
}

function tensors(): NonNullable<Certificate["winner"]>["tensors"] {
  const blocks = Array.from({ length: inputs.blocks }, (_, block) =>
    inputs.kinds
      .map((kind) => ({
        name: `blk.${block}.${kind}.weight`,
        from: inputs.from,
        to:
          kind === "ffn_down"
            ? block < 2
              ? "q5_1"
              : "iq4_nl"
            : kind === "attn_v" && block % 3 === 0
              ? "q5_0"
              : "iq4_nl",
        sizeBytes: kind.startsWith("ffn") ? 124_416 : 46_656,
        ...(kind === "ffn_down" && block < 2 ? { fallbackFrom: "q5_K" } : {}),
      }))
      .concat(
        ["attn_norm", "ffn_norm"].map((kind) => ({
          name: `blk.${block}.${kind}.weight`,
          from: "f32",
          to: "f32",
          sizeBytes: 1152,
        })),
      ),
  ).flat();
  return [
    { name: "token_embd.weight", from: "f16", to: "q8_0", sizeBytes: 9_792_000 },
    { name: "output_norm.weight", from: "f32", to: "f32", sizeBytes: 1152 },
    ...blocks,
  ];
}

function around(mean: number, half: number) {
  return { mean, low: mean - half, high: mean + half };
}

function exact(mean: number) {
  return { mean, low: mean, high: mean };
}
