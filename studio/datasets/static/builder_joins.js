// How the tables belong together, as sentences: what is proposed, what is there, and a way to say it without drawing.

import { h, focusOn, say } from "./builder_dom.js";
import { join } from "./builder_canvas.js";
import { choice, columnChoice, idOf, rowProblems, sign } from "./builder_fields.js";
import { columnOf, tableOf, tidy, unjoined } from "./builder_spec.js";
import { keeps, listed, many, relations, words } from "./builder_words.js";

const SHOWN = 6;

const areJoined = (spec, one, other) => (spec.joins ?? []).some(
  (each) => (each.left === one && each.right === other) || (each.left === other && each.right === one),
);

const pairOf = (suggestion) => suggestion.on[0];

/** Return what is proposed for tables that are not joined with each other yet, the best first. */
export const openSuggestions = (app) => {
  const { spec } = app.store;
  return (app.ui.suggestions ?? []).filter((each) => each.left in (spec.sources ?? {}) && each.right in spec.sources
    && !areJoined(spec, each.left, each.right));
};

const chipView = (app, suggestion) => {
  const [left, right] = pairOf(suggestion);
  const more = suggestion.on.length > 1 ? ` and ${suggestion.on.length - 1} more` : "";
  const expect = relations(suggestion.left, suggestion.right).find(([value]) => value === suggestion.expect)?.[1];
  return h("button", {
    key: `${left}=${right}`, type: "button", class: "builder-chip", title: [suggestion.why, expect].filter(Boolean).join(": "),
    "aria-label": `Join ${left} with ${right}${more}${suggestion.why ? `, ${suggestion.why}` : ""}`,
    onclick: () => {
      const type = suggestion.type ?? "left";
      const at = join(app, left, right, { type, ...(suggestion.expect ? { expect: suggestion.expect } : {}) });
      app.store.change(`join ${left} ${right}`, (spec) => { spec.joins[at].on = structuredClone(suggestion.on); });
      focusOn(idOf(`joins[${at}].type`));
    },
  }, h("span", { class: "builder-plus", "aria-hidden": "true" }, "+"),
  h("span", {}, `${words(tableOf(left))}.${columnOf(left)} = ${words(tableOf(right))}.${columnOf(right)}${more}`),
  suggestion.why ? h("span", { class: "quiet small" }, suggestion.why) : null);
};

const pairView = (app, index, each, at) => {
  const path = `joins[${index}].on[${at}]`;
  const set = (side) => (value) => app.store.change(path + side, (spec) => { spec.joins[index].on[at][side] = value; });
  const only = (alias) => app.store.spec.sources[alias] && columnsOf(app, alias);
  return h("div", { key: `pair-${at}`, class: "builder-line" },
    at ? h("span", { class: "quiet" }, "and") : null,
    sideChoice(app, path, 0, each, set(0), only(app.store.spec.joins[index].left)),
    h("span", { class: "quiet" }, "is the same as"),
    sideChoice(app, path, 1, each, set(1), only(app.store.spec.joins[index].right)),
    app.store.spec.joins[index].on.length > 1 ? sign("Take this pair out", "×", () => app.store.change(`out ${path}`, (spec) => { spec.joins[index].on.splice(at, 1); })) : null);
};

const columnsOf = (app, alias) => (app.catalogue.now(app.store.spec.sources[alias])?.columns ?? []).map((column) => [`${alias}.${column.name}`, `${words(alias)}: ${column.name}`]);

const sideChoice = (app, path, side, pair, set, options) => choice(
  app, { path: `${path}[${side}]`, label: `Column of ${tableOf(pair[side])}`, bare: true }, options ?? [], pair[side], set,
);

const joinView = (app, each, index) => {
  const path = `joins[${index}]`;
  const set = (key) => (value) => app.store.change(`${path}.${key}`, (spec) => {
    if (value) spec.joins[index][key] = value;
    else delete spec.joins[index][key];
  });
  const warning = (app.preview.warnings ?? []).filter((one) => one.path === path || one.path.startsWith(`${path}.`));
  const wholePairs = each.on.map((_, at) => `${path}.on[${at}]`).flatMap((place) => app.problemsAt(place, false));
  return h("li", { key: `${each.left}-${each.right}`, class: "builder-join" },
    h("fieldset", {}, h("legend", {}, `${words(each.left)} and ${words(each.right)}`),
      each.on.map((pair, at) => pairView(app, index, pair, at)),
      h("div", { class: "builder-two" },
        choice(app, { path: `${path}.type`, label: "Keep" }, keeps(each.left, each.right), each.type ?? "left", set("type")),
        choice(app, { path: `${path}.expect`, label: "Expect that" }, [["", "nothing: do not check"], ...relations(each.left, each.right)], each.expect ?? "", set("expect"))),
      wholePairs.length ? h("p", { class: "builder-wrong small" }, wholePairs.map((one) => one.message).join(" ")) : null,
      rowProblems(app, path),
      warning.map((one) => h("p", { class: "builder-warning small" }, one.message)),
      h("div", { class: "builder-line" },
        h("button", {
          type: "button", class: "link-button small", onclick: () => app.store.change(`and ${path}`, (spec) => {
            const [left, right] = [columnsOf(app, each.left), columnsOf(app, each.right)];
            spec.joins[index].on.push([left[0]?.[0] ?? `${each.left}.`, right[0]?.[0] ?? `${each.right}.`]);
          }),
        }, "and also another column"),
        h("button", {
          type: "button", class: "link-button small", "aria-label": `Do not join ${each.left} and ${each.right}`,
          onclick: () => {
            app.store.change(`out ${path}`, (spec) => { spec.joins.splice(index, 1); tidy(spec); });
            say("The join is taken out.");
            focusOn("at-join-left");
          },
        }, "do not join"))));
};

const formView = (app) => {
  const { draft } = app.ui;
  const about = (side, label) => ({ path: `join-${side}`, label });
  const set = (side) => (value) => { draft[side] = value; app.render(); };
  const fits = draft.left && draft.right && tableOf(draft.left) !== tableOf(draft.right);
  const hint = draft.left && draft.right && !fits ? "Choose columns of two different tables." : "";
  return h("form", {
    class: "builder-line builder-draw", "aria-label": "Join two columns",
    onsubmit: (event) => {
      event.preventDefault();
      if (!fits) { say(hint || "Choose two columns first."); return; }
      const index = join(app, draft.left, draft.right);
      app.ui.draft = { left: "", right: "" };
      app.render();
      focusOn(idOf(`joins[${index}].type`));
    },
  }, columnChoice(app, about("left", "Join this column"), draft.left, set("left"), { none: "Choose a column…" }),
  columnChoice(app, about("right", "with this one"), draft.right, set("right"), { none: "Choose a column…" }),
  h("button", { class: "quiet-button", "aria-disabled": String(!fits) }, "Join"),
  hint ? h("span", { class: "builder-wrong small", role: "status" }, hint) : null);
};

/** Show proposals, joins, and the form; nothing while there is only one table. */
export const joinsView = (app) => {
  const { sources = {}, joins = [] } = app.store.spec;
  if (Object.keys(sources).length < 2) return null;
  const alone = unjoined(app.store.spec);
  const proposed = openSuggestions(app).slice(0, SHOWN);
  return h("section", { id: idOf("joins"), tabindex: "-1", class: "builder-joins", "aria-labelledby": "joins-title" },
    h("h2", { id: "joins-title" }, "How they belong together"),
    alone.length ? h("p", { class: "builder-warning" }, `${listed(alone.map(many))} ${alone.length > 1 ? "are" : "is"} not joined yet: drag a column onto the one it is the same as${proposed.length ? ", or take a proposal" : ""}.`) : null,
    proposed.length ? h("div", { class: "builder-chips", role: "group", "aria-label": "Proposed joins" }, proposed.map((each) => chipView(app, each))) : null,
    joins.length ? h("ul", { class: "builder-join-list" }, joins.map((each, index) => joinView(app, each, index))) : null,
    h("details", { open: !joins.length || undefined }, h("summary", {}, "Join columns by choosing them"), formView(app)));
};
