import { expect, test } from "vitest";

import { type LaneState, placePrompt, sharedPages } from "./lane-pages.js";

const prompt = (length: number, first = 0): number[] => Array.from({ length }, (_, i) => first + i);
const lane = (state: Partial<LaneState> = {}): LaneState => ({
  prompt: [],
  computed: 0,
  isBusy: false,
  takenAt: 0,
  ...state,
});
const held = (tokens: number[], more: Partial<LaneState> = {}): LaneState =>
  lane({ prompt: tokens, computed: tokens.length, ...more });

test("sharedPages() counts whole pages, and leaves some tokens to compute", () => {
  expect(sharedPages(prompt(100), prompt(100), 8)).toBe(88);
  expect(sharedPages(prompt(104), prompt(104), 8)).toBe(96);
  expect(sharedPages(prompt(100), prompt(200), 8)).toBe(96);
  expect(sharedPages(prompt(100), [...prompt(7), 999, ...prompt(100)], 8)).toBe(0);
  expect(sharedPages(prompt(300), prompt(159), 64)).toBe(88);
  expect(sharedPages(prompt(63), prompt(200), 64)).toBe(0);
});

test("placePrompt() takes the free lane that holds most of the prompt", () => {
  const lanes = [held(prompt(50)), held(prompt(130)), lane()];
  expect(placePrompt(lanes, prompt(200), 8)).toEqual({ lane: 1, source: 1, kept: 128 });
});

test("placePrompt() takes the longest unused lane where none holds anything of the prompt", () => {
  const lanes = [held(prompt(90, 500), { takenAt: 3 }), held(prompt(90, 900), { takenAt: 2 })];
  expect(placePrompt(lanes, prompt(200), 8)).toEqual({ lane: 1, source: 1, kept: 0 });
});

test("placePrompt() copies from a busy lane what is worth a copy", () => {
  const busy = held(prompt(100), { isBusy: true });
  expect(placePrompt([busy, lane()], prompt(200), 8)).toEqual({ lane: 1, source: 0, kept: 96 });
  expect(placePrompt([held(prompt(15), { isBusy: true }), lane()], prompt(200), 8)).toEqual({
    lane: 1,
    source: 1,
    kept: 0,
  });
});

test("placePrompt() leaves a long conversation to its next turn", () => {
  const lanes = [held(prompt(1000), { takenAt: 2 }), lane({ takenAt: 1 })];
  expect(placePrompt(lanes, [...prompt(100), ...prompt(50, 5000)], 8)).toEqual({ lane: 1, source: 0, kept: 96 });
});

test("placePrompt() gives a lane away that was not used for long, where a template's first words are all that prompts share", () => {
  const other = (first: number): number[] => [...prompt(24), ...prompt(300, first)];
  const lanes = [held(other(1000), { takenAt: 2 }), held(other(2000), { takenAt: 1 })];
  expect(placePrompt(lanes, other(3000), 8)).toEqual({ lane: 1, source: 1, kept: 24 });
  const few = [held([...prompt(8), ...prompt(90, 500)], { takenAt: 2 }), held(prompt(90, 900), { takenAt: 1 })];
  expect(placePrompt(few, other(3000), 8)).toEqual({ lane: 1, source: 1, kept: 0 });
});

test("placePrompt() waits while another lane is about to compute the same beginning", () => {
  const computing = lane({ prompt: prompt(200), computed: 32, isBusy: true });
  expect(placePrompt([computing, lane()], prompt(220), 8)).toBeUndefined();
  expect(placePrompt([{ ...computing, computed: 200 }, lane()], prompt(220), 8)).toMatchObject({
    lane: 1,
    source: 0,
    kept: 200,
  });
  expect(placePrompt([computing, lane()], prompt(220, 7000), 8)).toMatchObject({ lane: 1, kept: 0 });
});

test("placePrompt() waits while all lanes are busy", () => {
  expect(placePrompt([held(prompt(5), { isBusy: true })], prompt(20), 8)).toBeUndefined();
});
