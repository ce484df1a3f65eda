// What the page asks the studio, with the login of the browser.

/** The studio said no. `problems` are `{path, message}`: what is wrong where in the dataset. */
export class Refused extends Error {
  constructor(status, told) {
    super(told.detail || `The studio answered ${status}.`);
    this.status = status;
    this.code = told.code ?? "";
    const lines = told.problems?.length ? told.problems : [this.message];
    this.problems = lines.map((line) => (typeof line === "string" ? problemOf(line) : line));
  }
}

// `joins[0].on[1]: message`, as errors are written everywhere.
const PLACE = /^([a-z_]+(?:\.[a-z_][a-z0-9_]*|\[\d+\])*): (.+)$/s;

const problemOf = (line) => {
  const found = PLACE.exec(line);
  return found ? { path: found[1], message: found[2] } : { path: "", message: line };
};

// Somebody who has logged in again in another tab goes on here: what is asked with a login carries its own token.
const csrfOfPage = async () => {
  const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
  return page.getElementById("builder")?.dataset.csrf ?? "";
};

/** Return functions that ask; each takes an `AbortSignal` last. */
export const makeApi = (first) => {
  let csrf = first;
  const ask = async (method, path, body, signal, again = true) => {
    const headers = { Accept: "application/json", "X-CSRF-Token": csrf };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let answer;
    try {
      answer = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused(0, { detail: "The studio cannot be reached. Is it still running?" });
    }
    const told = (answer.headers.get("content-type") ?? "").includes("json") ? await answer.json() : {};
    if (answer.status === 401) {
      throw new Refused(401, { ...told, detail: "Your login has ended. Log in in another tab and save again here: nothing is lost." });
    }
    if (answer.status === 403 && again) {
      const renewed = await csrfOfPage();
      if (renewed && renewed !== csrf) {
        csrf = renewed;
        return ask(method, path, body, signal, false);
      }
    }
    if (!answer.ok) throw new Refused(answer.status, told);
    return told;
  };
  return {
    get: (path, signal) => ask("GET", path, undefined, signal),
    post: (path, body, signal) => ask("POST", path, body, signal),
    put: (path, body, signal) => ask("PUT", path, body, signal),
  };
};

/**
 * Return a function that runs `work(signal)` a while after the last call, and gives up the run before.
 *
 * Answers of runs that were given up are never seen, however late they come.
 */
export const debounced = (work, waitMs) => {
  let timer;
  let running;
  const stop = () => {
    clearTimeout(timer);
    running?.abort();
    running = undefined;
  };
  const run = async () => {
    stop();
    const mine = running = new AbortController();
    try {
      await work(mine.signal);
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    } finally {
      if (running === mine) running = undefined;
    }
  };
  return {
    soon() { clearTimeout(timer); timer = setTimeout(run, waitMs); },
    now: run,
    stop,
  };
};
