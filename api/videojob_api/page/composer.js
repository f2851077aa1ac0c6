// The form: legal values of the chosen model, enforced as one types, and the request that comes of it.

import { call } from "./api.js";
import { announce, byId, make, say } from "./element.js";
import { FirstFrame } from "./image.js";
import { Orders } from "./order.js";
import { areaFault, numberFault, seedFault } from "./rules.js";
import { DEFAULT_PROFILE } from "./state.js";

const NUMBERS = ["num_frames", "width", "height", "steps", "guidance_scale", "fps"];

export class Composer {
  #form = byId("compose");
  #models = new Map();
  #limits = {};
  #image = new FirstFrame(() => this.#check());
  #orders = new Orders();
  #isSending = false;
  #defaultModel = "";
  #profile = null;
  #created;

  constructor(created) {
    this.#created = created;
  }

  /** Learn the legal values and become usable. */
  async start() {
    const told = await this.#learn();
    this.#limits = told.limits;
    this.#image.start(told.limits.image);
    for (const model of told.models) {
      this.#models.set(model.name, model);
      byId("model").append(make("option", { value: model.name }, model.name));
    }
    this.#defaultModel = byId("model").value = told.default_model;
    this.#showModel();
    byId("model").addEventListener("change", () => this.#showModel());
    byId("size").addEventListener("change", () => this.#takeSize());
    byId("frames-slider").addEventListener("input", () => { byId("num_frames").value = byId("frames-slider").value; this.#check(); });
    byId("dice").addEventListener("click", () => { byId("seed").value = String(crypto.getRandomValues(new Uint32Array(1))[0]); this.#check(); });
    this.#form.addEventListener("input", () => this.#check());
    this.#form.addEventListener("submit", (event) => { event.preventDefault(); this.#submit(); });
    this.#form.addEventListener("keydown", (event) => this.#takeEnter(event));
    byId("profile-drop").addEventListener("click", () => { this.#setProfile(null); byId("seed").focus(); });
  }

  /** Fill in what a job was asked for, with the model it got; where none is known yet, it gets the default one. */
  again({ request, model }) {
    this.fill({ ...request, model: request.model ?? model ?? this.#defaultModel });
  }

  /** Fill in a request, as GET /jobs/{job_id} tells it. */
  fill(request) {
    if (this.#models.has(request.model)) {
      byId("model").value = request.model;
      this.#showModel();
    }
    byId("prompt").value = request.prompt ?? "";
    byId("negative_prompt").value = request.negative_prompt ?? "";
    byId("seed").value = request.seed ?? "";
    this.#image.fill(request.image);
    for (const name of NUMBERS) if (request[name] !== undefined && request[name] !== null) byId(name).value = request[name];
    if (request.width && request.height) byId("size").value = `${request.width}x${request.height}`;
    this.#setProfile(request.profile);
    byId("more").open ||= Boolean(request.negative_prompt);
    this.#check();
    if (request.model && !this.#models.has(request.model)) this.#mark("model", { message: `${request.model} is not offered any more.`, nearest: null });
    byId("prompt").focus({ preventScroll: true });
    byId("compose-title").scrollIntoView({ block: "start" });
    announce(request.seed === undefined ? "Filled in." : "Filled in, with the same seed. Change what you like.");
  }

  /** Keep the profile of an earlier request: it is shown, and may be dropped; to choose another there is no way. */
  #setProfile(name) {
    this.#profile = name && name !== DEFAULT_PROFILE ? name : null;
    say(byId("profile-name"), this.#profile ?? "");
    byId("profile").hidden = this.#profile === null;
  }

  get #model() {
    return this.#models.get(byId("model").value);
  }

  async #learn() {
    for (;;) {
      try {
        return await call("models");
      } catch (error) {
        say(byId("form-error"), `${error.message} It is tried again.`);
        await new Promise((resolve) => setTimeout(resolve, 3000));
        say(byId("form-error"), "");
      }
    }
  }

  /** Show what the chosen model can do: its bounds, its defaults, its sizes. */
  #showModel() {
    const { frames, sizes, defaults, takes_image: takesImage } = this.#model;
    for (const input of [byId("num_frames"), byId("frames-slider")]) {
      Object.assign(input, { min: frames.minimum, max: frames.maximum, step: frames.step, value: defaults.num_frames });
    }
    for (const name of NUMBERS.slice(1)) byId(name).value = defaults[name];
    byId("size").replaceChildren(...sizes.map((size) => make("option", { value: size }, size.replace("x", " × "))));
    byId("size").value = `${defaults.width}x${defaults.height}`;
    const isFree = sizes.length === 0;
    byId("size-choice").hidden = isFree;
    for (const name of ["width", "height"]) {
      document.querySelector(`[data-field=${name}]`).hidden = !isFree;
      Object.assign(byId(name), { min: this.#limits.size.minimum, max: this.#limits.size.maximum, step: this.#limits.size.multiple });
    }
    this.#image.show(takesImage);
    this.#mark("model", null);
    this.#check();
  }

  #takeSize() {
    [byId("width").value, byId("height").value] = byId("size").value.split("x");
  }

  /** Look at every field and say what is wrong; returns the first field at fault. */
  #check({ strict = false } = {}) {
    say(byId("form-error"), "");
    const { frames } = this.#model;
    const side = { minimum: this.#limits.size.minimum, maximum: this.#limits.size.maximum, step: this.#limits.size.multiple };
    const text = (name) => byId(name).value.trim();
    const number = (name, rule) => (byId(name).validity.badInput ? { message: "a number, please", nearest: null } : numberFault(text(name), rule));
    const takesImage = this.#model.takes_image;
    const faults = {
      prompt: this.#promptFault(strict),
      image: takesImage ? this.#image.fileFault(strict) : null,
      "image-address": takesImage ? this.#image.addressFault() : null,
      num_frames: number("num_frames", frames),
      seed: seedFault(text("seed"), this.#limits.seed.maximum),
      width: number("width", side),
      height: number("height", side) ?? areaFault(Number(text("width")), Number(text("height")), this.#limits.size),
      steps: number("steps", this.#limits.steps),
      guidance_scale: number("guidance_scale", { ...this.#limits.guidance_scale, whole: false }),
      fps: number("fps", this.#limits.fps),
      negative_prompt: text("negative_prompt") && Number(text("guidance_scale")) <= 1 ? { message: "needs a guidance above 1", nearest: null } : null,
    };
    for (const [name, fault] of Object.entries(faults)) this.#mark(name, fault);
    this.#image.fit(Number(text("width")), Number(text("height")));
    this.#sayDuration();
    return Object.keys(faults).find((name) => faults[name]) ?? null;
  }

  #promptFault(strict) {
    const prompt = byId("prompt").value;
    const maximum = this.#limits.prompt.maximum_length;
    const length = [...prompt].length;
    say(byId("prompt-count"), length > maximum * 0.8 ? `${length} of ${maximum}` : "");
    if (length > maximum) return { message: `at most ${maximum} characters`, nearest: null };
    return strict && prompt.trim() === "" ? { message: "Say what the video shows.", nearest: null } : null;
  }

  #mark(name, fault) {
    const input = byId(name);
    const note = byId(`${name}-note`);
    if (fault) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
    const wanted = fault ? `${fault.message}|${fault.nearest}` : "";
    if (note.dataset.shown === wanted) return;
    note.dataset.shown = wanted;
    note.hidden = !fault;
    note.replaceChildren(...(fault ? [fault.message] : []));
    if (fault && fault.nearest !== null) {
      const use = make("button", { type: "button", className: "fix" }, `use ${fault.nearest}`);
      use.addEventListener("click", () => { input.value = fault.nearest; this.#check(); input.focus(); });
      note.append(" ", use);
    }
  }

  #sayDuration() {
    const frames = Number(byId("num_frames").value);
    const fps = Number(byId("fps").value);
    byId("frames-slider").value = frames;
    byId("duration").textContent = frames > 0 && fps > 0 ? `${(frames / fps).toFixed(1)} s of video` : "";
  }

  /** Ctrl+Enter submits from everywhere. A key that is held down asks once; in a text it makes line after line. */
  #takeEnter(event) {
    if (event.key !== "Enter") return;
    const isShortcut = event.ctrlKey || event.metaKey;
    if (isShortcut || (event.repeat && event.target.tagName !== "TEXTAREA")) event.preventDefault();
    if (isShortcut && !event.repeat) this.#form.requestSubmit();
  }

  async #submit() {
    if (this.#isSending) return;
    const first = this.#check({ strict: true });
    if (first) {
      reveal(first);
      return;
    }
    this.#isSending = byId("submit").disabled = true;
    try {
      const file = this.#model.takes_image ? this.#image.file : null;
      const { jobId, isOld } = await this.#orders.place(this.#asked(), byId("seed").value.trim(), file);
      announce(isOld ? "Your video was in line already." : "Your video is in line.");
      this.#created(jobId);
    } catch (error) {
      this.#tell(error);
    } finally {
      this.#isSending = byId("submit").disabled = false;
    }
  }

  /** The fields of the request but its seed and its file. */
  #asked() {
    const asked = { prompt: byId("prompt").value, model: byId("model").value };
    const negative = byId("negative_prompt").value.trim();
    if (negative) asked.negative_prompt = negative;
    if (this.#profile) asked.profile = this.#profile;
    if (this.#model.takes_image && this.#image.address) asked.image = this.#image.address;
    for (const name of NUMBERS) if (byId(name).value !== "") asked[name] = Number(byId(name).value);
    return asked;
  }

  #tell(error) {
    const field = { input_reference: "image", image: "image-address" }[error.field] ?? error.field;
    if (!field || !byId(`${field}-note`)) {
      say(byId("form-error"), error.isUncertain ? `${error.message} Press again: there will be one video of it, not two.` : error.message);
      return;
    }
    this.#mark(field, { message: error.message, nearest: error.nearest });
    reveal(field);
  }
}

function reveal(name) {
  for (const id of ["more", "image-other"]) byId(id).open ||= byId(id).contains(byId(name));
  byId(name).focus();
}
