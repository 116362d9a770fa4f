// The words of the home-commands data: what can be named in a command, and the value it has in an answer.
// Each entry is [what is said, what is answered]; where both are equal, a plain string stands for the pair.

export const rooms = [
  "kitchen",
  "bedroom",
  "bathroom",
  "hallway",
  "office",
  "garage",
  "attic",
  "basement",
  "nursery",
  "living room",
  "dining room",
  "guest room",
  "laundry room",
  ["lounge", "living room"],
  ["hall", "hallway"],
  ["study", "office"],
  ["cellar", "basement"],
  ["loft", "attic"],
  ["spare room", "guest room"],
  ["utility room", "laundry room"],
];

export const doors = [
  ["front door", "front"],
  ["back door", "back"],
  ["garage door", "garage"],
  ["patio door", "patio"],
  ["balcony door", "balcony"],
  ["garden gate", "gate"],
  ["gate", "gate"],
  ["main entrance", "front"],
  ["terrace door", "patio"],
  ["cellar door", "basement"],
  ["basement door", "basement"],
];

export const colors = [
  "red",
  "green",
  "blue",
  "purple",
  "orange",
  "yellow",
  "pink",
  "turquoise",
  "white",
  "violet",
  "warm white",
  "cool white",
  "light blue",
  "dark red",
  "soft pink",
  "deep green",
  ["crimson", "dark red"],
  ["cold white", "cool white"],
  ["sky blue", "light blue"],
  ["lilac", "violet"],
];

const moods = ["calm", "slow", "upbeat", "old", "happy", "quiet", "modern", "french", "summer", "dark", "soft", "live"];
const genres = [
  "jazz",
  "rock",
  "folk",
  "techno",
  "reggae",
  "soul",
  "swing",
  "blues",
  "disco",
  "opera",
  "piano music",
  "guitar music",
  "country",
  "samba",
  "choir music",
  "dance music",
  "rain sounds",
  "ocean sounds",
  "bird song",
  "string quartets",
];
export const music = { moods, genres };

export const days = ["tomorrow", "today", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

// Things for the shopping list: [kinds, things]; a thing is said with or without one of its kinds.
export const uncountable = [
  [
    ["oat", "soy", "almond", "whole", "fresh"],
    ["milk", "cream", "yoghurt"],
  ],
  [
    ["brown", "wild", "white", "basmati"],
    ["rice", "flour", "sugar", "pasta", "bread"],
  ],
  [["olive", "sesame", "sunflower", "coconut"], ["oil"]],
  [
    ["ground", "decaf", "strong", "dark"],
    ["coffee", "chocolate", "tea", "cocoa"],
  ],
  [
    ["grated", "soft", "blue", "goat"],
    ["cheese", "butter"],
  ],
  [
    ["dish", "hand", "liquid"],
    ["soap", "detergent"],
  ],
  [
    ["smoked", "frozen", "fresh"],
    ["salmon", "spinach", "tofu", "fish"],
  ],
  [
    ["sea", "black", "sweet"],
    ["salt", "pepper", "paprika", "honey"],
  ],
  [["cat", "dog", "bird"], ["food"]],
];
export const countable = [
  [
    ["red", "green", "yellow", "small"],
    ["onions", "apples", "peppers", "grapes", "cabbages"],
  ],
  [
    ["ripe", "large", "fresh"],
    ["tomatoes", "avocados", "bananas", "lemons", "oranges", "pears", "mangoes"],
  ],
  [
    ["sweet", "new", "baked"],
    ["potatoes", "carrots", "leeks", "parsnips"],
  ],
  [
    ["paper", "kitchen", "blue"],
    ["towels", "napkins", "plates", "cups"],
  ],
  [["bin", "sandwich", "freezer"], ["bags"]],
  [
    ["long", "white", "scented"],
    ["candles", "matches"],
  ],
  [
    ["brown", "large", "organic"],
    ["eggs", "mushrooms", "bagels"],
  ],
  [
    ["spare", "small", "rechargeable"],
    ["batteries", "light bulbs", "screws"],
  ],
  [
    ["tinned", "white", "black"],
    ["beans", "olives", "chickpeas", "lentils"],
  ],
];

// Things to be reminded of: [verbs, what they apply to].
export const errands = [
  [
    ["water", "move", "trim"],
    ["the plants", "the roses", "the ferns", "the lemon tree", "the herbs", "the hedge"],
  ],
  [
    ["feed", "brush", "walk", "wash"],
    ["the dog", "the cat", "the pony", "the puppy"],
  ],
  [
    ["call", "text", "visit", "write to", "thank"],
    [
      "grandma",
      "my sister",
      "my brother",
      "the dentist",
      "the landlord",
      "the plumber",
      "anna",
      "peter",
      "the bank",
      "my boss",
      "the school",
      "uncle tom",
      "the neighbours",
      "maria",
    ],
  ],
  [
    ["buy", "order", "collect", "wrap"],
    ["a cake", "the tickets", "a birthday card", "flowers", "new shoes", "the parcel", "a present", "firewood"],
  ],
  [
    ["clean", "check", "repair", "empty", "paint"],
    [
      "the oven",
      "the gutters",
      "the fridge",
      "the mailbox",
      "the shed",
      "the dishwasher",
      "the fish tank",
      "the boiler",
    ],
  ],
  [["pay"], ["the rent", "the invoice", "the gas bill", "the fine"]],
  [
    ["send", "sign", "print", "read"],
    ["the tax form", "the contract", "the letter", "the report", "the invoice"],
  ],
  [
    ["take out", "bring in", "sort"],
    ["the bins", "the washing", "the recycling", "the laundry", "the glass"],
  ],
  [
    ["book", "cancel", "confirm"],
    ["the flight", "the hotel", "a table", "the haircut", "the train", "the babysitter"],
  ],
  [
    ["pack", "find", "charge"],
    ["my bag", "the camera", "the suitcase", "my phone", "the bike", "the drill", "lunch"],
  ],
];
