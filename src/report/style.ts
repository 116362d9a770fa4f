// The report's style sheet: one text face, one accent, hairlines. Light and dark follow the system until the reader
// chooses; printing is always light.

const LIGHT = `
  color-scheme: light;
  --paper: #fdfcfa; --raised: #f5f3ee; --ink: #1c1b19; --soft: #5b5953; --rule: #dcd8cf; --faint: #ece9e2;
  --accent: #0f5a78; --accept: #1f6a3d; --reject: #9a2a1c; --infeasible: #7d4e00; --more: #4a4793;
  --b0: #fff3d6; --b1: #f6e3ad; --b2: #e3d59a; --b3: #bcc48d; --b4: #8fae8b; --b5: #5f958b; --b6: #387884; --b7: #245a73; --b8: #17384f;
  --on-light: #1c1b19; --on-middle: #1c1b19; --on-dark: #ffffff;
`;
const DARK = `
  color-scheme: dark;
  --paper: #161513; --raised: #201f1c; --ink: #ebe8e1; --soft: #a8a49a; --rule: #3b3934; --faint: #292723;
  --accent: #7cc3de; --accept: #82cb9b; --reject: #f09a8c; --infeasible: #e2b25c; --more: #b4b2f0;
  --b0: #3a3322; --b1: #4d4425; --b2: #5f5a35; --b3: #5c6d48; --b4: #47705a; --b5: #54968a; --b6: #63abb4; --b7: #86c3d6; --b8: #b5dcf0;
  --on-light: #ebe8e1; --on-middle: #10100e; --on-dark: #10100e;
`;

export const STYLE = `
:root { ${LIGHT}
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, "Source Serif 4", Charter, Georgia, "Liberation Serif", serif;
  --sans: -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
}
@media (prefers-color-scheme: dark) { :root:not([data-theme="light"]) { ${DARK} } }
:root[data-theme="dark"] { ${DARK} }

* { box-sizing: border-box; }
[hidden] { display: none !important; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.55 var(--sans); overflow-wrap: break-word; }
main, .top, footer { max-width: 66rem; margin: 0 auto; padding: 0 1.5rem; }
p, ul.notes { max-width: 44rem; }
a { color: var(--accent); text-underline-offset: .15em; }
code, pre { font-family: var(--mono); font-size: .875em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 2px; }
.unseen, .skip:not(:focus) { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.top { display: flex; gap: .4rem 1.1rem; align-items: baseline; flex-wrap: wrap; padding-top: 1.2rem; padding-bottom: .8rem; font-size: .875rem; color: var(--soft); }
.top strong { color: var(--ink); font: italic 1.15rem var(--serif); }
.top nav { display: flex; gap: .2rem .6rem; flex-wrap: wrap; margin-left: auto; }
.top nav a { color: var(--soft); text-decoration: none; }
.top nav a:hover { color: var(--ink); text-decoration: underline; }
button { font: inherit; font-size: .8125rem; color: var(--soft); background: none; border: 1px solid var(--rule); border-radius: 3px; padding: .1rem .6rem; cursor: pointer; }
button:hover { color: var(--ink); border-color: var(--soft); }

.verdict { border-top: 3px solid var(--stamp); padding: 1.6rem 0 .4rem; }
.v-accept { --stamp: var(--accept); } .v-reject { --stamp: var(--reject); } .v-infeasible { --stamp: var(--infeasible); } .v-need_more { --stamp: var(--more); }
.stamp { margin: 0; color: var(--stamp); }
.stamp strong { font-weight: 650; letter-spacing: .01em; }
.stamp code { color: var(--soft); margin-left: .5rem; font-size: .75rem; }
h1 { font: 400 clamp(1.7rem, 1.1rem + 2.6vw, 2.9rem)/1.16 var(--serif); letter-spacing: -.012em; margin: .3rem 0 .7rem; max-width: 24em; text-wrap: balance; }
.reason { font: 1.1875rem/1.5 var(--serif); color: var(--ink); margin: 0 0 1.6rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5rem, 1fr)); gap: 0; margin: 0 0 1.4rem; border-top: 1px solid var(--rule); border-bottom: 1px solid var(--rule); }
.figures div { padding: .9rem 1rem .9rem 0; }
.figures dt { font-size: .8125rem; color: var(--soft); }
.figures dd { margin: 0; font: 400 1.75rem/1.25 var(--serif); font-variant-numeric: lining-nums tabular-nums; }
.figures small { display: block; font: .8125rem/1.4 var(--sans); color: var(--soft); }
.terms { font-size: .9375rem; color: var(--soft); } .terms strong { color: var(--ink); font-weight: 600; }
.strip { position: relative; height: 3.4rem; margin: 1.6rem 0 .6rem; }
.strip i, .strip b { position: absolute; }
.strip-line { left: 0; right: 0; top: 1rem; border-top: 1px solid var(--rule); }
.strip-interval { top: calc(1rem - 3px); height: 7px; background: var(--stamp); opacity: .38; min-width: 2px; }
.strip-mean { top: calc(1rem - 6px); width: 13px; height: 13px; margin-left: -6px; border-radius: 50%; background: var(--stamp); border: 2px solid var(--paper); }
.strip-tick { top: .45rem; height: 1.15rem; border-left: 1px solid var(--soft); }
.strip-bar { border-left: 2px solid var(--ink); }
.strip-tick span { position: absolute; top: 1.2rem; transform: translateX(-50%); font: .75rem var(--sans); color: var(--soft); white-space: nowrap; }

section { padding: 1.9rem 0 .4rem; }
h2 { font: 400 1.6rem/1.2 var(--serif); margin: 0 0 .5rem; padding-top: .9rem; border-top: 1px solid var(--rule); }
h3 { font: 600 .9375rem/1.4 var(--sans); margin: 1.6rem 0 .3rem; }
section > p { margin: 0 0 .9rem; color: var(--soft); }
details { margin: 1rem 0; } summary { cursor: pointer; color: var(--accent); }

.switches { display: flex; flex-wrap: wrap; gap: .5rem 2rem; margin: .4rem 0 .6rem; font-size: .875rem; }
fieldset { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .1rem; align-items: baseline; min-width: 0; }
legend { float: left; color: var(--soft); margin-right: .6rem; padding: 0; }
fieldset input { position: absolute; opacity: 0; }
fieldset span { display: block; padding: .15rem .6rem; border-bottom: 2px solid transparent; cursor: pointer; color: var(--soft); }
fieldset input:checked + span { color: var(--ink); border-color: var(--accent); }
fieldset input:focus-visible + span { outline: 2px solid var(--accent); }
figure { margin: 0; position: relative; }
.plot { display: block; width: 100%; height: auto; overflow: visible; font: 13px var(--sans); }
.plot.narrow { display: none; font-size: 12px; }
.plot text { fill: var(--soft); font-variant-numeric: tabular-nums; }
.grid line { stroke: var(--faint); } .grid .axis { stroke: var(--soft); }
.bar line { stroke: var(--ink); stroke-dasharray: 5 4; } .limit line { stroke: var(--reject); stroke-dasharray: 2 3; }
.bar text { fill: var(--ink); } .limit text { fill: var(--reject); }
.plot .front { fill: none; stroke: var(--accent); stroke-width: 1.25; opacity: .55; }
.labels text { fill: var(--ink); paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
.labels .k-winner { fill: var(--accent); font-weight: 650; }
.point { cursor: default; }
.point, .legend g { fill: var(--ink); stroke: none; }
.interval { stroke: var(--soft); stroke-width: 1; opacity: .7; }
.hollow { fill: var(--paper); stroke: var(--ink); stroke-width: 1.4; }
.ring { fill: none; stroke: var(--accent); stroke-width: 1.4; }
.k-winner { fill: var(--accent); } .point.k-winner, .legend .k-winner { fill: var(--accent); }
.k-does-not-fit path { stroke: var(--soft); stroke-width: 1.6; fill: none; }
:is(.k-fails, .k-screened) .hollow { stroke: var(--soft); }
.hit { fill: transparent; }
.point:hover .hit, .point.lit .hit, .point:focus-visible .hit { stroke: var(--accent); stroke-width: 1.5; }
.point:focus { outline: none; }
#tip { position: absolute; z-index: 2; max-width: 19rem; padding: .5rem .7rem; background: var(--paper); border: 1px solid var(--soft); border-radius: 3px; font-size: .8125rem; line-height: 1.45; white-space: pre-line; pointer-events: none; box-shadow: 0 2px 10px rgb(0 0 0 / .12); }
#tip::first-line { font-weight: 650; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.3rem; margin: .5rem 0 0; padding: 0; font-size: .8125rem; color: var(--soft); }
.legend li { display: flex; align-items: center; gap: .35rem; } .legend svg { width: 20px; height: 20px; }

.scroll { overflow-x: auto; }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: .875rem; font-variant-numeric: lining-nums tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .45rem .9rem .45rem 0; border-bottom: 1px solid var(--faint); font-weight: 400; }
thead th, thead td { border-bottom: 1px solid var(--soft); color: var(--soft); vertical-align: bottom; line-height: 1.3; }
thead button { border: 0; padding: 0; font: inherit; color: inherit; text-align: inherit; }
thead button::after { content: "\\2195"; opacity: .35; margin-left: .25em; }
[aria-sort="ascending"] button::after { content: "\\2191"; opacity: 1; } [aria-sort="descending"] button::after { content: "\\2193"; opacity: 1; }
.number { text-align: right; } td.number { white-space: nowrap; }
td small { display: block; color: var(--soft); font-size: .75rem; line-height: 1.35; }
#trial-table th[scope="row"] { font-weight: 550; min-width: 7rem; max-width: 18rem; }
#trial-table td:last-child { min-width: 14rem; padding-right: 0; }
#trial-table :is(th[scope="row"], thead th:first-child) { position: sticky; left: 0; background: var(--paper); }
#trial-table tbody tr:is(.k-winner, .lit) th { background: var(--raised); }
#trial-table tbody tr.k-winner { background: var(--raised); }
#trial-table tbody tr.k-winner th { padding-left: .7rem; color: var(--accent); box-shadow: inset 3px 0 0 var(--accent); }
#trial-table tbody tr.k-does-not-fit :is(th, td), #trial-table tbody tr:is(.k-not-measured, .k-screened) :is(th, td), #trial-table tbody tr.k-error :is(th, td) { color: var(--soft); }
#trial-table tbody tr.lit { background: var(--raised); }
.filters { display: flex; flex-wrap: wrap; gap: .5rem 1.4rem; align-items: baseline; margin-bottom: .8rem; font-size: .875rem; color: var(--soft); }
input[type="search"], select { font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--rule); border-radius: 3px; padding: .2rem .45rem; max-width: 100%; }
.comparison th[scope="row"], .facts th { color: var(--soft); width: 15rem; }
.comparison td { min-width: 7rem; } .comparison thead th:last-child { color: var(--accent); }
.path, .hash { overflow-wrap: anywhere; }

.rest, .types { list-style: none; margin: 0 0 1rem; padding: 0; font-size: .875rem; display: flex; flex-wrap: wrap; gap: .3rem 1.6rem; }
.types { display: block; color: var(--soft); } .types li { margin: .2rem 0; }
.chip { display: inline-block; min-width: 4.2em; text-align: center; padding: 0 .45em; border-radius: 2px; margin-right: .3em; font: .8125rem/1.6 var(--mono); }
.map { display: grid; grid-template-columns: max-content repeat(var(--layers), minmax(4px, 1fr)); gap: 2px; align-items: center; max-width: calc(9rem + var(--layers) * 3.2rem); margin: 0 0 1rem; }
.map code { padding-right: .7rem; font-size: .8125rem; color: var(--soft); }
.map .cell { height: 1.35rem; border-radius: 1px; position: relative; } .map .none { background: none; border: 1px dotted var(--rule); }
.map .fallback::after { content: ""; position: absolute; left: 50%; top: 50%; width: 5px; height: 5px; margin: -2.5px; border-radius: 50%; background: var(--paper); outline: 1px solid var(--ink); }
.map .tick, .map .axis-name { font-size: .75rem; color: var(--soft); text-align: center; overflow: visible; white-space: nowrap; } .map .axis-name { text-align: right; padding-right: .7rem; }
.b0 { background: var(--b0); } .b1 { background: var(--b1); } .b2 { background: var(--b2); } .b3 { background: var(--b3); } .b4 { background: var(--b4); }
.b5 { background: var(--b5); } .b6 { background: var(--b6); } .b7 { background: var(--b7); } .b8 { background: var(--b8); }
.chip { color: var(--on-light); } .chip.b5 { color: var(--on-middle); } .chip:is(.b6, .b7, .b8) { color: var(--on-dark); }

.regression { margin: 0 0 1.8rem; } .regression h3 small { font-weight: 400; color: var(--soft); } .regression pre { white-space: pre-wrap; overflow-wrap: anywhere; max-height: 16rem; overflow-y: auto; }
.regression .asked { border-left: 3px solid var(--rule); } .regression .expected { margin: .5rem 0; font-size: .875rem; color: var(--soft); }
.answers { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; } .answers > div { min-width: 0; } .answers h4 { font: 600 .8125rem/1.4 var(--sans); color: var(--soft); margin: .5rem 0 .25rem; }
.answers > div:last-child pre { border-left: 3px solid var(--reject); } .answers > div:first-child pre { border-left: 3px solid var(--accept); }
.commands > div { min-width: 0; }
.commands h3 { margin-top: 1.1rem; } .commands p { margin: 0 0 .4rem; font-size: .875rem; color: var(--soft); } p:has(+ .command) { padding-right: 4.5rem; }
.command { position: relative; } .command pre { white-space: pre-wrap; overflow-wrap: anywhere; }
pre { margin: 0; padding: .7rem .9rem; background: var(--raised); border-radius: 3px; overflow-x: auto; line-height: 1.6; }
.command button { position: absolute; right: 0; bottom: calc(100% + .3rem); background: var(--paper); }
.needs { width: 100%; } .needs th { width: 11rem; } .needs td { display: flex; gap: .8rem; align-items: center; }
.need { position: relative; flex: 1; height: 1rem; }
.need::before { content: ""; position: absolute; inset: 0 auto 0 0; width: var(--share); background: var(--soft); opacity: .55; }
.need::after { content: ""; position: absolute; left: var(--limit); top: -.35rem; bottom: -.35rem; border-left: 2px solid var(--infeasible); }
.needs span { width: 5rem; text-align: right; }
footer { margin-top: 2.4rem; padding-top: 1rem; padding-bottom: 2.4rem; font-size: .8125rem; color: var(--soft); }

@media (max-width: 42rem) {
  main, .top, footer { padding-left: 1rem; padding-right: 1rem; }
  .top nav { margin-left: 0; order: 3; width: 100%; }
  .top button { margin-left: auto; }
  .plot.wide { display: none; } .plot.narrow { display: block; }
  .figures { grid-template-columns: 1fr 1fr; } .figures dd { font-size: 1.4rem; }
  .comparison th[scope="row"], .facts th { width: 7rem; }
  .comparison td { min-width: 6rem; } .answers { grid-template-columns: 1fr; gap: .2rem; }
  .needs th { width: 6.5rem; }
}
@media print {
  :root, :root[data-theme="dark"], :root:not([data-theme="light"]) { ${LIGHT} --paper: #fff; }
  body { font-size: 10pt; } main, .top, footer { max-width: none; padding: 0; }
  .top nav, button, .switches, .filters, #tip { display: none !important; }
  .plot.wide { display: block; } .plot.narrow { display: none; }
  .scroll { overflow: visible; } pre { white-space: pre-wrap; }
  h2, h3 { break-after: avoid; } tr, figure, .map, .command { break-inside: avoid; }
  .cell, .chip, .need, .strip i, .strip b { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
`;
