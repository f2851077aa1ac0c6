// The few ways this page makes and changes elements. Texts are only ever set as texts.

export const byId = (id) => document.getElementById(id);

/** Make an element with properties and children; a string child is text, a null child is left out. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Set a text, but leave the element alone where it says that already: screen readers would say it again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
  element.hidden = text === "";
}

export const announce = (text) => say(byId("announce"), text);

const waiting = new Map();
const near = new IntersectionObserver((seen) => {
  for (const { target } of seen.filter((each) => each.isIntersecting)) {
    waiting.get(target)?.();
    forget(target);
  }
}, { rootMargin: "400px" });

/** Do something once, when an element comes near to what is seen. */
export function whenNear(element, act) {
  waiting.set(element, act);
  near.observe(element);
}

export function forget(element) {
  waiting.delete(element);
  near.unobserve(element);
}
