// Putting rows together: by what, and which numbers each group has.

import { focusOn, h, say } from "./builder_dom.js";
import { adder, choice, columnChoice, idOf, nameText, resultNames, rowProblems, sign, typeOf } from "./builder_fields.js";
import { filterView } from "./builder_filters.js";
import { formulaField } from "./builder_formula.js";
import { columnOf, freeName, removeFrom, renameResult, tidy } from "./builder_spec.js";
import { isTime } from "./builder_words.js";

const GRAINS = [["", "each time by itself"], ["minute", "by minute"], ["hour", "by hour"], ["day", "by day"], ["week", "by week"], ["month", "by month"], ["quarter", "by quarter"], ["year", "by year"]];
const FUNCTIONS = [
  ["count", "number of rows"], ["count_distinct", "number of different"], ["sum", "sum of"], ["avg", "average of"], ["min", "smallest"],
  ["max", "greatest"], ["median", "middle value of"], ["stddev", "spread of"], ["any_true", "whether any is true of"], ["all_true", "whether all are true of"],
];
const NUMBERS = new Set(["sum", "avg", "median", "stddev"]);
const TRUTHS = new Set(["any_true", "all_true"]);
const PREFIX = { count: "number_of", count_distinct: "different", sum: "total", avg: "average", min: "smallest", max: "greatest", median: "median", stddev: "spread", any_true: "any", all_true: "all" };

const lastPart = (name) => columnOf(name) || name;

const removeView = (app, list, index, name) => h("div", { class: "builder-tools" }, sign(`Remove ${name}`, "×", () => {
  app.store.change(`remove ${list}[${index}]`, (spec) => removeFrom(spec, list, index));
  say(`${name} is removed.`);
  focusOn(list === "measures" ? "add-measure" : "at-add-group");
}));

// --- groups -------------------------------------------------------------------------------------

const groupOf = (each) => (typeof each === "string" ? { name: lastPart(each), from: each } : each);

const addGroup = (app, from) => app.store.change(`group ${from}`, (spec) => {
  spec.group_by ??= [];
  const own = (spec.columns ?? []).some((column) => column.name === from);
  const time = isTime(typeOf(app, from));
  if (own && !time) spec.group_by.push(from);
  else spec.group_by.push({ name: freeGroup(spec, time ? "day" : lastPart(from), from), from, ...(time ? { grain: "day" } : {}) });
});

// Columns are only names to a summary: a group may be called like the column it is made of.
const freeGroup = (spec, wanted, from) => {
  const taken = new Set([...(spec.group_by ?? []).map((each) => groupOf(each).name), ...(spec.measures ?? []).map((each) => each.name)]);
  const other = (spec.columns ?? []).some((column) => column.name === wanted && column.from !== from);
  return taken.has(wanted) || other ? freeName(spec, wanted) : wanted;
};

const groupRow = (app, each, index) => {
  const path = `group_by[${index}]`;
  const group = groupOf(each);
  const set = (key) => (value) => app.store.change(`${path}.${key}`, (spec) => {
    const next = { ...groupOf(spec.group_by[index]), [key]: value };
    if (key === "name") renameResult(spec, group.name, value);
    if (key === "from" && !isTime(typeOf(app, value))) delete next.grain;
    if (!next.grain) delete next.grain;
    // Only a column of the dataset under its own name is short.
    const short = next.name === next.from && !next.grain && Object.keys(next).length === 2;
    spec.group_by[index] = short ? next.from : next;
  });
  const time = isTime(typeOf(app, group.from)) || group.grain;
  return h("li", { key: `group-${index}`, class: "builder-item" }, h("div", { class: "builder-line" },
    columnChoice(app, { path: typeof each === "string" ? path : `${path}.from`, label: `Group ${index + 1}`, bare: true }, group.from, set("from"), { own: "all" }),
    time ? choice(app, { path: `${path}.grain`, label: `Period of ${group.name}`, bare: true }, GRAINS, group.grain ?? "", set("grain")) : null,
    h("span", { class: "quiet" }, "called"),
    nameText(app, { path: `${path}.name`, label: `Name of group ${index + 1}`, bare: true }, group.name, set("name")),
    removeView(app, "group_by", index, group.name)), typeof each === "string" ? null : rowProblems(app, path));
};

// --- measures -----------------------------------------------------------------------------------

const addMeasure = (app) => {
  let index = 0;
  app.store.change("add measure", (spec) => {
    spec.measures ??= [];
    index = spec.measures.push({ name: freeName(spec, "number_of_rows"), fn: "count" }) - 1;
  });
  focusOn(idOf(`measures[${index}].fn`));
};

const addFormula = (app) => {
  let index = 0;
  app.store.change("add measure", (spec) => {
    spec.measures ??= [];
    index = spec.measures.push({ name: freeName(spec, "ratio"), formula: "" }) - 1;
  });
  focusOn(idOf(`measures[${index}].formula`));
};

const nameFor = (measure) => (measure.of ? `${PREFIX[measure.fn]}_${lastPart(measure.of)}` : "number_of_rows");

const setMeasure = (app, index, part) => app.store.change(`measures[${index}].${Object.keys(part)[0]}`, (spec) => {
  const before = spec.measures[index];
  const next = { ...before, ...part };
  for (const [key, value] of Object.entries(next)) if (value === undefined || (value === "" && key !== "formula" && key !== "name" && key !== "fn")) delete next[key];
  // A name that nobody has chosen says what is counted.
  if (before.fn && !("name" in part) && before.name.replace(/_\d+$/, "") === nameFor(before)) {
    spec.measures[index] = { ...next, name: "" };
    next.name = freeName(spec, nameFor(next));
  }
  spec.measures[index] = next;
  if (next.name !== before.name) renameResult(spec, before.name, next.name);
});

const ofChoice = (app, measure, index) => columnChoice(app, { path: `measures[${index}].of`, label: `Column of number ${index + 1}`, bare: true }, measure.of ?? "", (of) => setMeasure(app, index, { of }), {
  own: true, none: measure.fn === "count" ? "all rows" : undefined,
  fits: NUMBERS.has(measure.fn) ? (family) => family === "number" : TRUTHS.has(measure.fn) ? (family) => family === "truth" : undefined,
});

const measureRow = (app, measure, index) => {
  const path = `measures[${index}]`;
  const named = nameText(app, { path: `${path}.name`, label: `Name of number ${index + 1}`, bare: true }, measure.name, (name) => setMeasure(app, index, { name }));
  if (measure.formula !== undefined) {
    const before = [...resultNames(app).filter((name) => name !== measure.name)].map((name) => [name, name]);
    return h("li", { key: `measure-${index}`, class: "builder-item is-formula" },
      h("div", { class: "builder-line" }, named, h("span", { class: "builder-kind" }, "formula of other numbers"), removeView(app, "measures", index, measure.name)),
      formulaField(app, { path: `${path}.formula`, label: `Formula of ${measure.name}`, value: measure.formula, names: [["Of the result", before]], set: (formula) => setMeasure(app, index, { formula }) }),
      rowProblems(app, path));
  }
  return h("li", { key: `measure-${index}`, class: "builder-item" }, h("div", { class: "builder-line" },
    choice(app, { path: `${path}.fn`, label: `What number ${index + 1} is`, bare: true }, FUNCTIONS, measure.fn, (fn) => setMeasure(app, index, { fn })),
    measure.fn === "count" && !measure.of ? null : ofChoice(app, measure, index),
    h("span", { class: "quiet" }, "called"), named,
    measure.where ? null : h("button", {
      type: "button", class: "link-button small", onclick: () => setMeasure(app, index, { where: { all: [{ col: "", op: "=", value: "" }] } }),
    }, "only where…"),
    removeView(app, "measures", index, measure.name)),
  measure.where ? h("div", { class: "builder-where" }, h("span", { class: "quiet small" }, "only rows where"),
    filterView(app, `${path}.where`, measure.where, (where) => setMeasure(app, index, { where }))) : null,
  rowProblems(app, path));
};

/** Show groups and measures. */
export const summaryView = (app) => {
  const { group_by: groups = [], measures = [], having } = app.store.spec;
  return [
    h("p", { class: "quiet" }, groups.length || measures.length ? "The result has one row for each group, with these numbers."
      : "Put rows together: one row for each country and day, say, with the number of orders and their sum. Leave it empty to keep each row."),
    h("h3", {}, "One row for each"),
    groups.length ? h("ul", { class: "builder-items" }, groups.map((each, index) => groupRow(app, each, index))) : null,
    h("div", { class: "builder-line builder-adders" },
      columnChoice(app, { path: "add-group", label: "Add a group", bare: true }, "", (value) => value && addGroup(app, value), { own: "all", none: "+ Group by…" })),
    h("h3", {}, "With these numbers"),
    measures.length ? h("ul", { class: "builder-items" }, measures.map((each, index) => measureRow(app, each, index))) : null,
    h("div", { class: "builder-line builder-adders" }, adder("Number", () => addMeasure(app), { id: "add-measure" }), adder("Formula of numbers", () => addFormula(app), measures.length ? {} : { disabled: true })),
    groups.length || measures.length ? [h("h3", {}, "Only groups with"), filterView(app, "having", having, (next) => app.store.change("having", (spec) => {
      if (next) spec.having = next;
      else delete spec.having;
      tidy(spec);
    }), true)] : null,
  ];
};
