// How the dataset is kept: when it is refreshed, what is remembered of it, and what must be true before it is published.

import { h } from "./builder_dom.js";
import { adder, choice, resultNames, rowProblems, sign, text, ticks } from "./builder_fields.js";
import { scheduleField } from "./builder_schedule.js";
import { tidy } from "./builder_spec.js";
import { isTime } from "./builder_words.js";

const AGES = [["", "never"], ["15m", "after 15 minutes"], ["1h", "after an hour"], ["6h", "after 6 hours"], ["26h", "after a day and 2 hours"], ["7d", "after a week"]];
const DEADLINES = [["1m", "1 minute"], ["2m", "2 minutes"], ["", "10 minutes"], ["30m", "30 minutes"], ["2h", "2 hours"]];
const KEPT = [["1", "only the present one"], ["", "the present one and the one before"], ["3", "three"], ["5", "five"]];
const RAW = [["30d", "30 days"], ["", "90 days"], ["52w", "a year"]];
const DAILY = [["52w", "a year"], ["", "3 years"], ["520w", "10 years"]];

const setIn = (app, part, key) => (value) => app.store.change(`${part}.${key}`, (spec) => {
  spec[part] = { ...spec[part], [key]: value };
  if (value === "" || value === undefined) delete spec[part][key];
  if (part === "snapshot" && key === "schedule" && !value) delete spec.snapshot;
  tidy(spec);
});

const schedule = (app, part, label) => {
  const path = `${part}.schedule`;
  const { schedule: cron = "", timezone: zone = "UTC" } = app.store.spec[part] ?? {};
  return scheduleField({
    id: `at-${part}-schedule`, label, cron, zone, told: app.ui.told[`${cron} ${zone}`], other: app.ui.otherTimes === part,
    problem: app.problemsAt(path, true).map((each) => each.message).join(" "),
    choose: (next, kind) => {
      app.ui.otherTimes = kind === "cron" ? part : "";
      setIn(app, part, "schedule")(next);
      app.render();
    },
    chooseZone: (next) => setIn(app, part, "timezone")(next === "UTC" ? "" : next),
  });
};

/** Show when the dataset is refreshed, and how long copies stay. */
export const refreshView = (app) => {
  const { cache = {} } = app.store.spec;
  return [
    h("p", { class: "quiet" }, "Readers see a copy, so that nobody waits for the databases behind it. A refresh makes a new copy beside it and swaps them when it is whole and checked."),
    schedule(app, "cache", "Refresh"),
    h("div", { class: "builder-two" },
      choice(app, { path: "cache.max_age", label: "Call it stale" }, AGES, cache.max_age, setIn(app, "cache", "max_age")),
      choice(app, { path: "cache.deadline", label: "Give a refresh up after" }, DEADLINES, cache.deadline, setIn(app, "cache", "deadline")),
      choice(app, { path: "cache.keep_generations", label: "Keep copies" }, KEPT, cache.keep_generations === undefined ? "" : String(cache.keep_generations),
        (value) => setIn(app, "cache", "keep_generations")(value ? Number(value) : ""))),
    ticks(app, { path: "cache.key", label: "Columns that tell rows apart (optional)", hint: "Makes looking up single rows fast, and stops a refresh that would repeat one." }, resultNames(app), cache.key, setIn(app, "cache", "key")),
  ];
};

/** Show what is remembered over time. */
export const historyView = (app) => {
  const { snapshot, measures = [] } = app.store.spec;
  const numbers = measures.length ? measures.map((each) => each.name) : resultNames(app);
  const rest = resultNames(app).filter((name) => !measures.some((each) => each.name === name));
  const keep = (key) => (value) => app.store.change(`keep.${key}`, (spec) => {
    spec.snapshot.keep = { ...spec.snapshot.keep, [key]: value };
    if (!value) delete spec.snapshot.keep[key];
    if (!Object.keys(spec.snapshot.keep).length) delete spec.snapshot.keep;
  });
  return [
    h("p", { class: "quiet" }, "Databases forget what they said yesterday. A snapshot writes the numbers down at fixed times: trends and forecasts are made of them."),
    schedule(app, "snapshot", "Write the numbers down"),
    snapshot ? [
      ticks(app, { path: "snapshot.metrics", label: "Numbers", hint: measures.length ? "None ticked: all of them." : "Columns of numbers." }, numbers.filter(Boolean), snapshot.metrics, setIn(app, "snapshot", "metrics")),
      ticks(app, { path: "snapshot.by", label: "Kept apart by", hint: "One series for each of their values." }, rest, snapshot.by, setIn(app, "snapshot", "by")),
      h("div", { class: "builder-two" },
        choice(app, { path: "snapshot.keep.raw", label: "Keep each point" }, RAW, snapshot.keep?.raw, keep("raw")),
        choice(app, { path: "snapshot.keep.daily", label: "and the last of each day" }, DAILY, snapshot.keep?.daily, keep("daily"))),
      h("label", { class: "builder-line" }, h("input", {
        type: "checkbox", checked: Boolean(snapshot.rows), onchange: (event) => setIn(app, "snapshot", "rows")(event.target.checked ? true : ""),
      }), "Keep whole rows too (takes much more space)"),
    ] : null,
  ];
};

const FRESH = [["1h", "an hour"], ["6h", "6 hours"], ["26h", "a day and 2 hours"], ["7d", "a week"], ["31d", "a month"]];
const CHECKS = [
  ["not_empty", "There are rows", () => ({ not_empty: true })],
  ["min_rows", "There are enough rows", () => ({ min_rows: 1 })],
  ["row_drop_max", "Rows do not drop suddenly", () => ({ row_drop_max: "30%" })],
  ["unique", "Values are not repeated", (names) => ({ unique: names.slice(0, 1) })],
  ["not_null", "Values are not missing", (names) => ({ not_null: names.slice(0, 1) })],
  ["fresh", "The data is recent", (names, times) => ({ fresh: { col: times[0] ?? names[0] ?? "", max_age: "26h" } })],
  ["joins", "Joins match as expected", () => ({ joins: true })],
];

const checkView = (app, check, index) => {
  const path = `checks[${index}]`;
  const kind = CHECKS.find(([key]) => key in check)?.[0] ?? "not_empty";
  const set = (value) => app.store.change(`${path}.${kind}`, (spec) => { spec.checks[index][kind] = value; });
  const digits = (value) => Number(value.replaceAll(/\D/g, "").slice(0, 9));
  const details = {
    min_rows: () => text(app, { path: `${path}.min_rows`, label: "At least this many rows", bare: true }, check.min_rows, (value) => set(digits(value) || 1), { inputmode: "numeric", class: "builder-medium" }),
    row_drop_max: () => [h("span", { class: "quiet" }, "by more than"), text(app, { path: `${path}.row_drop_max`, label: "Percent", bare: true }, check.row_drop_max.replace("%", ""), (value) => set(`${digits(value)}%`), { inputmode: "numeric", class: "builder-short" }), h("span", { class: "quiet" }, "% at once")],
    fresh: () => [
      h("span", { class: "quiet" }, "the latest"),
      choice(app, { path: `${path}.fresh.col`, label: "Column of times", bare: true }, resultNames(app).map((name) => [name, name]), check.fresh.col, (col) => set({ ...check.fresh, col })),
      h("span", { class: "quiet" }, "is not older than"),
      choice(app, { path: `${path}.fresh.max_age`, label: "Greatest age", bare: true }, FRESH, check.fresh.max_age, (age) => set({ ...check.fresh, max_age: age })),
    ],
    unique: () => ticks(app, { path: `${path}.unique`, label: "Together not repeated" }, resultNames(app), check.unique, set),
    not_null: () => ticks(app, { path: `${path}.not_null`, label: "Never missing" }, resultNames(app), check.not_null, set),
  };
  return h("li", { key: `check-${index}`, class: "builder-item" }, h("div", { class: "builder-line" },
    h("strong", {}, CHECKS.find(([key]) => key === kind)[1]), details[kind]?.(),
    choice(app, { path: `${path}.blocking`, label: "If it is not so", bare: true }, [["", "or it is not published"], ["no", "or there is a warning"]], check.blocking === false ? "no" : "",
      (value) => app.store.change(`${path}.blocking`, (spec) => {
        if (value) spec.checks[index].blocking = false;
        else delete spec.checks[index].blocking;
      })),
    h("div", { class: "builder-tools" }, sign("Remove this check", "×", () => app.store.change(`out ${path}`, (spec) => { spec.checks.splice(index, 1); tidy(spec); })))),
  rowProblems(app, path));
};

/** Show what must be true before rows are published. */
export const checksView = (app) => {
  const { checks = [] } = app.store.spec;
  const times = app.check.columns.filter((column) => isTime(column.type)).map((column) => column.name);
  const left = CHECKS.filter(([key]) => ["unique", "not_null"].includes(key) || !checks.some((check) => key in check));
  return [
    h("p", { class: "quiet" }, "What must be true of a new copy before readers see it. Otherwise they keep the last good one."),
    checks.length ? h("ul", { class: "builder-items" }, checks.map((check, index) => checkView(app, check, index))) : null,
    h("div", { class: "builder-line builder-adders" }, left.map(([key, label, make]) => adder(label, () => app.store.change(`check ${key}`, (spec) => {
      spec.checks = [...(spec.checks ?? []), make(resultNames(app), times)];
    }), { key }))),
  ];
};
