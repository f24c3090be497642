// The frame of a plot: axes with a few numbers, and where a point lies; and a picture as wide as its place.
import { element } from "./parts.js";

export const WIDTH = 640, HEIGHT = 340;
const LEFT = 64, RIGHT = 16, TOP = 34, BOTTOM = 48;
const short = value => Number(value.toPrecision(3)).toLocaleString("en-US", { maximumSignificantDigits: 3 });

const powers = (from, to) => Array.from({ length: Math.ceil(Math.log10(to / from)) + 2 },
  (_, i) => 10 ** (Math.floor(Math.log10(from)) + i));

// An SVG whose units are the pixels of the page, so that text is no smaller on a narrow screen. `draw` is called with
// its new width when that changes; before the widget lies in a page, `width()` is a guess.
export function sheet(draw, height = HEIGHT) {
  const node = element("svg", { class: "sheet", role: "img" });
  let width = WIDTH;
  const resize = (wide, high) => {
    node.setAttribute("viewBox", `0 0 ${wide} ${high}`);
    node.setAttribute("height", high);
  };
  const observer = new ResizeObserver(([{ contentRect }]) => {
    const wide = Math.round(contentRect.width);
    if (!wide || wide === width) return;
    width = wide;
    resize(width, node.getAttribute("height"));
    draw();
  });
  resize(width, height);
  observer.observe(node);
  return { node, width: () => width, setHeight: high => resize(width, high), stop: () => observer.disconnect() };
}

// `x` and `y` are { from, to, label, log }; `at` maps a point of the data to one of the picture.
export function frame(x, y, width = WIDTH) {
  const share = ({ from, to, log }, value) => log ? Math.log(value / from) / Math.log(to / from)
    : (value - from) / (to - from || 1);
  const across = value => LEFT + share(x, value) * (width - LEFT - RIGHT);
  const up = value => HEIGHT - BOTTOM - share(y, value) * (HEIGHT - TOP - BOTTOM);
  const most = Math.max(4, Math.floor((width - LEFT - RIGHT) / 75));  // numbers that find room beside each other
  const ticks = ({ from, to, log }) => {
    if (log) {
      const within = [[1, 2, 5], [1, 3], [1]].map(digits => powers(from, to).flatMap(
        power => digits.map(digit => digit * power)).filter(value => value >= from && value <= to));
      return within.find(values => values.length <= most) ?? within.at(-1);
    }
    const power = 10 ** Math.floor(Math.log10((to - from) / 4));
    const step = power * [1, 2, 5, 10].find(digit => (to - from) / (digit * power) <= Math.min(5, most));
    return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);
  };
  const text = (words, at) => element("text", at, words);
  const node = element("g", { class: "axes" },
    ...ticks(x).flatMap(value => [element("line", { x1: across(value), x2: across(value), y1: TOP, y2: HEIGHT - BOTTOM }),
      text(short(value), { x: across(value), y: HEIGHT - BOTTOM + 20, "text-anchor": "middle" })]),
    ...ticks(y).flatMap(value => [element("line", { x1: LEFT, x2: width - RIGHT, y1: up(value), y2: up(value) }),
      text(short(value), { x: LEFT - 8, y: up(value) + 5, "text-anchor": "end" })]),
    text(x.label, { x: width - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }), text(y.label, { x: 4, y: 18 }));
  return { node, at: (a, b) => `${across(a).toFixed(1)},${up(b).toFixed(1)}`, across, up };
}
