// How elements are made. Text from outside only ever becomes text nodes and attributes, never markup.

import { path } from "./glyphs.js";

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. `props`: `class`, `on: {click: f}`, `data: {k: v}`, boolean and plain attributes, `value`/`checked`. */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** An SVG element; the same `props`. */
export function s(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** A small drawing beside a word. It says nothing to a screen reader: the word does. */
export function icon(name) {
  return s("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: path(name) }));
}

/** Puts `children` in place of whatever `parent` holds. */
export function replace(parent, ...children) {
  parent.replaceChildren(...children.flat().filter(present));
}

/**
 * Has `parent` hold `wanted` in this order. What is there already stays where it is: an element that is taken out and put
 * back loses the focus, and a click whose button was pressed before and is released after.
 */
export function settle(parent, wanted) {
  const kept = new Set(wanted);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  wanted.forEach((element, at) => {
    const there = parent.children[at];
    if (there !== element) parent.insertBefore(element, there ?? null);
  });
}

/** A word with its mark: ✓ committed. `tone` is good, bad, wait or idle. */
export function mark(tone, glyph, text) {
  return h("span", { class: `mark ${tone}` }, icon(glyph), text);
}

/** A button. `act` may be async: the button waits for it, and says so. */
export function button(text, act, { tone = "", glyph, ...props } = {}) {
  const element = h("button", { type: "button", class: tone, ...props }, glyph && icon(glyph), text);
  element.addEventListener("click", async (event) => {
    if (element.getAttribute("aria-busy") === "true") return;
    element.setAttribute("aria-busy", "true");
    try {
      await act(event);
    } finally {
      element.removeAttribute("aria-busy");
    }
  });
  return element;
}

/** A field with its label. */
export function field(text, control, props = {}) {
  return h("label", props, text, control);
}

/** A drop-down list of `[value, text]` or plain words. */
export function select(options, value, props = {}) {
  const element = h("select", props, ...options.map(option));
  if (value !== undefined) element.value = value;
  return element;
}

/** Has it offer these, with `wanted` chosen if that is one of them. An open list closes only if it changes. */
export function offer(element, options, wanted, otherwise = "") {
  const offered = options.map(option);
  const values = offered.map(({ value }) => value);
  if ([...element.options].map(({ value }) => value).join(" ") !== values.join(" ")) replace(element, ...offered);
  const chosen = values.includes(wanted) ? wanted : otherwise;
  if (element.value !== chosen) element.value = chosen;
}

function option(one) {
  const [value, text] = Array.isArray(one) ? one : [one, one];
  return h("option", { value }, text);
}

/** A choice of a few, as radio buttons in a bar. `.value` reads and sets it. */
export function choice(legend, name, options, value, changed = () => {}) {
  const inputs = options.map(([key]) => h("input", { type: "radio", name, value: key, checked: key === value }));
  const element = h("fieldset", { on: { change: () => changed(element.value) } },
    h("legend", {}, legend),
    h("div", { class: "choice" }, ...options.map(([, text], at) => h("label", {}, inputs[at], text))));
  Object.defineProperty(element, "value", {
    get: () => inputs.find((input) => input.checked)?.value,
    set: (key) => inputs.forEach((input) => { input.checked = input.value === key; }),
  });
  return element;
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") Object.entries(value).forEach(([event, act]) => element.addEventListener(event, act));
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "checked" || name === "value") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter(present));
  return element;
}

const present = (child) => child !== undefined && child !== null && child !== false && child !== "";
