// How numbers, clock times and durations are said in the home-commands data. Every function takes the random source and
// returns what is said together with the value that the answer carries.

const small = [
  "zero",
  "one",
  "two",
  "three",
  "four",
  "five",
  "six",
  "seven",
  "eight",
  "nine",
  "ten",
  "eleven",
  "twelve",
  "thirteen",
  "fourteen",
  "fifteen",
  "sixteen",
  "seventeen",
  "eighteen",
  "nineteen",
];
const tens = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/** A whole number from 0 to 100 in words, with a hyphen or a space between tens and units. */
export function words(number, hyphen = " ") {
  if (number === 100) return "a hundred";
  if (number < 20) return small[number];
  const units = number % 10;
  return units === 0 ? tens[(number - units) / 10] : tens[(number - units) / 10] + hyphen + small[units];
}

function digitsOrWords(random, number) {
  return random.chance(0.6) ? String(number) : words(number, random.pick([" ", "-"]));
}

export function percent(random) {
  if (random.chance(0.1))
    return random.pick([
      { said: "half", value: 50 },
      { said: "full", value: 100 },
    ]);
  const value = random.chance(0.6) ? 5 * random.integer(1, 20) : random.integer(1, 100);
  if (random.chance(0.5)) return { said: `${value}%`, value };
  return { said: `${digitsOrWords(random, value)} percent`, value };
}

/** Room temperatures from 10 to 28, some of them with a half. */
export function degrees(random) {
  const whole = random.integer(10, 28);
  const unit = random.chance(0.7) ? " degrees" : "";
  if (random.chance(0.2)) {
    const said = random.chance(0.5) ? `${whole}.5` : `${words(whole)} and a half`;
    return { said: said + unit, value: whole + 0.5 };
  }
  return { said: digitsOrWords(random, whole) + unit, value: whole };
}

/** A difference of 1 to 6 degrees. */
export function difference(random) {
  const value = random.integer(1, 6);
  if (value === 1) return { said: random.pick(["a degree", "one degree", "1 degree"]), value };
  return { said: `${digitsOrWords(random, value)} degrees`, value };
}

/** A clock time; without a part of the day it is read on the 24-hour clock. */
export function time(random) {
  if (random.chance(0.04))
    return random.pick([
      { said: "noon", value: "12:00" },
      { said: "midnight", value: "00:00" },
    ]);
  const hour = random.chance(0.9) ? random.integer(5, 23) : random.integer(0, 4);
  const kind = random.chance(0.5) ? "quarter" : random.chance(0.75) ? "five" : "any";
  const minute = { quarter: 15 * random.integer(0, 3), five: 5 * random.integer(0, 11), any: random.integer(0, 59) }[
    kind
  ];
  return { said: sayTime(random, hour, minute), value: `${twoDigits(hour)}:${twoDigits(minute)}` };
}

function sayTime(random, hour, minute) {
  const choice = random.integer(0, 9);
  if (choice < 3 || hour === 0) return `${random.chance(0.5) ? twoDigits(hour) : hour}:${twoDigits(minute)}`;
  const half = hour < 12 ? "am" : "pm";
  const onClock = hour % 12 === 0 ? 12 : hour % 12;
  if (choice < 6 || minute % 5 !== 0) {
    const gap = random.pick(["", " "]);
    return minute === 0 ? `${onClock}${gap}${half}` : `${onClock}:${twoDigits(minute)}${gap}${half}`;
  }
  if (choice === 6 && minute !== 5)
    return minute === 0 ? `${words(onClock)} ${half}` : `${words(onClock)} ${words(minute)} ${half}`;
  const phrase = minutesPast(random, onClock, minute);
  const unambiguous = hour >= 1 && hour < 12;
  return unambiguous && random.chance(0.4) ? phrase : `${phrase} ${partOfDay(random, hour)}`;
}

function minutesPast(random, onClock, minute) {
  const next = words((onClock % 12) + 1);
  if (minute === 0) return random.chance(0.6) ? `${words(onClock)} o'clock` : words(onClock);
  if (minute === 15) return `${random.pick(["quarter", "a quarter"])} past ${words(onClock)}`;
  if (minute === 30) return `half past ${words(onClock)}`;
  if (minute === 45) return `${random.pick(["quarter", "a quarter"])} to ${next}`;
  return minute < 30 ? `${words(minute)} past ${words(onClock)}` : `${words(60 - minute)} to ${next}`;
}

function partOfDay(random, hour) {
  if (hour < 12) return "in the morning";
  if (hour < 18) return "in the afternoon";
  return random.pick(["in the evening", "tonight"]);
}

/** A duration of up to three hours, as whole minutes. */
export function minutes(random) {
  const choice = random.integer(0, 9);
  if (choice === 0) {
    return random.pick([
      { said: "half an hour", value: 30 },
      { said: "an hour and a half", value: 90 },
      { said: "a quarter of an hour", value: 15 },
      { said: "three quarters of an hour", value: 45 },
    ]);
  }
  const hours = choice < 3 ? random.integer(1, 3) : 0;
  const rest = hours > 0 ? random.pick([0, 0, 5, 10, 15, 20, 30, 40, 45, 50]) : random.integer(1, 60);
  const said = [];
  if (hours > 0)
    said.push(hours === 1 ? random.pick(["an hour", "one hour", "1 hour"]) : `${digitsOrWords(random, hours)} hours`);
  if (rest > 0) said.push(rest === 1 ? "one minute" : `${digitsOrWords(random, rest)} minutes`);
  return { said: said.join(" and "), value: 60 * hours + rest };
}

function twoDigits(number) {
  return String(number).padStart(2, "0");
}
