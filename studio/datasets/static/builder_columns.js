// The columns of the result: taken from tables, calculated, or looked up in a dictionary.

import { focusOn, h, say } from "./builder_dom.js";
import { adder, choice, columnChoice, field, idOf, nameText, rowProblems, sign, tableColumns, text } from "./builder_fields.js";
import { formulaField } from "./builder_formula.js";
import { addColumn, columnOf, freeName, removeColumn, renameColumn } from "./builder_spec.js";
import { words } from "./builder_words.js";

export const TYPES = [
  ["", "as it is"], ["text", "text"], ["integer", "whole number"], ["bigint", "large whole number"], ["decimal(18,2)", "number with 2 decimals"],
  ["decimal(18,4)", "number with 4 decimals"], ["double", "any number"], ["boolean", "yes or no"], ["date", "date"],
  ["timestamptz", "date and time"], ["timestamp", "date and time without zone"], ["uuid", "UUID"],
];

const edit = (app, index, key) => (value) => app.store.change(`columns[${index}].${key}`, (spec) => {
  if (value) spec.columns[index][key] = value;
  else delete spec.columns[index][key];
});

const moveView = (app, index, last) => {
  const { name } = app.store.spec.columns[index];
  const move = (by) => {
    app.store.change(`move ${name}`, (spec) => {
      const [moved] = spec.columns.splice(index, 1);
      spec.columns.splice(index + by, 0, moved);
    });
    say(`${name} is number ${index + by + 1} now.`);
    focusOn(`column-${by < 0 ? "up" : "down"}-${index + by}`);
  };
  return [
    sign(`Move ${name} up`, "↑", () => move(-1), { id: `column-up-${index}`, disabled: index === 0 }),
    sign(`Move ${name} down`, "↓", () => move(1), { id: `column-down-${index}`, disabled: index === last }),
    sign(`Remove ${name}`, "×", () => {
      app.store.change(`remove column ${name}`, (spec) => removeColumn(spec, index));
      say(`${name} is removed.`);
      focusOn(index < last ? `column-down-${index}` : "at-add-column");
    }),
  ];
};

const rename = (app, index) => (value) => app.store.change(`columns[${index}].name`, (spec) => renameColumn(spec, index, value));

const fromView = (app, column, path, index) => columnChoice(
  app, { path: `${path}.from`, label: `Where ${column.name} comes from`, bare: true }, column.from,
  (value) => app.store.change(`${path}.from`, (spec) => { spec.columns[index].from = value; }),
);

const lookupView = (app, column, path, index) => {
  const { lookup } = column;
  const set = (key) => (value) => app.store.change(`${path}.lookup.${key}`, (spec) => {
    const there = spec.columns[index].lookup;
    if (value === "" && key === "default") delete there.default;
    else there[key] = value;
    if (key === "dictionary") there.value = firstValue(app, value);
  });
  const dictionaries = app.dictionaries().map(({ slug, title }) => [slug, title || slug]);
  const table = lookup.dictionary ? app.catalogue.now({ dictionary: lookup.dictionary }) : undefined;
  const values = (table?.columns ?? []).filter((each) => !each.key).map((each) => [each.name, each.name]);
  return h("div", { class: "builder-line builder-sentence" },
    h("span", {}, "look up"),
    columnChoice(app, { path: `${path}.lookup.key`, label: "Column that is looked up", bare: true }, lookup.key, set("key"), { own: true }),
    h("span", {}, "in"),
    choice(app, { path: `${path}.lookup.dictionary`, label: "Dictionary", bare: true }, dictionaries, lookup.dictionary, set("dictionary")),
    h("span", {}, "and take"),
    choice(app, { path: `${path}.lookup.value`, label: "Value that is taken", bare: true }, values, lookup.value, set("value")),
    h("span", {}, "or else"),
    text(app, { path: `${path}.lookup.default`, label: "What stands for what is not in the dictionary", bare: true }, lookup.default, set("default"), { placeholder: "nothing" }),
    rowProblems(app, `${path}.lookup`));
};

const firstValue = (app, dictionary) => (app.catalogue.now({ dictionary })?.columns ?? []).find((each) => !each.key)?.name ?? "";

const formulaView = (app, column, path) => formulaField(app, {
  path: `${path}.formula`, label: `Formula of ${column.name}`, value: column.formula, names: namesBefore(app, path),
  set: (value) => app.store.change(`${path}.formula`, (spec) => { spec.columns[Number(/\d+/.exec(path)[0])].formula = value; }),
});

const namesBefore = (app, path) => {
  const above = app.store.spec.columns.slice(0, Number(/\d+/.exec(path)[0])).filter((each) => each.name).map((each) => [each.name, each.name]);
  return [["Columns above", above], ...tableColumns(app).map(({ alias, columns }) => [words(alias), columns.map((each) => [each.full, each.name])])];
};

const columnView = (app, column, index, last) => {
  const path = `columns[${index}]`;
  const kind = column.formula !== undefined ? "formula" : column.lookup ? "lookup" : "from";
  return h("li", { key: `column-${index}`, class: `builder-item is-${kind}` },
    h("div", { class: "builder-cells" },
      nameText(app, { path: `${path}.name`, label: `Name of column ${index + 1}`, bare: true }, column.name, rename(app, index)),
      kind === "from" ? fromView(app, column, path, index) : h("span", { class: "builder-kind" }, kind === "formula" ? "formula" : "dictionary"),
      choice(app, { path: `${path}.type`, label: `Type of ${column.name}`, bare: true }, TYPES, column.type, edit(app, index, "type")),
      h("div", { class: "builder-tools" }, moveView(app, index, last))),
    kind === "formula" ? formulaView(app, column, path) : kind === "lookup" ? lookupView(app, column, path, index) : null,
    rowProblems(app, path));
};

const addFormula = (app) => {
  let index = 0;
  app.store.change("add formula", (spec) => {
    spec.columns ??= [];
    index = spec.columns.push({ name: freeName(spec, "formula"), formula: "" }) - 1;
  });
  focusOn(idOf(`columns[${index}].name`));
};

const addLookup = (app) => {
  const dictionary = app.dictionaries()[0]?.slug ?? "";
  let index = 0;
  const put = () => app.store.change("add lookup", (spec) => {
    spec.columns ??= [];
    const value = firstValue(app, dictionary);
    index = spec.columns.push({ name: freeName(spec, value || dictionary || "lookup"), lookup: { dictionary, key: "", value } }) - 1;
  });
  app.catalogue.of({ dictionary }).finally(() => { put(); focusOn(idOf(`columns[${index}].lookup.key`)); });
};

const addView = (app) => h("div", { class: "builder-line builder-adders" },
  field(app, { path: "add-column", label: "Add a column", bare: true }, "select", {
    value: "", class: "builder-add", onchange: (event) => {
      const { value } = event.target;
      event.target.value = "";
      if (value) app.store.change(`column ${value}`, (spec) => addColumn(spec, value));
    },
  }, h("option", { value: "" }, "+ Column…"), tableColumns(app).map(({ alias, columns }) => h("optgroup", { key: alias, label: words(alias) },
    columns.map((each) => h("option", { value: each.full }, columnOf(each.full)))))),
  adder("Formula", () => addFormula(app)),
  adder("From a dictionary", () => addLookup(app), app.dictionaries().length ? {} : { disabled: true, title: "There is no dictionary yet." }));

/** Show the columns. */
export const columnsView = (app) => {
  const columns = app.store.spec.columns ?? [];
  const grouped = app.store.spec.measures?.length || app.store.spec.group_by?.length;
  return [
    h("p", { class: "quiet" }, grouped ? "Since rows are put together under Summarise, these columns are names that groups, measures and filters can use."
      : columns.length ? "What each row of the result has. Change names freely: what uses them follows."
        : "No column is chosen: the result has all columns of all tables. Tick columns in the cards above, or add some here."),
    columns.length ? h("ul", { class: "builder-items" }, columns.map((column, index) => columnView(app, column, index, columns.length - 1))) : null,
    addView(app),
  ];
};
