// The chat page's looks: one column, the reader's own font and colours, dark or light as the system is.
export const STYLE = `
:root { color-scheme: light dark; --line: color-mix(in srgb, CanvasText 18%, Canvas); --soft: color-mix(in srgb, CanvasText 6%, Canvas); --accent: light-dark(#0b57d0, #8ab4f8); }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100dvh; display: flex; flex-direction: column; background: Canvas; color: CanvasText; font: 1rem/1.5 system-ui, sans-serif; }
header, main, form { width: 100%; max-width: 46rem; margin: 0 auto; padding: 0.75rem 1rem; }
header { display: flex; flex-wrap: wrap; gap: 0.5rem 0.75rem; align-items: center; border-bottom: 1px solid var(--line); }
h1 { flex: 1 1 4rem; font-size: 1.1rem; margin: 0; overflow-wrap: anywhere; }
main { flex: 1; }
.turn { margin: 0 0 1rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.turn.user { background: var(--soft); border-radius: 0.75rem; padding: 0.5rem 0.75rem; width: fit-content; max-width: 90%; margin-left: auto; }
.turn.waiting::after { content: "…"; opacity: 0.6; }
.turn.error { border-left: 3px solid light-dark(#b3261e, #f2b8b5); padding-left: 0.75rem; }
.who { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.note { font-size: 0.9rem; color: color-mix(in srgb, CanvasText 70%, Canvas); }
form { position: sticky; bottom: 0; display: flex; gap: 0.5rem; align-items: end; background: Canvas; border-top: 1px solid var(--line); }
textarea { flex: 1; min-height: 3rem; max-height: 40dvh; resize: none; field-sizing: content; min-width: 0; }
textarea, select, input, button { font: inherit; color: inherit; background: var(--soft); border: 1px solid var(--line); border-radius: 0.5rem; padding: 0.5rem 0.75rem; }
button { cursor: pointer; min-height: 2.75rem; }
button.main { background: var(--accent); color: light-dark(#fff, #10131a); border-color: transparent; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
input, select { max-width: 11rem; }
button:disabled { opacity: 0.5; cursor: default; }
`;
