// Parts of a calibrated quantization that can be left out, to see what each is worth.

/**
 * - `allocation`: types by measured divergence; without it every weight counts the same.
 * - `asymmetric`: targets follow the inputs that the rounded layers before produce.
 * - `descent`: coordinate descent on codes and scales after error feedback.
 * - `recovery`: the gain of the output norm is fitted again.
 */
export const METHOD_PARTS = ["allocation", "asymmetric", "descent", "recovery"] as const;

export type MethodPart = (typeof METHOD_PARTS)[number];
