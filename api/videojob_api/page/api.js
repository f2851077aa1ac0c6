// Calls of the REST API.

import { askForKey, currentKey, hasKey } from "./key.js";

export class ApiFailure extends Error {
  constructor(status, detail) {
    super(detail.message);
    this.status = status;
    this.code = detail.code;
    this.field = detail.field ?? detail.param ?? null; // under /v1 it is called as OpenAI's clients call it
    this.nearest = detail.nearest ?? null;
  }

  /** Tell whether what was asked for may have been done all the same. */
  get isUncertain() {
    return this.status === 0 || this.status >= 500;
  }
}

const unreachable = (message) => new ApiFailure(0, { code: "Unreachable", message });

/** Send a request; asks for a key and sends it again where the service wants one. */
export async function send(path, options = {}) {
  for (;;) {
    const used = currentKey();
    const headers = { ...options.headers, ...(used ? { Authorization: `Bearer ${used}` } : {}) };
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw unreachable("The service does not answer.");
    }
    if (answer.status === 401) {
      if (currentKey() === used) await askForKey(used !== null);
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
  return JSON.parse(await whole(answer.text()), (key, value, context) =>
    key === "seed" && typeof value === "number" && !Number.isSafeInteger(value) && context ? context.source : value);
}

async function whole(body) {
  try {
    return await body;
  } catch {
    throw unreachable("The answer of the service broke off.");
  }
}

async function failureOf(answer) {
  const body = await answer.json().catch(() => ({}));
  return new ApiFailure(answer.status, body.error ?? { code: "Unknown", message: `The service answers with ${answer.status}.` });
}

/** Ask for a file. A script is not told why a fetch failed, and the way may have led on to S3: so see who does not answer. */
export async function sendForFile(path, options = {}) {
  try {
    return await send(path, options);
  } catch (error) {
    if (error.status !== 0 || !(await isUp())) throw error;
    throw unreachable("The service answers, but the file cannot be fetched. Where files come straight from S3, its bucket must let this page read them (a CORS rule).");
  }
}

const isUp = () => fetch("healthz").then((answer) => answer.ok, () => false);

/** Give a URL that <video> and <a> can use: they cannot send a key, so with one the file is fetched here. */
export async function fileUrl(path) {
  if (!hasKey()) return path;
  return URL.createObjectURL(await whole((await sendForFile(path)).blob()));
}

/**
 * Follow the events of a job; `EventSource` cannot send a key. Ends at the job's end, or when aborted; tells whether
 * there is no such job any more.
 */
export async function follow(jobId, onStatus, signal) {
  let lastId = "";
  for (;;) {
    try {
      const headers = lastId ? { "Last-Event-ID": lastId } : {};
      const answer = await send(`jobs/${encodeURIComponent(jobId)}/events`, { headers, signal });
      if (answer.status === 204) return false;
      for await (const event of eventsOf(answer.body)) {
        if (event.name === "deleted") return true;
        if (event.name !== "status") continue;
        lastId = event.id;
        const job = JSON.parse(event.data);
        onStatus(job);
        if (job.status === "completed" || job.status === "failed") return false;
      }
    } catch (error) {
      if (signal.aborted || error.status === 404) return !signal.aborted;
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
