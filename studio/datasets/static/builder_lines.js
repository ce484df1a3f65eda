// The lines between joined columns: worked out from where the cards are on the page.

import { h, patch } from "./builder_dom.js";

const REACH = 56;

const anchorOf = (canvas, column) => {
  const row = canvas.querySelector(`[data-column="${CSS.escape(column)}"]`);
  const card = row?.closest(".builder-card");
  if (!card) return undefined;
  const [outer, inner, list] = [canvas.getBoundingClientRect(), row.getBoundingClientRect(), row.parentElement.getBoundingClientRect()];
  const frame = card.getBoundingClientRect();
  // A column that is scrolled out of its card is joined at the edge of the list.
  const middle = Math.min(Math.max(inner.top + inner.height / 2, list.top + 4), list.bottom - 4);
  return {
    y: middle - outer.top + canvas.scrollTop,
    left: frame.left - outer.left + canvas.scrollLeft,
    right: frame.right - outer.left + canvas.scrollLeft,
  };
};

/** Return the path between two anchors, and the middle of it: through the gap, or round the right side. */
export const pathBetween = (a, b) => {
  const bow = (x1, y1, x2, y2, out1, out2) => ({
    d: `M${x1},${y1} C${x1 + out1},${y1} ${x2 + out2},${y2} ${x2},${y2}`,
    x: (x1 + x2) / 2 + (out1 + out2) * 0.375, y: (y1 + y2) / 2,
  });
  if (a.right + 16 <= b.left) return bow(a.right, a.y, b.left, b.y, REACH, -REACH);
  if (b.right + 16 <= a.left) return bow(a.left, a.y, b.right, b.y, -REACH, REACH);
  const edge = Math.max(a.right, b.right);
  return bow(a.right, a.y, b.right, b.y, edge - a.right + 28, edge - b.right + 28);
};

const SIGNS = { one_to_many: "1 : n", many_to_one: "n : 1", one_to_one: "1 : 1", many_to_many: "n : n" };

/** Draw all joins, and the one that is being drawn. */
export const drawLines = (app) => {
  const canvas = document.getElementById("builder-canvas");
  const svg = canvas?.querySelector("svg");
  if (!svg) return;
  const shapes = [];
  const places = new Map();
  (app.store.spec.joins ?? []).forEach((join, index) => {
    const wrong = app.problemsAt(`joins[${index}]`, true).length > 0;
    join.on.forEach(([left, right], at) => {
      const [a, b] = [anchorOf(canvas, left), anchorOf(canvas, right)];
      if (!a || !b) return;
      const path = pathBetween(a, b);
      shapes.push(h("path", { key: `${index}-${at}`, d: path.d, class: `builder-edge${wrong ? " is-wrong" : ""}` }));
      if (at === 0) places.set(index, path);
    });
  });
  const { drag } = app.ui;
  if (drag?.to) {
    const from = anchorOf(canvas, drag.column);
    if (from) shapes.push(h("path", { key: "drag", d: pathBetween(from, { left: drag.to.x, right: drag.to.x, y: drag.to.y }).d, class: "builder-edge is-drawn" }));
  }
  svg.style.width = "0";
  svg.style.height = "0";
  svg.style.width = `${canvas.scrollWidth}px`;
  svg.style.height = `${canvas.scrollHeight}px`;
  patch(svg, shapes);
  for (const badge of canvas.querySelectorAll("[data-join]")) {
    const place = places.get(Number(badge.dataset.join));
    badge.hidden = !place;
    if (place) {
      badge.style.left = `${place.x}px`;
      badge.style.top = `${place.y}px`;
    }
  }
};

/** Return the sign of an expected relation. */
export const signOf = (join) => SIGNS[join.expect] ?? "=";
