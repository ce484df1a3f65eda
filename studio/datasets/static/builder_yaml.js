// The same dataset as its file. What is written here is what the forms show, and the other way round.

import { debounced } from "./builder_api.js";
import { h } from "./builder_dom.js";

const WAIT_MS = 500;

/** Return the part of the page that keeps text and forms the same. */
export const makeYaml = (app) => {
  const state = { text: "", problems: [], of: undefined, state: "", reading: false };

  const read = debounced(async (signal) => {
    try {
      const { spec } = await app.api.post("/datasets/builder/spec", { text: state.text }, signal);
      state.problems = [];
      state.state = "Taken over.";
      state.reading = true; // what was typed stays as it was typed
      app.store.replace(spec);
      state.reading = false;
      state.of = app.store.spec;
    } catch (error) {
      if (error.name === "AbortError") throw error;
      state.problems = error.problems ?? [{ path: "", message: error.message }];
      state.state = "";
    }
    app.render();
  }, WAIT_MS);

  /** Write the dataset as text, unless the text is what it was made of. */
  const write = async () => {
    const { spec } = app.store;
    if (state.reading || state.of === spec) return;
    state.of = spec;
    try {
      const { text } = await app.api.post("/datasets/builder/yaml", { spec });
      if (app.store.spec !== spec) return;
      Object.assign(state, { text, problems: [], state: "" });
    } catch (error) {
      state.problems = [{ path: "", message: error.message }];
    }
    app.render();
  };

  const view = () => h("section", { class: "builder-yaml", role: "tabpanel", id: "panel-yaml", "aria-labelledby": "view-yaml" },
    h("p", { class: "quiet" }, "The whole dataset as a file, such as can be kept in the project’s folder ", h("code", {}, "datasets"), ". Changes count at once, here and in the forms."),
    h("textarea", {
      id: "yaml-text", class: "mono", rows: "28", spellcheck: "false", "aria-label": "The dataset as YAML", "aria-describedby": "yaml-state",
      "aria-invalid": state.problems.length ? "true" : undefined, value: state.text,
      oninput: (event) => { state.text = event.target.value; state.state = "…"; read.soon(); },
    }),
    h("div", { id: "yaml-state", role: "status" }, state.problems.length
      ? h("ul", { class: "builder-wrong" }, state.problems.map(({ path, message, line }) => h("li", {}, [line ? `Line ${line}` : "", path, message].filter(Boolean).join(": "))))
      : h("span", { class: "quiet small" }, state.state)));

  return { write, view };
};
