// What each layer became: a map of layers by kind of tensor, coloured by bits per weight, and the same as a table.
import type { Certificate } from "../fit/certificate.js";
import { GGML_TYPES, parseGgmlType } from "../formats/gguf/ggml-types.js";
import { formatBytes } from "../support/units.js";
import { type Html, html } from "./html.js";
import { percent } from "./numbers.js";

type Layer = NonNullable<Certificate["winner"]>["tensors"][number];

/** Upper ends of the steps of colour, in bits per weight. */
const STEPS = [2.5, 3.5, 4.3, 4.8, 5.6, 7, 9, 16.5];

export function layersSection(certificate: Certificate): Html | undefined {
  const tensors = certificate.winner?.tensors ?? [];
  if (tensors.length === 0) return undefined;
  // Norms and biases stay as they are and are a thousandth of the size; the table has them.
  const shown = tensors.filter((tensor) => !/(?:_norm\.weight|\.bias)$/.test(tensor.name));
  const blocks = new Map<number, Map<string, Layer>>();
  const rest: Layer[] = [];
  for (const tensor of shown) {
    const match = /^blk\.(\d+)\.(.+?)(?:\.weight)?$/.exec(tensor.name);
    if (!match) rest.push(tensor);
    else {
      const index = Number(match[1]);
      blocks.set(index, (blocks.get(index) ?? new Map<string, Layer>()).set(match[2]!, tensor));
    }
  }
  const changed = tensors.filter((tensor) => tensor.from !== tensor.to).length;
  const fallbacks = tensors.filter((tensor) => tensor.fallbackFrom).length;
  return html`<section id="layers">
    <h2>What each layer became</h2>
    <p>
      ${changed} of ${tensors.length} tensors changed
      type${fallbacks > 0 && html`; ${fallbacks} hold a larger type than asked for, marked with a dot, because their rows do not fit the one asked for`}.
      Norms are left out of the map.
    </p>
    ${
      rest.length > 0 &&
      html`<ul class="rest">
        ${rest.map((tensor) => html`<li><code>${tensor.name}</code> <span class="chip ${step(tensor.to)}">${tensor.to}</span> ${formatBytes(tensor.sizeBytes)}</li>`)}
      </ul>`
    }
    ${blocks.size > 0 && heatMap(blocks)} ${typeTotals(tensors)}
    <details>
      <summary>All ${tensors.length} tensors</summary>
      <div class="scroll" tabindex="0" role="region" aria-label="Table of tensors">
        <table>
          <thead>
            <tr>
              <th scope="col">Tensor</th>
              <th scope="col">From</th>
              <th scope="col">To</th>
              <th scope="col">Asked for</th>
              <th scope="col" class="number">Size</th>
            </tr>
          </thead>
          <tbody>
            ${tensors.map(
              (tensor) =>
                html`<tr>
                  <th scope="row"><code>${tensor.name}</code></th>
                  <td>${tensor.from}</td>
                  <td>${tensor.to}</td>
                  <td>${tensor.fallbackFrom ?? tensor.to}</td>
                  <td class="number">${formatBytes(tensor.sizeBytes)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </details>
  </section>`;
}

function heatMap(blocks: ReadonlyMap<number, ReadonlyMap<string, Layer>>): Html {
  const indices = [...blocks.keys()].sort((a, b) => a - b);
  const kinds = [...new Set(indices.flatMap((index) => [...blocks.get(index)!.keys()]))];
  const every = Math.ceil(indices.length / 12);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Map of layers">
    <div
      class="map"
      role="img"
      aria-label="Map of ${indices.length} layers by ${kinds.length} kinds of tensor; the table below has the same"
      style="--layers:${indices.length}"
    >
      ${kinds.map((kind) => html`<code>${kind}</code>${indices.map((index) => cell(blocks.get(index)!.get(kind)))}`)}
      <span class="axis-name">layer</span
      >${indices.map((index, place) => html`<span class="tick">${place % every === 0 && index}</span>`)}
    </div>
  </div>`;
}

function cell(tensor: Layer | undefined): Html {
  if (!tensor) return html`<i class="cell none"></i>`;
  const fallback = tensor.fallbackFrom ? ` (asked for ${tensor.fallbackFrom})` : "";
  return html`<i
    class="cell ${step(tensor.to)}${tensor.fallbackFrom && " fallback"}"
    title="${tensor.name}: ${tensor.to}${fallback}, ${formatBytes(tensor.sizeBytes)}"
  ></i>`;
}

/** The map's legend, which also says how the bytes are spread. */
function typeTotals(tensors: readonly Layer[]): Html {
  const totals = new Map<string, { count: number; bytes: number }>();
  for (const { to, sizeBytes } of tensors) {
    const total = totals.get(to) ?? { count: 0, bytes: 0 };
    totals.set(to, { count: total.count + 1, bytes: total.bytes + sizeBytes });
  }
  const all = tensors.reduce((sum, tensor) => sum + tensor.sizeBytes, 0) || 1;
  const rows = [...totals].sort((a, b) => b[1].bytes - a[1].bytes);
  return html`<ul class="types">
    ${rows.map(
      ([type, { count, bytes }]) =>
        html`<li>
          <span class="chip ${step(type)}">${type}</span> ${bits(type)} bits per weight, ${count}
          ${count === 1 ? "tensor" : "tensors"}, ${percent(bytes / all)} of the bytes
        </li>`,
    )}
  </ul>`;
}

/** The class of a type's colour. */
function step(type: string): string {
  const bitsPerWeight = bitsOf(type);
  if (bitsPerWeight === undefined) return "none";
  const index = STEPS.findIndex((upper) => bitsPerWeight <= upper);
  return `b${index === -1 ? STEPS.length : index}`;
}

function bits(type: string): string {
  return (
    bitsOf(type)
      ?.toFixed(2)
      .replace(/\.?0+$/, "") ?? "?"
  );
}

function bitsOf(type: string): number | undefined {
  try {
    return GGML_TYPES[parseGgmlType(type)].bitsPerWeight;
  } catch {
    return undefined;
  }
}
