import { expect, test } from "vitest";

import { escapeText, html, trusted } from "./html.js";

test("html escapes inserted text in content and in attributes", () => {
  const hostile = `"><script>alert('x')</script>&\``;
  const { text } = html`<a title="${hostile}">${hostile}</a>`;
  expect(text).not.toContain("<script");
  expect(text.match(/"/g)).toHaveLength(2); // the attribute's own
  expect(text).toContain("&#60;script&#62;");
});

test("html keeps markup, joins lists, and leaves nothing of null, undefined and false", () => {
  expect(html`<p>${[html`<b>1</b>`, "<", 2]}${null}${undefined}${false}</p>`.text).toBe("<p><b>1</b>&#60;2</p>");
});

test("trusted() is inserted as it is", () => {
  expect(html`${trusted("<hr>")}`.text).toBe("<hr>");
});

test("escapeText() makes control characters and reversals of direction visible", () => {
  expect(escapeText("a\u0000b\u202egnp.exe\u2066\u001b[31m")).toBe("a\ufffdb\ufffdgnp.exe\ufffd\ufffd[31m");
  expect(escapeText("line\n\ttab")).toBe("line\n\ttab");
});
