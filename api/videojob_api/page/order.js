// Asks for a video so that it may be asked for again: an answer that is lost on its way must not make a second video.

import { read, send } from "./api.js";
import { multipart } from "./multipart.js";

export class Orders {
  #unanswered = null;

  /** Ask for a video; where a file goes along, by the one route that takes files. Tells whether it was there already. */
  async place(asked, seed, file) {
    const text = textOf(asked, seed);
    const body = file ? multipart({ ...asked, ...(seed ? { seed } : {}) }, "input_reference", file) : { headers: { "Content-Type": "application/json" }, body: text };
    const headers = { ...body.headers, "Idempotency-Key": this.#keyOf(text, file) };
    const answer = await send(file ? "v1/videos" : "generate", { method: "POST", ...body, headers });
    const { id, job_id: jobId = id } = await read(answer);
    this.#unanswered = null;
    return { jobId, isOld: answer.headers.has("Idempotent-Replayed") };
  }

  /** The same key for the same form, until a video comes of it. */
  #keyOf(text, file) {
    if (this.#unanswered?.text !== text || this.#unanswered.file !== file) this.#unanswered = { text, file, key: newKey() };
    return this.#unanswered.key;
  }
}

// As text: a seed may have more digits than a JavaScript number.
function textOf(asked, seed) {
  const text = JSON.stringify(asked);
  return seed ? `${text.slice(0, -1)},"seed":${BigInt(seed)}}` : text;
}

// Not `crypto.randomUUID`, which there is with HTTPS only.
const newKey = () => [...crypto.getRandomValues(new Uint32Array(4))].map((word) => word.toString(16).padStart(8, "0")).join("");
