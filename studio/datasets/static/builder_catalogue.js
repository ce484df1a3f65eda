// The columns of tables, asked for once each.

import { refKey } from "./builder_spec.js";

const WAIT_MS = 20;

/** Return the catalogue: `now(ref)` says what is known, `of(ref)` waits for it. */
export const makeCatalogue = (api, changed) => {
  const known = new Map();
  let wanted = [];
  let timer;

  // What is asked for at the same time goes in one request.
  const fetchWanted = async () => {
    const batch = wanted;
    wanted = [];
    let tables;
    try {
      ({ tables } = await api.post("/datasets/builder/tables", { refs: batch.map((each) => each.ref) }));
    } catch (error) {
      tables = batch.map(() => ({ columns: [], problem: error.message, failed: true }));
    }
    batch.forEach(({ key, done }, at) => {
      const entry = known.get(key);
      entry.table = tables[at];
      done(tables[at]);
      // Asked for again when it is needed again.
      if (tables[at].failed) entry.promise = undefined;
    });
    changed();
  };

  const of = (ref) => {
    const key = refKey(ref);
    const entry = known.get(key) ?? {};
    known.set(key, entry);
    entry.promise ??= new Promise((done) => {
      wanted.push({ key, ref, done });
      clearTimeout(timer);
      timer = setTimeout(fetchWanted, WAIT_MS);
    });
    return entry.promise;
  };

  return {
    of,
    now(ref) {
      const entry = known.get(refKey(ref));
      if (!entry) of(ref);
      return entry?.table;
    },
    forget() { known.clear(); },
  };
};
