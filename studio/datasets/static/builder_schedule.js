// Schedules in plain words: what a person chooses becomes a cron expression, and an expression becomes the choice again.

import { h } from "./builder_dom.js";
import { weekdays } from "./builder_words.js";

const KINDS = [
  ["", "only by hand"],
  ["minutes", "every few minutes"],
  ["hours", "every few hours"],
  ["day", "every day"],
  ["week", "every week"],
  ["month", "every month"],
  ["cron", "at other times (cron)"],
];
const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const MINUTES = ["5", "10", "15", "20", "30"];
const HOURS = ["1", "2", "3", "4", "6", "8", "12"];

/** Return what a cron expression says as a choice: `{kind, every, time, day, cron}`. */
export const choiceOf = (cron) => {
  const text = cron ?? "";
  const base = { every: "15", time: "06:00", day: "1", cron: text };
  let found;
  if (!text) return { ...base, kind: "" };
  if ((found = /^\*\/(\d+) \* \* \* \*$/.exec(text)) && MINUTES.includes(found[1])) return { ...base, kind: "minutes", every: found[1] };
  if (text === "0 * * * *") return { ...base, kind: "hours", every: "1" };
  if ((found = /^0 \*\/(\d+) \* \* \*$/.exec(text)) && HOURS.includes(found[1])) return { ...base, kind: "hours", every: found[1] };
  if ((found = /^(\d+) (\d+) (\*|\d+) \* (\*|\d)$/.exec(text))) {
    const [, minute, hour, day, weekday] = found;
    const time = `${hour.padStart(2, "0")}:${minute.padStart(2, "0")}`;
    if (day === "*" && weekday === "*") return { ...base, kind: "day", time };
    if (day === "*") return { ...base, kind: "week", time, day: weekday === "7" ? "0" : weekday };
    if (weekday === "*") return { ...base, kind: "month", time, day };
  }
  return { ...base, kind: "cron" };
};

/** Return the cron expression of a choice; "" for none. */
export const cronOf = ({ kind, every, time, day, cron }) => {
  const [hour, minute] = (time || "06:00").split(":").map(Number);
  switch (kind) {
    case "minutes": return `*/${MINUTES.includes(every) ? every : "15"} * * * *`;
    case "hours": return !HOURS.includes(every) || every === "1" ? "0 * * * *" : `0 */${every} * * *`;
    case "day": return `${minute} ${hour} * * *`;
    case "week": return `${minute} ${hour} * * ${day}`;
    case "month": return `${minute} ${hour} ${day === "0" ? "1" : day} * *`;
    case "cron": return cron;
    default: return "";
  }
};

/**
 * Show a schedule as a row of choices.
 *
 * Args: `id` of the first field, `label`, the expression, its time zone, `told` (what the studio says of it), whether the
 * choice "at other times" was made, `choose(cron, kind)` and `chooseZone(zone)`.
 */
export const scheduleField = ({ id, label, cron, zone, told, other, problem, choose, chooseZone }) => {
  const choice = choiceOf(cron);
  if (other) choice.kind = "cron";
  const set = (part) => {
    const next = { ...choice, ...part };
    if (part.kind === "cron" && !next.cron) next.cron = "0 6 * * *";
    if (part.kind === "hours") next.every = "1";
    if (part.kind === "minutes") next.every = "15";
    choose(cronOf(next), next.kind);
  };
  const options = (pairs, value) => pairs.map(([each, text]) => h("option", { value: each, selected: each === value }, text));
  const plain = (values, unit) => values.map((each) => [each, each === "1" ? unit : `${each} ${unit}s`]);
  const pick = (name, text, pairs, value) => h("select", {
    id: `${id}-${name}`, "aria-label": `${label}: ${text}`, value, onchange: (event) => set({ [name]: event.target.value }),
  }, options(pairs, value));
  const zones = [...new Set(["UTC", HERE, zone].filter(Boolean))];
  const zoneView = () => h("select", {
    id: `${id}-zone`, class: "builder-zone", "aria-label": `${label}: time zone`, value: zone || "UTC", onchange: (event) => chooseZone(event.target.value),
  }, options(zones.map((each) => [each, each]), zone || "UTC"));
  const time = () => [h("span", {}, "at"), h("input", {
    id: `${id}-time`, type: "time", required: true, value: choice.time, "aria-label": `${label}: time of day`,
    onchange: (event) => event.target.value && set({ time: event.target.value }),
  }), zoneView()];
  const monthDays = Array.from({ length: 28 }, (_, index) => [String(index + 1), `day ${index + 1}`]);
  const details = {
    minutes: () => pick("every", "how often", plain(MINUTES, "minute"), choice.every),
    hours: () => pick("every", "how often", plain(HOURS, "hour"), choice.every),
    day: time,
    week: () => [h("span", {}, "on"), pick("day", "day", weekdays, choice.day), time()],
    month: () => [h("span", {}, "on"), pick("day", "day", monthDays, choice.day), time()],
    cron: () => [h("input", {
      id: `${id}-cron`, class: "mono", value: choice.cron, "aria-label": `${label}: minute, hour, day, month, weekday`,
      spellcheck: "false", oninput: (event) => choose(event.target.value.trim(), "cron"),
    }), zoneView()],
  };
  return h("div", { class: `builder-field${problem ? " is-wrong" : ""}` },
    h("label", { for: id }, label),
    h("div", { class: "builder-line" },
      h("select", { id, value: choice.kind, onchange: (event) => set({ kind: event.target.value }) }, options(KINDS, choice.kind)),
      details[choice.kind]?.()),
    problem ? h("span", { class: "wrong", id: `${id}-wrong` }, problem) : told ? h("span", { class: "hint" }, told) : null);
};
