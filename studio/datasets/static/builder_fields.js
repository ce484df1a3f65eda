// Fields of the forms: each knows its place in the dataset, and shows what the studio says is wrong there.

import { h } from "./builder_dom.js";
import { columnOf } from "./builder_spec.js";
import { familyOf, words } from "./builder_words.js";

/** Return the id of the field at a place such as `columns[2].formula`. */
export const idOf = (path) => `at-${path.replaceAll(/[.[\]]+/g, "-").replace(/-$/, "")}`;

/** Put a label, a control and what is wrong with it together. Labels of fields in rows are for those who hear them. */
export const field = (app, { path, label, hint, bare, wide }, tag, props, ...children) => {
  const wrong = app.problemsAt(path, true);
  const id = idOf(path);
  const described = wrong.length ? `${id}-wrong` : hint ? `${id}-hint` : undefined;
  const control = h(tag, {
    ...props, id, "aria-label": bare ? label : undefined, "aria-invalid": wrong.length ? "true" : undefined, "aria-describedby": described,
  }, ...children);
  return h("div", { key: id, class: `builder-field${wrong.length ? " is-wrong" : ""}${wide ? " is-wide" : ""}` },
    bare ? null : h("label", { for: id }, label), control,
    hint && !wrong.length ? h("span", { class: "hint", id: `${id}-hint` }, hint) : null,
    wrong.length ? h("span", { class: "wrong", id: `${id}-wrong` }, wrong.map((each) => each.message).join(" ")) : null);
};

/** A line of text. `set(value)` is called with each letter. */
export const text = (app, about, value, set, more = {}) => field(app, about, "input", {
  type: "text", autocomplete: "off", spellcheck: "false", ...more, value: value ?? "", oninput: (event) => set(event.target.value),
});

/** Words with commas or spaces between: `set(words)` is called when they are whole. */
export const wordsText = (app, about, words, set) => field(app, about, "input", {
  type: "text", autocomplete: "off", spellcheck: "false", value: (words ?? []).join(", "),
  onchange: (event) => set(event.target.value.split(/[\s,]+/).filter(Boolean)),
});

/** The name of a column: `set(value)` is called when it is whole, since what uses the name follows it. */
export const nameText = (app, about, value, set) => field(app, about, "input", {
  type: "text", autocomplete: "off", spellcheck: "false", maxlength: "63", class: "builder-strong", value: value ?? "",
  // Without a name it keeps the one it has.
  onchange: (event) => event.target.value.trim() && set(event.target.value.trim()),
});

/** A choice of `[value, text]` pairs; what is set and not among them is shown as it is. */
export const choice = (app, about, pairs, value, set, more = {}) => {
  const wanted = value ?? "";
  const all = pairs.some(([each]) => each === wanted) ? pairs : [[wanted, wanted || "Choose…"], ...pairs];
  return field(app, about, "select", { ...more, value: wanted, onchange: (event) => set(event.target.value) },
    all.map(([each, words_]) => h("option", { value: each, selected: each === wanted }, words_)));
};

/** Return the columns of all tables, by table: `[{alias, columns: [{full, name, type}]}]`. */
export const tableColumns = (app) => Object.entries(app.store.spec.sources ?? {}).map(([alias, ref]) => ({
  alias, columns: (app.catalogue.now(ref)?.columns ?? []).map((column) => ({ ...column, full: `${alias}.${column.name}` })),
}));

/** Return the type of a column of a table or of the dataset, as far as it is known. */
export const typeOf = (app, name) => {
  for (const { columns } of tableColumns(app)) {
    const found = columns.find((column) => column.full === name || column.name === name);
    if (found) return found.type;
  }
  const own = (app.store.spec.columns ?? []).find((column) => column.name === name);
  if (own?.from && !own.type) return typeOf(app, own.from);
  return own?.type ?? (app.check.columns ?? []).find((column) => column.name === name)?.type ?? "";
};

/**
 * A choice of a column.
 *
 * `fits(family)` leaves out what does not fit; `own` adds the columns of the dataset's own making; `none` is the text of
 * an empty choice.
 */
export const columnChoice = (app, about, value, set, { fits, own, none, plain } = {}) => {
  const wanted = value ?? "";
  const groups = tableColumns(app).map(({ alias, columns }) => [words(alias), columns
    .filter((column) => column.full === wanted || !fits || fits(familyOf(column.type)))
    .map((column) => [column.full, plain ? column.name : `${words(alias)}: ${column.name}`])]);
  if (own) {
    const made = (app.store.spec.columns ?? []).filter((column) => column.name && (!column.from || own === "all"));
    groups.unshift(["Columns of this dataset", made.map((column) => [column.name, column.name])]);
  }
  const known = groups.some(([, pairs]) => pairs.some(([each]) => each === wanted));
  return field(app, about, "select", { value: wanted, onchange: (event) => set(event.target.value) },
    known ? (none ? h("option", { value: "" }, none) : null) : h("option", { value: wanted, selected: true }, wanted || none || "Choose a column…"),
    groups.filter(([, pairs]) => pairs.length).map(([name, pairs]) => h("optgroup", { key: name, label: name },
      pairs.map(([each, shown]) => h("option", { value: each, selected: each === wanted }, shown)))));
};

/** Ticks for a list of names: `set(list)` keeps the order of `names`. */
export const ticks = (app, { path, label, hint }, names, chosen, set) => {
  const wrong = app.problemsAt(path, true);
  const have = new Set(chosen ?? []);
  const all = [...names, ...[...have].filter((name) => !names.includes(name))];
  return h("fieldset", { key: path, id: idOf(path), class: `builder-ticks${wrong.length ? " is-wrong" : ""}` }, h("legend", {}, label),
    h("div", { class: "builder-line" }, all.length ? all.map((name) => h("label", { key: name },
      h("input", {
        type: "checkbox", checked: have.has(name),
        onchange: (event) => set(all.filter((each) => (each === name ? event.target.checked : have.has(each)))),
      }), name)) : h("span", { class: "quiet small" }, "No columns yet.")),
    hint && !wrong.length ? h("span", { class: "hint" }, hint) : null,
    wrong.length ? h("span", { class: "wrong" }, wrong.map((each) => each.message).join(" ")) : null);
};

/** A small button with a sign, for a row. */
export const sign = (label, shown, onclick, more = {}) => h("button", { type: "button", class: "builder-mini", "aria-label": label, title: label, onclick, ...more }, shown);

/** A button that adds something. */
export const adder = (label, onclick, more = {}) => h("button", { type: "button", class: "quiet-button small-button", onclick, ...more }, `+ ${label}`);

/** What is wrong with a whole row, and not with one field of it. */
export const rowProblems = (app, path) => {
  const wrong = app.problemsAt(path, false);
  return wrong.length ? h("p", { class: "builder-wrong small", id: `${idOf(path)}-wrong` }, wrong.map((each) => each.message).join(" ")) : null;
};

/** Return the names of the result: what readers will see. */
export const resultNames = (app) => {
  const { spec } = app.store;
  if (spec.measures?.length || spec.group_by?.length) {
    const groups = (spec.group_by ?? []).map((each) => (typeof each === "string" ? columnOf(each) || each : each.name));
    return [...groups, ...(spec.measures ?? []).map((measure) => measure.name)].filter(Boolean);
  }
  if (spec.columns?.length) return spec.columns.map((column) => column.name).filter(Boolean);
  return (app.check.columns ?? []).map((column) => column.name);
};
