// One job as a card. It is changed in place, so that a video goes on playing and the focus stays where it is.

import { fileUrl } from "./api.js";
import { icon, make, say } from "./element.js";
import { badgeOf, factsOf, isOver, lineOf, troubleOf } from "./state.js";

/** A button with an icon and a name. */
export function action(name, label, pressed) {
  const button = make("button", { type: "button", className: "action", title: label }, icon(name), make("span", {}, label));
  button.addEventListener("click", pressed);
  return button;
}

/** Picture, state and buttons of a job; the gallery and the viewer show the same. */
export class JobView {
  #actions;
  #video = null;
  #shownActions = "";
  job = null;

  constructor(actions, { large = false } = {}) {
    this.#actions = actions;
    this.large = large;
    this.percent = make("span", { className: "percent", "aria-hidden": "true" });
    this.stage = make("div", { className: "stage" }, this.percent);
    this.badge = make("span", { className: "badge" });
    this.bar = make("progress", { max: 100, "aria-label": "Progress" });
    this.line = make("p", { className: "line" });
    this.trouble = make("p", { className: "trouble" });
    this.prompt = make("p", { className: "prompt" });
    this.facts = make("ul", { className: "facts", "aria-label": "Settings" });
    this.buttons = make("div", { className: "actions" });
    this.parts = [
      make("div", { className: "picture" }, this.stage, this.badge),
      make("div", { className: "body" }, this.prompt, this.bar, this.line, this.trouble, this.facts, this.buttons),
    ];
  }

  update(job) {
    this.job = { ...this.job, ...job };
    const { status, progress, request, job_id: jobId } = this.job;
    const percent = progress?.percent ?? 0;
    const works = status === "processing";
    this.stage.style.setProperty("--hue", hueOf(jobId));
    this.stage.style.setProperty("--done", `${status === "pending" ? 0 : percent}%`);
    this.stage.dataset.status = status;
    this.badge.dataset.status = this.job.phase === "Cancelled" ? "cancelled" : status;
    say(this.badge, badgeOf(this.job));
    say(this.percent, works && progress ? `${percent} %` : "");
    say(this.prompt, request?.prompt ?? "");
    this.prompt.title = this.large ? "" : (request?.prompt ?? "");
    this.bar.hidden = !works;
    if (works && progress) this.bar.value = percent;
    else this.bar.removeAttribute("value");
    say(this.line, lineOf(this.job));
    say(this.trouble, troubleOf(this.job));
    this.#showFacts();
    this.#showActions();
    if (status === "completed" && !this.#video) this.#showVideo();
  }

  #showFacts() {
    const facts = factsOf(this.job);
    if (this.facts.dataset.shown === facts.join()) return;
    this.facts.dataset.shown = facts.join();
    this.facts.replaceChildren(...facts.map((fact) => make("li", {}, fact)));
  }

  #showActions() {
    const { status, phase } = this.job;
    if (this.#shownActions === `${status}${phase === "Cancelled"}`) return;
    const hadFocus = this.buttons.contains(document.activeElement);
    this.#shownActions = `${status}${phase === "Cancelled"}`;
    const buttons = [];
    if (status === "completed") buttons.push(action("download", "Download", () => this.#actions.download(this.job)));
    if (!isOver(this.job)) buttons.push(action("stop", "Cancel", () => this.#actions.cancel(this.job)));
    buttons.push(action("again", "Again, same seed", () => this.#actions.again(this.job)));
    buttons.push(action("link", "Copy link", () => this.#actions.share(this.job)));
    buttons.push(action("delete", "Delete", () => this.#actions.remove(this.job)));
    this.buttons.replaceChildren(...buttons);
    if (hadFocus) buttons[0].focus();
  }

  async #showVideo() {
    const video = make("video", { controls: true, loop: true, muted: true, playsInline: true, preload: "metadata" });
    video.setAttribute("aria-label", this.job.request?.prompt ?? "The video");
    this.#video = video;
    try {
      const url = await fileUrl(this.job.video_url.slice(1));
      video.src = url.startsWith("blob:") ? url : `${url}#t=0.01`; // the first frame instead of a black one
    } catch (error) {
      say(this.line, error.message);
      this.#video = null;
      return;
    }
    this.stage.replaceChildren(video);
    if (this.large && !matchMedia("(prefers-reduced-motion: reduce)").matches) video.play().catch(() => {});
  }

  /** Let go of a video that was fetched into memory. */
  discard() {
    if (this.#video?.src.startsWith("blob:")) URL.revokeObjectURL(this.#video.src);
  }
}

function hueOf(text) {
  let sum = 7;
  for (const character of text) sum = (sum * 31 + character.codePointAt(0)) % 360;
  return sum;
}
