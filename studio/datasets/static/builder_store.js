// The state of the page: the dataset as it is (the same JSON as its file), what was before, and what only the page knows.

const KEPT_STEPS = 200;
const SAME_STEP_MS = 1200;

/**
 * Keep a dataset with its history.
 *
 * `change(what, edit)` gives `edit` a copy to alter. Changes of the same `what` soon after each other, such as the letters
 * of a word, are one step.
 */
export const makeStore = (spec, changed) => {
  const past = [];
  const future = [];
  let current = spec;
  let last = { what: "", at: 0 };

  const put = (next, into, from) => {
    into.push(current);
    current = next;
    if (from) from.pop();
    changed();
  };

  return {
    get spec() { return current; },
    get mayUndo() { return past.length > 0; },
    get mayRedo() { return future.length > 0; },
    change(what, edit) {
      const next = structuredClone(current);
      edit(next);
      if (JSON.stringify(next) === JSON.stringify(current)) return;
      const now = performance.now();
      const goesOn = what === last.what && now - last.at < SAME_STEP_MS && past.length > 0;
      last = { what, at: now };
      future.length = 0;
      if (!goesOn) past.push(current);
      if (past.length > KEPT_STEPS) past.shift();
      current = next;
      changed();
    },
    /** Put another dataset in its place, as one step. */
    replace(next) {
      this.change("replace", (spec) => {
        for (const key of Object.keys(spec)) delete spec[key];
        Object.assign(spec, structuredClone(next));
      });
      last = { what: "", at: 0 };
    },
    undo() {
      last = { what: "", at: 0 };
      if (past.length) put(past.at(-1), future, past);
    },
    redo() {
      last = { what: "", at: 0 };
      if (future.length) put(future.at(-1), past, future);
    },
  };
};
