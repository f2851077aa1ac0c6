// The jobs, newest first, asked for again and again: often while one is at work, rarely otherwise, never while hidden.

import { call, fileUrl, read, send } from "./api.js";
import { JobView } from "./card.js";
import { announce, byId, make, say } from "./element.js";
import { hasKey } from "./key.js";
import { isOver } from "./state.js";

const PAGE = 24;
const BUSY_MILLISECONDS = 1500;
const QUIET_MILLISECONDS = 8000;
const AWAITED_MILLISECONDS = 60_000;
const FILE_MILLISECONDS = 60_000;
const STALE = "X-Videojob-Stale-Seconds";

export class Gallery {
  #cards = new Map();
  #list = byId("jobs");
  #limit = PAGE;
  #timer = 0;
  #turn = 0;
  #awaited = null;
  #hooks;

  constructor(hooks) {
    this.#hooks = hooks;
    this.actions = {
      download: (job) => this.#download(job),
      cancel: (job) => this.#cancel(job),
      again: (job) => this.#hooks.again(job),
      share: (job) => this.#share(job),
      remove: (job) => this.#remove(job),
    };
  }

  start() {
    byId("filter").addEventListener("change", () => { this.#limit = PAGE; this.refresh(); });
    byId("older").addEventListener("click", () => { this.#limit += PAGE; this.refresh(); });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.refresh(); });
    this.refresh();
  }

  /** Ask now; a job that was just made is waited for: it may be asked of a replica that has not heard of it. */
  async refresh(made = null) {
    clearTimeout(this.#timer);
    const turn = ++this.#turn;
    if (made) {
      byId("filter").value = "";
      this.#awaited = { id: made, until: Date.now() + AWAITED_MILLISECONDS };
    }
    let pause = QUIET_MILLISECONDS;
    try {
      const { jobs, rest, stale } = await this.#ask();
      if (turn !== this.#turn) return;
      this.#show(jobs);
      byId("older").hidden = rest === null || this.#limit >= 480;
      this.#sayAge(stale);
      if (this.#isAwaiting() || jobs.some((job) => !isOver(job))) pause = BUSY_MILLISECONDS;
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#warn(`${error.message} It is tried again; what you see may be old.`);
    }
    if (!document.hidden) this.#timer = setTimeout(() => this.refresh(), pause);
  }

  /** Tell whether the job that was just made is not shown yet; bring it into sight once it is. */
  #isAwaiting() {
    const card = this.#cards.get(this.#awaited?.id);
    card?.item.scrollIntoView({ block: "nearest" });
    if (card || byId("filter").value !== "" || Date.now() > this.#awaited?.until) this.#awaited = null;
    return this.#awaited !== null;
  }

  async #ask() {
    const query = new URLSearchParams({ order: "desc", limit: String(this.#limit) });
    if (byId("filter").value) query.set("status", byId("filter").value);
    const answer = await send(`jobs?${query}`);
    const body = await read(answer);
    return { jobs: body.jobs, rest: body.continue, stale: answer.headers.get(STALE) };
  }

  #show(jobs) {
    const present = new Set(jobs.map((job) => job.job_id));
    for (const [id, card] of this.#cards) {
      if (present.has(id)) continue;
      card.view.discard();
      card.item.remove();
      this.#cards.delete(id);
    }
    let previous = null;
    for (const job of jobs) {
      const card = this.#cards.get(job.job_id) ?? this.#add(job);
      this.#tellOfChange(card.view.job, job);
      card.view.update(job);
      const place = previous ? previous.nextElementSibling : this.#list.firstElementChild;
      if (place !== card.item) this.#list.insertBefore(card.item, place);
      previous = card.item;
    }
    byId("empty").hidden = jobs.length > 0 || byId("filter").value !== "";
    this.#list.hidden = jobs.length === 0;
  }

  #add(job) {
    const view = new JobView(this.actions);
    const open = make("button", { type: "button", className: "open" }, "Open");
    open.setAttribute("aria-label", `Open: ${job.request.prompt.slice(0, 120)}`);
    open.addEventListener("click", () => this.#hooks.open(view.job));
    view.stage.addEventListener("click", () => { if (view.job.status !== "completed") this.#hooks.open(view.job); });
    view.parts[1].prepend(open);
    const item = make("li", {}, make("article", { className: "card" }, ...view.parts));
    const card = { view, item };
    this.#cards.set(job.job_id, card);
    return card;
  }

  #tellOfChange(before, now) {
    if (!before || before.status === now.status || !isOver(now)) return;
    announce(now.status === "completed" ? `Ready: ${now.request.prompt.slice(0, 80)}` : `Failed: ${now.message ?? now.reason ?? ""}`);
  }

  #sayAge(stale) {
    if (stale === null) this.#warn("");
    else this.#warn(`The cluster does not answer. This is what was known ${stale} s ago.`);
  }

  #warn(text) {
    say(byId("stale"), text);
  }

  async #download(job) {
    if (hasKey()) this.#flash("Fetching the video …");
    await this.#attempt(async () => {
      const link = make("a", { href: await fileUrl(job.video_url.slice(1)), download: `${job.job_id}.mp4` });
      document.body.append(link);
      link.click();
      link.remove();
      // Of a file in memory: browsers go on reading it after the click.
      setTimeout(() => URL.revokeObjectURL(link.href), FILE_MILLISECONDS);
    }, "The download begins.");
  }

  async #cancel(job) {
    await this.#attempt(() => call(`jobs/${job.job_id}/cancel`, { method: "POST" }), "Cancelling.");
  }

  async #share(job) {
    const address = new URL(`#job=${job.job_id}`, location.href).href;
    try {
      await navigator.clipboard.writeText(address);
      announce("The link is copied.");
      this.#flash("Link copied");
    } catch {
      location.hash = `job=${job.job_id}`;
      this.#flash("The link is in the address bar");
    }
  }

  async #remove(job) {
    const dialog = byId("confirm");
    say(byId("confirm-text"), job.request?.prompt ?? job.job_id);
    dialog.returnValue = "no";
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    if (dialog.returnValue !== "yes") return;
    await this.#attempt(() => call(`jobs/${job.job_id}`, { method: "DELETE" }), "Deleted.");
    if (location.hash === `#job=${job.job_id}`) location.hash = "";
  }

  async #attempt(act, done) {
    try {
      await act();
      announce(done);
    } catch (error) {
      this.#flash(error.message);
    }
    this.refresh();
  }

  /** Show a word in the place of the last one, for as long as it takes to read it. */
  #flash(text) {
    document.querySelector(".flash")?.remove();
    const word = make("p", { className: "flash", role: "status" }, text);
    (document.querySelector("dialog[open]") ?? document.body).append(word);
    setTimeout(() => word.remove(), 3000 + 60 * text.length);
  }
}
