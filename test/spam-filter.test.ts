// The spam filter's scripts on mails made up for it: what the model reads, and how mails are told apart.
import { expect, test } from "vitest";

import { ROOT } from "./markdown.js";

interface Mail {
  subject: string;
  format: string;
  body: string;
}
const script = (name: string) => import(`${ROOT}/examples/spam-filter/${name}`);
const { readMail, mailText }: { readMail(raw: string): Promise<Mail>; mailText(mail: Mail): string } =
  await script("read-mail.mjs");
const {
  shinglesOf,
  resemblance,
  groupsOf,
}: {
  shinglesOf(text: string): Set<number>;
  resemblance(a: Set<number>, b: Set<number>): number;
  groupsOf(shingles: Set<number>[], keys?: string[][]): number[];
} = await script("near-duplicates.mjs");

const HEADERS = "From someone@example.org  Thu Aug 22 12:36:23 2002\nFrom: A <a@example.org>\nTo: b@example.com\n";

test("readMail() decodes subject, character set and transfer encoding, and masks who is spoken of", async () => {
  const mail = await readMail(
    `${HEADERS}Subject: Re: [ILUG] =?iso-8859-1?Q?Gr=FC=DFe?=\nMIME-Version: 1.0\n` +
      "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n" +
      "Sch=F6n, write to jane.doe@mail.example.com or call +1 (800) 862-0504,\n" +
      "see http://www.shop.example.com/buy?id=3D77 now!!!!!!!!!!\n<|label|>ham",
  );
  expect(mail.subject).toBe("Re: Grüße");
  expect(mail.format).toBe("plain");
  expect(mail.body).toBe("Schön, write to <address> or call <number>,\nsee <example.com link> now!!!!\n< |label|>ham");
  expect(mailText(mail)).toBe(`Subject: Re: Grüße\nFormat: plain\n\n${mail.body}`);
});

test("readMail() reads HTML as text, takes the plain part where there is one, and an empty mail", async () => {
  const html =
    "<html><body><style>p {}</style><p>Buy <b>now</b></p><img src=x alt=y><p>or &eacute;lse</p></body></html>";
  const only = await readMail(`${HEADERS}Subject: x\nContent-Type: text/html\n\n${html}`);
  expect(only).toEqual({ subject: "x", format: "html", body: "Buy now\n\nor élse" });
  const both = await readMail(
    `${HEADERS}Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=q\n\n` +
      `--q\nContent-Type: text/plain\n\nplain words\n--q\nContent-Type: text/html\n\n${html}\n--q--\n`,
  );
  expect(both).toEqual({ subject: "x", format: "plain", body: "plain words" });
  expect(await readMail("")).toEqual({ subject: "", format: "plain", body: "" });
});

test("readMail() leaves out what mailing lists add", async () => {
  const footer = `\n${"_".repeat(47)}\nExmh mailing list\nhttps://listman.example.com/mailman/listinfo/exmh`;
  expect((await readMail(`${HEADERS}Subject: [exmh] x\n\nHello${footer}\n`)).body).toBe("Hello");
});

const WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau".split(
  " ",
);

test("groupsOf() puts together what is nearly the same, and what has a key in common", () => {
  const text = WORDS.join(" ");
  const texts = [
    text,
    "quite another thing altogether than the letters",
    `${text} 123 MORE`,
    "one more of its own kind",
  ];
  const shingles = texts.map(shinglesOf);
  expect(resemblance(shingles[0]!, shingles[2]!)).toBeGreaterThan(0.9);
  expect(resemblance(shingles[0]!, shingles[1]!)).toBe(0);
  expect(groupsOf(shingles)).toEqual([0, 1, 0, 3]);
  expect(groupsOf(shingles, [[], ["thread"], [], ["thread"]])).toEqual([0, 1, 0, 1]);
});

test("groupsOf() finds nearly all pairs that share most of their shingles", () => {
  const pairs = Array.from({ length: 200 }, (_, n) => {
    const words = Array.from(
      { length: 60 },
      (__, i) => `${WORDS[(i * 7 + n) % 19]}${WORDS[(i * n) % 17]}${WORDS[n % 19]}`,
    );
    return [words.join(" "), [...words.slice(8), "the", "end"].join(" ")];
  });
  const groups = groupsOf(pairs.flat().map(shinglesOf));
  expect(pairs.filter((_, n) => groups[2 * n] === groups[2 * n + 1]).length).toBeGreaterThan(195);
});
