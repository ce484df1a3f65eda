// Times that move with the clock: `{relative: "-90d"}` as "in the last 90 days", and back.

import { choice, text } from "./builder_fields.js";
import { h } from "./builder_dom.js";

const UNITS = [["m", "minutes"], ["h", "hours"], ["d", "days"], ["w", "weeks"], ["mo", "months"], ["q", "quarters"], ["y", "years"]];
const PERIODS = [["day", "day"], ["week", "week"], ["month", "month"], ["quarter", "quarter"], ["year", "year"], ["hour", "hour"]];
const ROUNDED = [["", "to the second"], ["day", "from the start of the day"], ["week", "from the start of the week"], ["month", "from the start of the month"], ["year", "from the start of the year"]];
const FORM = /^([+-]?)(\d+)(s|m|h|d|w|mo|q|y)$/;

/** Ways to compare with a time that moves, as `[word, sentence, operator, sign]`. */
export const WAYS = [
  ["last", "is in the last", ">=", "-"],
  ["older", "is longer ago than", "<", "-"],
  ["since", "is since the start of this", ">=", "="],
  ["until", "is before the start of this", "<", "="],
  ["next", "is in the next", "<=", "+"],
  ["later", "is later than in", ">", "+"],
];

const parts = (value) => {
  const found = FORM.exec(value?.relative ?? "");
  return found ? { sign: found[1] || "-", count: found[2], unit: found[3], start: value.start_of ?? "" } : undefined;
};

/** Return which way a condition is; undefined if it is none of them. */
export const wayOf = (condition) => {
  const found = parts(condition.value);
  if (!found) return undefined;
  const kind = found.start && Number(found.count) === 0 ? "=" : found.sign;
  return WAYS.find(([, , op, sign]) => op === condition.op && sign === kind)?.[0];
};

/** Return the condition in another way. */
export const conditionIn = (word, condition) => {
  const [, , op, sign] = WAYS.find(([each]) => each === word);
  const before = parts(condition.value);
  const { timezone } = condition.value ?? {};
  const zone = timezone ? { timezone } : {};
  if (sign === "=") return { col: condition.col, op, value: { relative: "0d", start_of: before?.start || "month", ...zone } };
  const count = before && Number(before.count) ? before.count : "30";
  const keepStart = before?.start && Number(before.count) ? { start_of: before.start } : {};
  return { col: condition.col, op, value: { relative: `${sign}${count}${before && Number(before.count) ? before.unit : "d"}`, ...keepStart, ...zone } };
};

/** Show what belongs to the way: a number and a unit, or a period. */
export const relativeView = (app, path, condition, way, set) => {
  const { sign, count, unit, start } = parts(condition.value);
  const put = (value) => set({ ...condition, value: { ...(condition.value.timezone ? { timezone: condition.value.timezone } : {}), ...value } });
  if (way === "since" || way === "until") {
    return choice(app, { path: `${path}.value.start_of`, label: "Period", bare: true }, PERIODS, start, (value) => put({ relative: "0d", start_of: value }));
  }
  const rounded = start ? { start_of: start } : {};
  return [
    text(app, { path: `${path}.value.relative`, label: "How many", bare: true }, count, (value) => {
      const digits = value.replaceAll(/\D/g, "").slice(0, 5);
      if (digits) put({ relative: `${sign}${Number(digits)}${unit}`, ...rounded });
    }, { inputmode: "numeric", class: "builder-short" }),
    choice(app, { path: `${path}.value.unit`, label: "Unit", bare: true }, UNITS, unit, (value) => put({ relative: `${sign}${count}${value}`, ...rounded })),
    way === "last" ? choice(app, { path: `${path}.value.start_of`, label: "Counted", bare: true }, ROUNDED, start, (value) => put({
      relative: `${sign}${count}${unit}`, ...(value ? { start_of: value } : {}),
    })) : way === "later" || way === "next" ? h("span", { class: "quiet" }, "from now") : null,
  ];
};
