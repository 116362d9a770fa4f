import { expect, test } from "vitest";

import { acceptCertificate, infeasibleCertificate } from "../../test/certificates.js";
import { frontPlot } from "./front-plot.js";
import { frontOf, plotPoints } from "./front-points.js";
import { frontSection } from "./front.js";
import { LabelPlacer } from "./label-placer.js";
import { xScale, yScale } from "./plot-scales.js";

const certificate = acceptCertificate();
const points = plotPoints(certificate);

test("plotPoints() has the baseline and every trial with a measured quality", () => {
  const measured = certificate.trials.filter((trial) => trial.quality ?? trial.screenKlDivergence);
  expect(points).toHaveLength(measured.length + 1);
  expect(points[0]!.standing).toBe("baseline");
});

test.each([
  ["size", "kept"],
  ["latency", "divergence"],
] as const)("frontOf() along %s and %s: nothing beats a point on it, something beats every other", (x, y) => {
  const placed = points.filter((point) => point[x] !== undefined && point[y] !== undefined);
  const front = frontOf(placed, x, y);
  const sign = y === "kept" ? 1 : -1;
  const isBeaten = (point: (typeof placed)[number]) =>
    placed.some(
      (other) =>
        other !== point &&
        other[x]! <= point[x]! &&
        sign * other[y]!.mean >= sign * point[y]!.mean &&
        (other[x]! < point[x]! || other[y]!.mean !== point[y]!.mean),
    );
  expect(front.length).toBeGreaterThan(1);
  const isTwin = (point: (typeof placed)[number]) =>
    front.some((other) => other !== point && other[x] === point[x] && other[y]!.mean === point[y]!.mean);
  for (const point of placed) {
    if (front.includes(point)) expect(isBeaten(point)).toBe(false);
    else expect(isBeaten(point) || isTwin(point)).toBe(true);
  }
});

test("frontPlot() draws every point inside the frame, with an interval and a name for a screen reader", () => {
  const { text } = frontPlot(certificate, points, { x: "memory", y: "kept", format: "wide" });
  const places = [...text.matchAll(/translate\(([\d.]+) ([\d.]+)\)/g)].map((match) => [
    Number(match[1]),
    Number(match[2]),
  ]);
  expect(places).toHaveLength(points.length);
  for (const [x, y] of places) {
    expect(x).toBeGreaterThanOrEqual(62);
    expect(x).toBeLessThanOrEqual(940);
    expect(y).toBeGreaterThanOrEqual(36);
    expect(y).toBeLessThanOrEqual(418);
  }
  expect(text).toContain("limit 20.0 MB");
  expect(text).toContain("bar 98\u202f%");
  expect(text.match(/role="img"/g)).toHaveLength(points.length);
});

test("frontSection() shows one view at first and holds all others", () => {
  const { text } = frontSection(certificate);
  expect(text.match(/class="view"/g)).toHaveLength(6);
  expect(text.match(/data-view="[^"]*"\s+hidden/g)).toHaveLength(5);
});

test("frontSection() without a measured quality shows what each candidate needs", () => {
  const { text } = frontSection(infeasibleCertificate());
  expect(text).toContain("What each candidate needs");
  expect(text).not.toContain("<svg");
  expect(text).toContain("11.9 MB");
});

test("frontSection() tells what was only screened from what failed", () => {
  const trials = certificate.trials.map((trial) =>
    trial.verdict === "fails" ? { ...trial, verdict: "not-measured" as const, quality: undefined } : trial,
  );
  const { text } = frontSection({ ...certificate, trials });
  expect(text).toContain("screened only");
  expect(text).not.toContain("fails the bar");
});

test("xScale() takes the device's limit into view when it is near and leaves it out when it is far", () => {
  const range = [0, 100];
  const near = xScale(points, "memory", 40e6, range);
  expect(near.position(40e6)).toBeLessThanOrEqual(100);
  const far = xScale(points, "memory", 8e9, range);
  expect(far.position(8e9)).toBeGreaterThan(100);
  expect(far.unit).toBe("MB, logarithmic");
});

test("yScale() keeps the distances around the bar when something fails by far", () => {
  const bad = { ...points[1]!, kept: { mean: 0.1, low: 0.09, high: 0.11 } };
  const scale = yScale([...points, bad], "kept", 0.99, [100, 0]);
  expect(scale.position(0.99) - scale.position(1)).toBeGreaterThan(5);
  expect(scale.position(0.1)).toBe(100); // on the lower edge
});

test("LabelPlacer puts no name over another, over a point or beside a nearer one", () => {
  const placer = new LabelPlacer({ left: 0, right: 400, top: 0, bottom: 400 });
  const spots = [
    [100, 100],
    [110, 100],
    [100, 112],
    [110, 112],
    [395, 200],
  ] as const;
  for (const [x, y] of spots) placer.block(x, y, 6);
  const places = spots.map(([x, y]) => placer.place("q4_K_M", x, y)).filter((place) => place !== undefined);
  const boxes = places.map(({ x, y, anchor }) => ({
    left: x - (anchor === "end" ? 42 : anchor === "middle" ? 21 : 0),
    y,
  }));
  for (const [i, a] of boxes.entries()) {
    for (const b of boxes.slice(i + 1)) expect(Math.abs(a.left - b.left) >= 42 || Math.abs(a.y - b.y) >= 12).toBe(true);
  }
  expect(places.length).toBeGreaterThanOrEqual(3);
  expect(new LabelPlacer({ left: 0, right: 10, top: 0, bottom: 10 }).place("too long for this", 5, 5)).toBeUndefined();
});
