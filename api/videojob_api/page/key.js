// The key of the service: asked for once, kept in this tab (sessionStorage), sent along as a Bearer token.

import { byId, say } from "./element.js";

const NAME = "videojob-key";
// Keys and tokens are visible ASCII. With some other characters `fetch` throws, as it does where nobody answers.
const POSSIBLE = /^[!-~]+$/;
let asking = null;
let given = null;

export const currentKey = () => sessionStorage.getItem(NAME);
export const hasKey = () => currentKey() !== null;

export function forgetKey() {
  sessionStorage.removeItem(NAME);
  location.reload();
}

/** Ask for a key; whoever wants one meanwhile waits for the same answer. */
export function askForKey(wasRefused) {
  asking ??= new Promise((resolve) => {
    given = resolve;
    sessionStorage.removeItem(NAME);
    say(byId("key-error"), wasRefused ? "That key was not accepted." : "");
    byId("key").value = "";
    byId("ask-key").showModal();
  });
  return asking;
}

const typed = () => byId("key").value.trim();

byId("ask-key").addEventListener("cancel", (event) => event.preventDefault());
byId("ask-key").addEventListener("submit", (event) => {
  if (POSSIBLE.test(typed())) return;
  event.preventDefault();
  say(byId("key-error"), "That holds characters that no key has. Copy the whole key, without dots or spaces in it.");
});
byId("ask-key").addEventListener("close", () => {
  if (!POSSIBLE.test(typed())) {
    byId("ask-key").showModal(); // a second Escape closes every dialog
    return;
  }
  sessionStorage.setItem(NAME, typed());
  byId("forget-key").hidden = false;
  asking = null;
  given();
});
