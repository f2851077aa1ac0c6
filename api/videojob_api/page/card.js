// One job as a card. It is changed in place, so that a video goes on playing and the focus stays where it is.

import { ApiFailure, fileUrl, sendForFile } from "./api.js";
import { forget, icon, make, say, whenNear } from "./element.js";
import { badgeOf, factsOf, hintOf, isOver, lineOf, troubleOf } from "./state.js";

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
  #start = null;
  #problem = "";
  #isGone = false;
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
    this.advice = make("p", { className: "advice" });
    this.prompt = make("p", { className: "prompt" });
    this.facts = make("ul", { className: "facts", "aria-label": "Settings" });
    this.buttons = make("div", { className: "actions" });
    this.parts = [
      make("div", { className: "picture" }, this.stage, this.badge),
      make("div", { className: "body" }, this.prompt, this.bar, this.line, this.trouble, this.advice, this.facts, this.buttons),
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
    this.#sayLine();
    say(this.trouble, troubleOf(this.job));
    say(this.advice, hintOf(this.job));
    this.#showFacts();
    this.#showActions();
    if (status === "completed" && !this.#video) this.#showVideo();
  }

  #sayLine() {
    say(this.line, this.#problem || lineOf(this.job));
    this.line.toggleAttribute("data-bad", this.#problem !== "" || this.job.phase === "Failed");
  }

  #tellProblem(text) {
    this.#problem = text;
    this.#sayLine();
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

  /** A still with a button; the video itself is fetched when somebody wants to see it. */
  #showVideo() {
    const prompt = this.job.request?.prompt ?? "The video";
    const video = make("video", { loop: true, muted: true, playsInline: true, preload: "none", "aria-label": prompt });
    const play = make("button", { type: "button", className: "play", "aria-label": `Play: ${prompt.slice(0, 120)}` }, icon("play"));
    play.addEventListener("click", () => this.#play());
    video.addEventListener("playing", () => this.#hasBegun());
    video.addEventListener("error", () => this.#explain());
    this.#video = video;
    this.#start = play;
    this.stage.replaceChildren(video, play);
    whenNear(this.stage, () => this.#showPoster());
    if (this.large && !matchMedia("(prefers-reduced-motion: reduce)").matches) this.#play();
  }

  async #showPoster() {
    try {
      this.#keep("poster", await fileUrl(`v1/videos/${this.job.job_id}/content?variant=thumbnail`));
    } catch {
      // Not every job has a still: the colours of the stage do for it.
    }
  }

  async #play() {
    this.#start.setAttribute("aria-busy", "true");
    this.#tellProblem("");
    try {
      if (!this.#video.src) this.#keep("src", await fileUrl(this.job.video_url.slice(1)));
      await this.#video.play();
    } catch (error) {
      // What an element says itself is not for people: `#explain` asks the service.
      if (error instanceof ApiFailure) this.#tellProblem(error.message);
      this.#start.removeAttribute("aria-busy");
    }
  }

  #hasBegun() {
    this.#video.controls = true;
    if (document.activeElement === this.#start) this.#video.focus();
    this.#start.remove();
  }

  /** Say why a video does not play: its service may know. */
  async #explain() {
    try {
      await sendForFile(this.job.video_url.slice(1), { headers: { Range: "bytes=0-0" } });
      this.#tellProblem("This browser cannot play the video. Download it instead.");
    } catch (error) {
      this.#tellProblem(error.message);
    }
    this.#video.removeAttribute("src");
  }

  /** Give the video a file; one that was fetched into memory is let go with the job. */
  #keep(property, url) {
    if (this.#isGone) URL.revokeObjectURL(url);
    else this.#video[property] = url;
  }

  discard() {
    this.#isGone = true;
    forget(this.stage);
    for (const url of [this.#video?.src, this.#video?.poster]) if (url?.startsWith("blob:")) URL.revokeObjectURL(url);
  }
}

function hueOf(text) {
  let sum = 7;
  for (const character of text) sum = (sum * 31 + character.codePointAt(0)) % 360;
  return sum;
}
