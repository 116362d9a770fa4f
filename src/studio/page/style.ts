// What the studio wears beyond the report's dress.
export const STUDIO_STYLE = `
#state::before { content: ""; display: inline-block; width: .55em; height: .55em; border-radius: 50%; margin-right: .4em; background: var(--soft); }
#state.live::before { background: var(--accept); } #state.lost::before { background: var(--reject); }
#runs { padding-top: .4rem; }
#run-list { list-style: none; display: flex; flex-wrap: wrap; gap: .5rem; margin: 0; padding: 0; }
#run-list button { text-align: left; padding: .45rem .8rem; line-height: 1.4; color: var(--ink); }
#run-list button[aria-current="true"] { border-color: var(--accent); box-shadow: inset 0 -2px var(--accent); }
#run-list small { display: block; color: var(--soft); }
#verdict { --stamp: var(--accent); }
.live-plot { display: block; width: 100%; height: 26rem; font: 13px var(--sans); }
.live-plot text { fill: var(--soft); font-variant-numeric: tabular-nums; }
.live-plot .name { fill: var(--ink); paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }
.live-plot .point:focus-visible circle { stroke: var(--accent); stroke-width: 3; }
.live-plot .point circle { fill: var(--ink); } .live-plot .point.hollow circle { fill: var(--paper); stroke: var(--ink); stroke-width: 1.4; }
.live-plot .point.k-winner circle { fill: var(--accent); } .live-plot .point.now circle { stroke: var(--accent); stroke-width: 2.5; }
.live-plot .point .hit { fill: transparent !important; stroke: none !important; }
.regression.same .answers > div pre { border-left-color: var(--rule); } .regression.won .answers > div:first-child pre { border-left-color: var(--reject); } .regression.won .answers > div:last-child pre { border-left-color: var(--accept); }
input[type="range"] { vertical-align: middle; accent-color: var(--accent); width: 9rem; }
#rows th { font-weight: 550; } #rows .k-winner { background: var(--raised); } #rows .k-winner th { color: var(--accent); }
#rows .k-does-not-fit, #rows .k-planned { color: var(--soft); }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; margin-bottom: .6rem; font-size: .875rem; color: var(--soft); }
.pair select { max-width: 100%; width: 100%; }
#talk { max-height: 32rem; overflow-y: auto; }
.turn { margin: 0 0 .9rem; } .turn .asked { font-weight: 600; margin: 0 0 .3rem; white-space: pre-wrap; }
.turn .answers pre { white-space: pre-wrap; overflow-wrap: anywhere; } .turn .answers > div:nth-child(n) pre { border-left: 3px solid var(--rule); }
.turn .error { color: var(--reject); }
#ask { display: flex; flex-wrap: wrap; gap: .6rem; align-items: end; margin: .6rem 0 2.5rem; }
#ask textarea { flex: 1 1 14rem; min-width: 0; font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--rule); border-radius: 3px; padding: .4rem .6rem; resize: vertical; }
#ask button, #more-cases { min-height: 2rem; padding: .2rem .9rem; }
@media (max-width: 42rem) { .live-plot { height: 20rem; } .turn .answers { grid-template-columns: 1fr 1fr; } #ask textarea { flex-basis: 100%; } }
`;
