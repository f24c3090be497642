// What the widgets are made of: elements, labelled controls, a list of numbers, a player.
const SVG_TAGS = ["svg", "g", "rect", "path", "polyline", "circle", "line", "text"];
const FOCUSABLE = ["input", "select", "button", "summary"];
export const written = number => number.toLocaleString("en-US");

// An element; attributes that are functions listen to the event of that name.
export function element(tag, attributes = {}, ...children) {
  const made = SVG_TAGS.includes(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  // JupyterLab takes arrow keys away from an element without this; on an ancestor it has no effect.
  if (FOCUSABLE.includes(tag)) made.dataset.lmSuppressShortcuts = "true";
  made.append(...children);
  return made;
}

export function send(model, trait, value) {
  model.set(trait, value);
  model.save_changes();
}

// Each control is { node, show }; show() brings it up to the model.

// The stops of a logarithmic slider: whole numbers with two digits that count, and the powers of two between them.
function stops(min, max) {
  const found = new Set([max]);
  for (let ten = 1; ten <= max; ten *= 10) for (let digits = 10; digits < 100; digits += 1) found.add(digits * ten / 10);
  for (let two = 1; two <= max; two *= 2) found.add(two);
  return [...found].filter(value => Number.isInteger(value) && value >= min && value <= max).sort((a, b) => a - b);
}

// A number: a slider for the usual range and beside it a field, which may go up to `most`. A slider that is `log`
// counts its stops, so that 32 and 64 lie as far apart as 320 and 640.
export function number(model, trait, label, { min = 1, max, step = 1, most = max, log = false }) {
  const ladder = log ? stops(min, max) : null;
  const set = text => {
    const value = Math.min(most, Math.max(min, Math.round(Number(text) / step) * step));
    if (text !== "" && Number.isFinite(value)) send(model, trait, Number(value.toFixed(6)));
    show();
  };
  const slider = element("input", { type: "range", "aria-label": label,
    ...(log ? { min: 0, max: ladder.length - 1, step: 1 } : { min, max, step }),
    input: () => set(log ? ladder[slider.value] : slider.value) });
  const field = element("input", { type: "number", min, max: most, step, "aria-label": `${label}, exact`,
    change: () => set(field.value) });
  const show = () => {
    const value = field.value = model.get(trait);
    slider.value = log ? Math.max(ladder.findIndex(stop => stop >= Math.min(value, max)), 0) : value;
    slider.setAttribute("aria-valuetext", written(model.get(trait)));
  };
  return { node: element("div", { class: "number" }, element("span", { "aria-hidden": "true" }, label), slider, field), show };
}

export function toggle(model, trait, label) {
  const box = element("input", { type: "checkbox", change: () => send(model, trait, box.checked) });
  return { node: element("label", { class: "switch" }, box, ` ${label}`), show: () => { box.checked = model.get(trait); } };
}

// `options` maps values to labels.
export function choice(model, trait, label, options) {
  const list = element("select", { change: () => send(model, trait, list.value) },
    ...Object.entries(options).map(([value, name]) => element("option", { value }, name)));
  return { node: element("label", { class: "choice" }, `${label} `, list), show: () => { list.value = model.get(trait); } };
}

// Named numbers; show({ name: text }) fills them in.
export function facts(labels) {
  const values = Object.fromEntries(Object.keys(labels).map(name => [name, element("dd", { "data-number": name })]));
  const node = element("dl", { class: "facts" }, ...Object.entries(labels).map(
    ([name, label]) => element("div", {}, element("dt", {}, label), values[name])));
  return { node, show: texts => Object.entries(texts).forEach(([name, text]) => {
    values[name].textContent = typeof text === "number" ? written(text) : text;
  }) };
}

// A widget that can only say why it shows nothing stays as high as it was: what lies below it does not jump.
export function keepHeight(node, keep) {
  const box = node.closest(".course-widget");
  if (box) box.style.minHeight = keep ? `${box.getBoundingClientRect().height}px` : "";
}

// Says a sentence to screen readers, once the reader's hand has come to rest.
export function announcer() {
  const node = element("p", { class: "announced", role: "status" });
  let timer = 0;
  return { node, stop: () => clearTimeout(timer), say: sentence => {
    clearTimeout(timer);
    timer = setTimeout(() => { node.textContent = sentence; }, 500);
  } };
}

// Buttons that move through a run. `steps` maps labels to functions; `tick` makes one move of the playing and
// returns false at the end.
export function player({ steps, tick, restart, milliseconds = 200 }) {
  let timer = 0;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  };
  const play = element("button", { type: "button", click: () => {
    if (timer) return stop();
    play.textContent = "Pause";
    timer = setInterval(() => { if (!tick()) stop(); }, milliseconds);
    if (!tick()) stop();
  } }, "Play");
  const buttons = Object.entries({ ...steps, "Start again": restart }).map(([label, act]) =>
    element("button", { type: "button", click: () => { stop(); act(); } }, label));
  return { node: element("div", { class: "player" }, play, ...buttons), stop };
}

// The frame of a widget. `draw` is called now and whenever one of the traits changes; the result undoes it all.
export function mount({ model, el, name, traits, controls, parts, draw, stop = () => {} }) {
  el.append(element("section", { class: "course-widget", "aria-label": name },
    element("div", { class: "controls" }, ...controls.map(control => control.node)), ...parts));
  const update = () => {
    controls.forEach(control => control.show());
    draw();
  };
  traits.forEach(trait => model.on(`change:${trait}`, update));
  update();
  return () => {
    traits.forEach(trait => model.off(`change:${trait}`, update));
    stop();
  };
}
