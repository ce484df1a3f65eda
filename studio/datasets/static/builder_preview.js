// The first rows of the result as it would be now, what is wrong with the definition, and how long it took.

import { focusOn, h } from "./builder_dom.js";
import { idOf } from "./builder_fields.js";
import { unjoined } from "./builder_spec.js";
import { duration, familyOf, typeWords } from "./builder_words.js";

const SHOWN_CHARACTERS = 160;
export const ROWS = 50;

const TABS = [
  [/^(columns|$)/, "columns"], [/^(filters|order_by|limit|text_compare)/, "filters"], [/^(group_by|measures|having)/, "summary"],
  [/^cache/, "refresh"], [/^snapshot/, "history"], [/^checks/, "checks"],
];

/** Return the tab that a place of the dataset is on; "" for what is always seen. */
export const tabOf = (path) => (path ? TABS.find(([pattern]) => pattern.test(path))?.[1] ?? "" : "");

/** Go to the field of a place, or to what is nearest to it. */
export const goTo = (app, path) => {
  const alias = /^sources\.([a-z0-9_]+)/.exec(path)?.[1];
  const wanted = unjoined(app.store.spec).includes(alias) ? "joins" : path;
  const tab = tabOf(path);
  if (tab) app.ui.tab = tab;
  app.ui.view = "build";
  app.render();
  requestAnimationFrame(() => {
    for (let place = wanted; place; place = place.replace(/(\.[^.[\]]+|\[\d+\])$|^[^.[]+$/, "")) {
      const found = document.getElementById(idOf(place)) ?? document.getElementById(`${idOf(place)}-wrong`)?.closest("li");
      if (found) {
        found.scrollIntoView({ block: "center" });
        focusOn(found.matches("input, select, textarea, button, [tabindex]") ? found.id : found.querySelector("input, select, textarea, button")?.id);
        return;
      }
    }
    if (alias) focusOn(`card-${alias}`);
  });
};

const shownValue = (value) => {
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
};

const cell = (value, family) => {
  if (value === null || value === undefined) return h("td", { class: "quiet" }, h("span", { "aria-label": "no value" }, "–"));
  if (typeof value === "boolean") return h("td", {}, value ? "yes" : "no");
  return h("td", { class: family === "number" ? "number" : undefined }, shownValue(value));
};

const tableOfRows = ({ columns, rows }) => {
  const families = columns.map((column) => familyOf(column.type));
  return h("div", { class: "scroll builder-rows", tabindex: "0", role: "region", "aria-label": "First rows of the result" },
    h("table", { class: "data" },
      h("thead", {}, h("tr", {}, columns.map((column, at) => h("th", { scope: "col", class: families[at] === "number" ? "number" : undefined, title: column.type }, column.name, h("small", {}, typeWords(column.type)))))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((value, at) => cell(value, families[at])))))));
};

const KINDS = [
  [/^columns\[(\d+)\]/, (spec, at) => `Column ${spec.columns?.[at]?.name ?? at}`], [/^measures\[(\d+)\]/, (spec, at) => `Number ${spec.measures?.[at]?.name ?? at}`],
  [/^group_by\[(\d+)\]/, (spec, at) => `Group ${spec.group_by?.[at]?.name ?? spec.group_by?.[at] ?? at}`],
  [/^joins\[(\d+)\]/, (spec, at) => (spec.joins?.[at] ? `${spec.joins[at].left} and ${spec.joins[at].right}` : "Join")],
  [/^(filters|having)/, () => "Condition"], [/^checks\[/, () => "Check"], [/^cache/, () => "Refresh"], [/^snapshot/, () => "History"], [/^order_by/, () => "Order"],
];

const placeWords = (spec, path) => {
  const found = KINDS.map(([pattern, say]) => [pattern.exec(path), say]).find(([match]) => match);
  return found ? `${found[1](spec, found[0][1])}: ` : "";
};

const problemsView = (app) => {
  const { problems } = app.check;
  if (!problems.length) return null;
  return h("div", { class: "note bad", role: "status" },
    h("strong", {}, problems.length > 1 ? `${problems.length} things are missing or wrong` : "One thing is missing or wrong"),
    h("ul", {}, problems.slice(0, 8).map(({ path, message }) => h("li", {}, path ? h("a", {
      href: `#${idOf(path)}`, onclick: (event) => { event.preventDefault(); goTo(app, path); },
    }, placeWords(app.store.spec, path), message) : message))));
};

const stateView = (app) => {
  const { preview } = app;
  if (preview.running) {
    return [h("span", { class: "builder-spin", "aria-hidden": "true" }), h("span", {}, "Asking the databases…"),
      h("span", { class: "nums quiet", "aria-hidden": "true" }, duration(performance.now() - preview.startedAt)),
      h("button", { type: "button", class: "quiet-button small-button", onclick: () => app.cancelPreview() }, "Stop")];
  }
  if (preview.cancelled) return h("span", { class: "quiet" }, "Stopped.");
  if (!preview.columns) return null;
  const rows = `${preview.rows.length === ROWS ? "the first " : ""}${preview.rows.length} ${preview.rows.length === 1 ? "row" : "rows"}`;
  return h("span", { class: "quiet nums" }, `${rows} in ${duration(preview.elapsedMs)}`, preview.stale ? " · of the definition before" : "");
};

const cached = { key: undefined, view: undefined };
const rowsView = (preview) => {
  // Hundreds of cells are described once, not with each letter typed elsewhere.
  if (cached.key !== preview.rows) Object.assign(cached, { key: preview.rows, view: tableOfRows(preview) });
  return cached.view;
};

/** Show the preview. */
export const previewView = (app) => {
  const { preview } = app;
  const empty = !Object.keys(app.store.spec.sources ?? {}).length;
  return h("section", { class: "builder-preview", "aria-labelledby": "preview-title" },
    h("div", { class: "builder-line builder-bar" },
      h("h2", { id: "preview-title" }, "Preview"), h("div", { class: "builder-line", role: "status", "aria-live": "polite" }, stateView(app)),
      h("div", { class: "builder-tools" },
        h("label", { class: "builder-line small" }, h("input", {
          type: "checkbox", checked: app.ui.auto, disabled: !app.mayPreview, onchange: (event) => { app.ui.auto = event.target.checked; app.render(); if (app.ui.auto) app.previewSoon(); },
        }), "Update by itself"),
        h("button", { type: "button", class: "quiet-button small-button", disabled: empty || !app.mayPreview, title: "Ctrl+Enter", onclick: () => app.previewNow() }, "Look now"))),
    problemsView(app),
    preview.problem ? h("div", { class: "note bad", role: "alert" }, preview.problem) : null,
    (preview.warnings ?? []).length && !preview.stale ? h("div", { class: "note warn", role: "status" }, preview.warnings.length > 1
      ? h("ul", {}, preview.warnings.map(({ message }) => h("li", {}, message))) : preview.warnings[0].message) : null,
    preview.columns ? [
      preview.rows.length ? h("div", { class: preview.stale ? "is-stale" : "" }, rowsView(preview)) : h("p", { class: "empty" }, "No row is left: the filters and joins keep none."),
    ] : empty ? h("p", { class: "empty" }, "The first rows appear here as soon as there is a table.") : null,
    preview.sql || app.check.sql ? h("details", { class: "builder-sql" }, h("summary", {}, "Show SQL"),
      h("pre", { tabindex: "0" }, h("code", {}, app.check.sql || preview.sql)),
      preview.plan?.length ? [h("p", { class: "quiet small" }, "How the warehouse goes about it:"), h("pre", { tabindex: "0" }, h("code", {}, preview.plan.join("\n")))] : null) : null);
};
