// Calls of the REST API. A key, once asked for, stays in this tab (sessionStorage) and goes along as a Bearer token.

import { byId } from "./element.js";

const KEY = "videojob-key";
let asking = null;

export class ApiFailure extends Error {
  constructor(status, detail) {
    super(detail.message);
    this.status = status;
    this.code = detail.code;
    this.field = detail.field ?? detail.param ?? null; // under /v1 it is called as OpenAI's clients call it
    this.nearest = detail.nearest ?? null;
  }
}

export const hasKey = () => sessionStorage.getItem(KEY) !== null;

export function forgetKey() {
  sessionStorage.removeItem(KEY);
  location.reload();
}

/** Send a request; asks for a key and sends it again where the service wants one. */
export async function send(path, options = {}) {
  for (;;) {
    const used = sessionStorage.getItem(KEY);
    const headers = { ...options.headers, ...(used ? { Authorization: `Bearer ${used}` } : {}) };
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiFailure(0, { code: "Unreachable", message: "The service does not answer. It is tried again." });
    }
    if (answer.status === 401) {
      if (sessionStorage.getItem(KEY) === used) await askForKey(used !== null);
      continue;
    }
    if (answer.ok) return answer;
    throw await failureOf(answer);
  }
}

export async function call(path, options = {}) {
  const answer = await send(path, options);
  return answer.status === 204 ? null : read(answer);
}

/** Read JSON; a seed with more digits than a Number keeps comes as text. */
export async function read(answer) {
  return JSON.parse(await answer.text(), (key, value, context) =>
    key === "seed" && typeof value === "number" && !Number.isSafeInteger(value) && context ? context.source : value);
}

export const post = (path, body) =>
  call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body });

async function failureOf(answer) {
  const body = await answer.json().catch(() => ({}));
  return new ApiFailure(answer.status, body.error ?? { code: "Unknown", message: `The service answers with ${answer.status}.` });
}

function askForKey(wasRefused) {
  asking ??= new Promise((resolve) => {
    const dialog = byId("ask-key");
    sessionStorage.removeItem(KEY);
    byId("key-error").hidden = !wasRefused;
    byId("key").value = "";
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => {
      sessionStorage.setItem(KEY, byId("key").value);
      byId("forget-key").hidden = false;
      asking = null;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

/** Give a URL that <video> and <a> can use: they cannot send a key, so with one the file is fetched here. */
export async function fileUrl(path) {
  if (!hasKey()) return path;
  try {
    return URL.createObjectURL(await (await send(path)).blob());
  } catch (error) {
    // A script is not told why a fetch failed: the way may have led on to a storage that refuses other pages.
    if (error.status !== 0) throw error;
    throw new ApiFailure(0, { code: "Unreachable", message: "The file cannot be fetched: the service does not answer, or its storage does not let this page read (CORS)." });
  }
}

/** Follow the events of a job; `EventSource` cannot send a key. Ends at the job's end, or when aborted. */
export async function follow(jobId, onStatus, signal) {
  let lastId = "";
  for (;;) {
    try {
      const headers = lastId ? { "Last-Event-ID": lastId } : {};
      const answer = await send(`jobs/${encodeURIComponent(jobId)}/events`, { headers, signal });
      if (answer.status === 204) return;
      for await (const event of eventsOf(answer.body)) {
        if (event.name === "deleted") return;
        if (event.name !== "status") continue;
        lastId = event.id;
        const job = JSON.parse(event.data);
        onStatus(job);
        if (job.status === "completed" || job.status === "failed") return;
      }
    } catch (error) {
      if (signal.aborted || error.status === 404) return;
    }
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

async function* eventsOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split(/\r?\n\r?\n/);
      rest = blocks.pop();
      for (const block of blocks) yield parsed(block);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsed(block) {
  const event = { name: "message", id: "", data: "" };
  for (const line of block.split(/\r?\n/)) {
    const at = line.indexOf(":");
    const value = line.slice(at + 1).replace(/^ /, "");
    if (line.startsWith("event:")) event.name = value;
    else if (line.startsWith("id:")) event.id = value;
    else if (line.startsWith("data:")) event.data += value;
  }
  return event;
}
