// One job by itself, at its own address (#job=…), live by server-sent events.

import { call, follow } from "./api.js";
import { JobView } from "./card.js";
import { byId, make } from "./element.js";

export class Viewer {
  #dialog = byId("viewer");
  #body = byId("viewer-body");
  #stop = null;
  #view = null;
  #jobId = null;
  actions = null;

  constructor() {
    this.#dialog.querySelector("[data-close]").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("click", (event) => { if (event.target === this.#dialog) this.#dialog.close(); });
    this.#dialog.addEventListener("close", () => this.#closed());
  }

  /** Show a job and follow it. */
  async open(jobId) {
    if (this.#jobId === jobId) return;
    this.#end();
    this.#jobId = jobId;
    this.#body.replaceChildren(make("p", { className: "line" }, "One moment …"));
    if (!this.#dialog.open) this.#dialog.showModal();
    try {
      const job = await call(`jobs/${encodeURIComponent(jobId)}`);
      if (this.#jobId === jobId) this.#show(job);
    } catch (error) {
      const text = error.status === 404 ? "There is no such video (any more)." : error.message;
      if (this.#jobId === jobId) this.#tell(text);
    }
  }

  close() {
    if (this.#dialog.open) this.#dialog.close();
  }

  async #show(job) {
    const view = new JobView(this.actions, { large: true });
    this.#view = view;
    this.#body.replaceChildren(make("article", { className: "large" }, ...view.parts));
    view.update(job);
    this.#stop = new AbortController();
    const isGone = await follow(job.job_id, (state) => view.update(state), this.#stop.signal);
    if (isGone && this.#view === view) this.#tell("This video was deleted.");
  }

  /** Say something in the place of a job. */
  #tell(text) {
    this.#view?.discard();
    this.#body.replaceChildren(make("p", { className: "line", role: "alert" }, text));
  }

  #closed() {
    this.#end();
    if (location.hash.startsWith("#job=")) history.replaceState(null, "", location.pathname);
  }

  #end() {
    this.#stop?.abort();
    this.#view?.discard();
    this.#body.replaceChildren();
    this.#stop = this.#view = this.#jobId = null;
  }
}
