// What the report does in the browser: switch axes, show what a point is, sort and filter the trials, copy commands,
// change between light and dark. Everything can be read without it; what needs it is hidden until it runs.

export const SCRIPT = String.raw`"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector) => document.querySelector(selector);
for (const element of all("[data-needs-script]")) element.hidden = false;

// Light and dark: the system's choice until the reader makes one.
const theme = one("#theme");
const root = document.documentElement;
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
const nameTheme = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
try { if (localStorage.pareTheme) root.dataset.theme = localStorage.pareTheme; } catch {}
theme.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  try { localStorage.pareTheme = root.dataset.theme; } catch {}
  nameTheme();
});
nameTheme();

// Axes: every view is there already, one is shown.
const axis = (name) => (one('input[name="axis-' + name + '"]:checked') || {}).value;
for (const input of all('input[name^="axis-"]')) {
  input.addEventListener("change", () => {
    const views = all(".view");
    const y = axis("y") || views[0].dataset.view.split(" ")[1];
    for (const view of views) view.hidden = view.dataset.view !== axis("x") + " " + y;
    hideTip();
  });
}

// Points: a tooltip on hover and focus, arrow keys from one to the next, Enter to its row.
const tip = one("#tip");
const hideTip = () => { if (tip) tip.hidden = true; };
const showTip = (point) => {
  tip.textContent = point.dataset.tip;
  tip.hidden = false;
  const figure = tip.parentElement.getBoundingClientRect();
  const box = point.querySelector(".hit").getBoundingClientRect();
  const left = Math.min(Math.max(0, box.right - figure.left + 6), Math.max(0, figure.width - tip.offsetWidth));
  const above = box.top - figure.top - tip.offsetHeight - 4;
  const fitsRight = box.right - figure.left + 6 + tip.offsetWidth <= figure.width;
  tip.style.left = left + "px";
  tip.style.top = (fitsRight ? Math.max(0, box.top - figure.top - 8) : above > 0 ? above : box.bottom - figure.top + 6) + "px";
};
const light = (row, on) => {
  for (const element of all('[data-row="' + row + '"]').concat(document.getElementById(row) || [])) element.classList.toggle("lit", on);
};
for (const plot of all(".plot")) {
  const points = all(".point", plot);
  const across = points.slice().sort((a, b) => place(a) - place(b));
  points.forEach((point) => {
    const title = point.querySelector("title");
    point.dataset.tip = title.textContent;
    title.remove();
    point.tabIndex = point === across[0] ? 0 : -1;
    const enter = () => { showTip(point); light(point.dataset.row, true); };
    const leave = () => { hideTip(); light(point.dataset.row, false); };
    point.addEventListener("pointerenter", enter);
    point.addEventListener("pointerleave", leave);
    point.addEventListener("focus", enter);
    point.addEventListener("blur", leave);
    const goToRow = () => {
      const row = document.getElementById(point.dataset.row);
      if (row) row.scrollIntoView({ block: "center" });
    };
    point.addEventListener("dblclick", goToRow);
    point.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hideTip();
      if (event.key === "Enter") goToRow();
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const next = step && across[across.indexOf(point) + step];
      if (!step) return;
      event.preventDefault();
      if (!next) return;
      point.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  });
}
function place(point) { return Number(point.getAttribute("transform").match(/[\d.]+/)[0]); }

// Trials: sort by any column, find by text and standing.
const table = one("#trial-table");
if (table) {
  const body = table.tBodies[0];
  const rows = all("tr", body);
  all("thead th", table).forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent.trim();
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.key;
      rows.sort((a, b) => {
        if (key(a) === "" || key(b) === "") return (key(a) === "") - (key(b) === "");
        const [x, y] = [Number(key(a)), Number(key(b))];
        return direction * (Number.isNaN(x) || Number.isNaN(y) ? key(a).localeCompare(key(b), undefined, { numeric: true }) : x - y);
      });
      body.append(...rows);
    });
  });
  const [find, standing, count] = [one("#trial-filter"), one("#trial-standing"), one("#trial-count")];
  const filter = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = (standing.value && row.dataset.standing !== standing.value) || !words.every((word) => text.includes(word));
      if (!row.hidden) shown++;
    }
    count.textContent = shown === rows.length ? "" : shown + " of " + rows.length;
  };
  find.addEventListener("input", filter);
  standing.addEventListener("change", filter);
  for (const row of rows) {
    row.addEventListener("pointerenter", () => light(row.id, true));
    row.addEventListener("pointerleave", () => light(row.id, false));
  }
}

// Commands: copy, with a way for pages opened from disk.
for (const button of all("[data-copy]")) {
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}
addEventListener("beforeprint", () => { for (const element of all("details")) element.open = true; });
`;
