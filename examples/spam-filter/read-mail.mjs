// One mail as it came, to the text that the model reads: subject, format, and the words of the body. Addresses, paths of
// links and long numbers are masked, and what a mailing list adds is left out: both say who wrote, not what.
import { convert } from "html-to-text";
import PostalMime from "postal-mime";

/** More of a body is never read. */
const BODY_CHARACTERS_MAX = 4000;

const HTML_OPTIONS = {
  wordwrap: false,
  limits: { maxInputLength: 1 << 16, maxDepth: 200, ellipsis: "" },
  selectors: [
    { selector: "img", format: "skip" },
    { selector: "a", options: { linkBrackets: [" ", " "], hideLinkHrefIfSameAsText: true, noAnchorUrl: true } },
    ...["h1", "h2", "h3", "h4", "h5", "h6"].map((selector) => ({ selector, options: { uppercase: false } })),
  ],
};

/**
 * @param {string} raw headers and body, as they came
 * @returns {Promise<{ subject: string, format: "plain" | "html", body: string }>}
 */
export async function readMail(raw) {
  const mail = await PostalMime.parse(raw.replace(/^From .*\r?\n/, ""));
  const plain = (mail.text ?? "").trim();
  const format = plain === "" && mail.html ? "html" : "plain";
  // Some say they are plain and hold markup all the same.
  const isMarkup = format === "html" || /<(?:html|body|table)\b/i.test(plain);
  const text = isMarkup ? convert(format === "html" ? mail.html : plain, HTML_OPTIONS) : plain;
  return {
    subject: masked(withoutListTag(mail.subject ?? "")),
    format: isMarkup ? "html" : "plain",
    body: masked(withoutListFooter(text)).slice(0, BODY_CHARACTERS_MAX),
  };
}

/** What the model is given. */
export function mailText({ subject, format, body }) {
  return `Subject: ${subject}\nFormat: ${format}\n\n${body}`.trimEnd();
}

/** "Re: [ILUG] hard links" is "Re: hard links". */
function withoutListTag(subject) {
  return subject.replace(/^((?:\s*(?:re|fwd?|aw)\s*:)*)\s*\[[\w .-]{2,24}\]/i, "$1");
}

/** The last lines, from a rule on, where they speak of the mailing list; and what lists write elsewhere. */
function withoutListFooter(text) {
  const at = text.lastIndexOf("\n______");
  const isFooter = at >= 0 && text.length - at < 800 && /mailing list|listinfo/i.test(text.slice(at));
  return (isFooter ? text.slice(0, at) : text)
    .slice(0, 2 * BODY_CHARACTERS_MAX)
    .split("\n")
    .filter((line) => !LIST_LINE.test(line))
    .join("\n");
}

const LIST_LINE =
  /listinfo|listmaster@|Irish Linux Users' Group|Yahoo! Groups Sponsor|^This sf\.net email is sponsored by|^-{20,}\s*$/i;

/** Addresses and numbers that lead to someone become marks, links their site; odd characters and spaces are put right. */
function masked(text) {
  return text
    .replace(/\b(?:https?|ftp):\/\/(?:[^\s/@]*@)?([^\s/:?#"'<>)]*)[^\s"'<>)]*/gi, (_, host) => `<${siteOf(host)}>`)
    .replace(/[\w.+=-]{1,64}@[\w-]+(?:\.[\w-]+)*/g, "<address>")
    .replace(/\+?\(?\d[\d ().-]{6,}\d/g, "<number>")
    .replace(/<\|/g, "< |") // no mail may write control tokens
    .replace(/\p{Cc}|\p{Cf}|\p{Co}|\uFFFD/gu, (character) => (/[\t\r\n]/.test(character) ? character : ""))
    .replace(/\r\n?/g, "\n")
    .replace(/([^\w\s])\1{4,}/g, "$1$1$1$1")
    .replace(/[^\S\n]+/g, " ")
    .replace(/ ?\n ?/g, "\n")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}

/** The site of a link, without what may be a person's. */
function siteOf(host) {
  if (/^[\d.]+$/.test(host)) return "ip link";
  return `${host.toLowerCase().split(".").slice(-2).join(".")} link`;
}
