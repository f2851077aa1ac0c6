// The first frame of image-to-video: a file, looked at before it is sent, or the address of an object in S3.

import { announce, byId, say } from "./element.js";
import { addressFault, fileFault, HEAD_BYTES, inBytes, namesOf, stretchOf } from "./rules.js";

export class FirstFrame {
  #limits = {};
  #file = null;
  #fault = null;
  #turn = 0;
  #changed;

  constructor(changed) {
    this.#changed = changed;
    byId("image").addEventListener("change", () => this.#take(byId("image").files[0] ?? null));
    byId("image-remove").addEventListener("click", () => { this.#take(null); byId("image").focus(); });
    byId("image-address").addEventListener("input", () => { if (this.address) this.#take(null); });
    addEventListener("paste", (event) => this.#paste(event));
  }

  /** Learn what the service takes. */
  start(limits) {
    this.#limits = limits;
    byId("image").accept = limits.media_types.join();
    say(byId("image-rule"), `${namesOf(limits.media_types)}, up to ${inBytes(limits.maximum_bytes)}`);
  }

  /** Show the field or not; what was chosen stays, for the next model that takes an image. */
  show(isWanted) {
    byId("image-field").hidden = !isWanted;
  }

  /** Take the image of an earlier request, or none. */
  fill(address) {
    this.#take(null);
    byId("image-address").value = address ?? "";
    byId("image-other").open = Boolean(address);
  }

  /** The file that is to be sent, if one was chosen. */
  get file() {
    return this.#file;
  }

  get address() {
    return byId("image-address").value.trim();
  }

  /** Tell what is wrong with a file that was chosen, or in the end, that there is no image at all. */
  fileFault(strict) {
    if (this.#fault || this.#file || this.address) return this.#fault;
    return strict ? { message: "This model starts from an image: choose one.", nearest: null } : null;
  }

  addressFault() {
    return addressFault(this.address);
  }

  /** Show the image in the shape that the renderer gives it. */
  fit(width, height) {
    const preview = byId("image-preview");
    const isLegal = width > 0 && height > 0;
    preview.style.setProperty("aspect-ratio", isLegal ? `${width} / ${height}` : "auto");
    const { naturalWidth, naturalHeight } = preview;
    say(byId("image-hint"), this.#file && isLegal ? stretchOf(naturalWidth, naturalHeight, width, height) : "");
  }

  #paste(event) {
    const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
    if (!file || byId("image-field").hidden || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    this.#take(file);
  }

  /** Look at a file: what it is its first bytes say, and whether there is a picture in it the browser that decodes it. */
  async #take(file) {
    const turn = ++this.#turn;
    let fault = null;
    if (file) {
      const head = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
      if (turn !== this.#turn) return;
      fault = fileFault(head, file.size, this.#limits) ?? await this.#preview(file);
    }
    if (turn !== this.#turn) return;
    this.#fault = fault && { message: `${file.name}: ${fault}`, nearest: null };
    this.#file = fault ? null : file;
    if (this.#file) byId("image-address").value = "";
    this.#show();
    this.#changed();
    if (fault) announce(this.#fault.message);
  }

  async #preview(file) {
    const preview = byId("image-preview");
    URL.revokeObjectURL(preview.src);
    preview.src = URL.createObjectURL(file);
    try {
      await preview.decode();
      return null;
    } catch {
      return "the file is damaged";
    }
  }

  #show() {
    const file = this.#file;
    if (!file) byId("image").value = "";
    byId("image-preview").hidden = byId("image-remove").hidden = !file;
    byId("image-invite").hidden = Boolean(file);
    say(byId("image-name"), file ? `${file.name} · ${inBytes(file.size)}` : "");
    if (file) announce(`First frame: ${file.name}`);
  }
}
