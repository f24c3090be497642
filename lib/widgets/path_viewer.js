// Gradient descent that fits a line, walking down the bowl of its loss: weights w0 (right) and w1 (up).
import { announcer, element, facts, mount, number, player, written } from "./parts.js";

const LEFT = -1.4, RIGHT = 2.4, BOTTOM = -1.4, TOP = 3.2, UNIT = 100;  // the part of the surface that is drawn
const FAR = 100;                                                      // beyond this a walk counts as lost
const MARGIN = 30;                                                    // for the numbers beside it
const across = w0 => MARGIN + (w0 - LEFT) * UNIT, down = w1 => (TOP - w1) * UNIT;
const point = ([w0, w1]) => `${across(w0).toFixed(1)},${down(w1).toFixed(1)}`;

// The weights before and after each iteration, and the samples used by then; a walk that flies off is cut short.
export function walk({ feature, target, orders, start }, batchSize, learningRate) {
  let weights = start;
  const path = [weights], used = [0];
  for (const order of orders) {
    for (let first = 0; first < order.length; first += batchSize) {
      const batch = order.slice(first, first + batchSize);
      let slope0 = 0, slope1 = 0;
      for (const sample of batch) {
        const residual = weights[0] + weights[1] * feature[sample] - target[sample];
        slope0 += residual;
        slope1 += residual * feature[sample];
      }
      weights = [weights[0] - learningRate * slope0 / batch.length, weights[1] - learningRate * slope1 / batch.length];
      path.push(weights);
      used.push(used.at(-1) + batch.length);
      if (!(Math.hypot(...weights) < FAR)) return { path, used };
    }
  }
  return { path, used };
}

// Level lines of the loss, ellipses around the optimum.
function contours({ feature, target, optimum }) {
  const mean = of => feature.reduce((sum, x, i) => sum + of(x, target[i]), 0) / feature.length;
  const first = mean(x => x), second = mean(x => x * x);
  const least = mean((x, y) => (optimum[0] + optimum[1] * x - y) ** 2) / 2;
  return Array.from({ length: 9 }, (_, i) => 0.5 * 24 ** (i / 8)).filter(level => level > least).map(level => {
    const ring = Array.from({ length: 91 }, (_, step) => {
      const [u, v] = [Math.cos(step * Math.PI / 45), Math.sin(step * Math.PI / 45)];
      const radius = Math.sqrt(2 * (level - least) / (u * u + 2 * first * u * v + second * v * v));
      return point([optimum[0] + radius * u, optimum[1] + radius * v]);
    });
    return element("polyline", { class: "level", points: ring.join(" ") });
  });
}

// Whole numbers along both weights, with their lines.
function axes() {
  const numbers = (from, to) => Array.from({ length: Math.floor(to) - Math.ceil(from) + 1 }, (_, i) => Math.ceil(from) + i);
  const text = (words, x, y, anchor) => element("text", { x, y, "text-anchor": anchor }, words);
  return [
    ...numbers(LEFT, RIGHT).flatMap(w0 => [
      element("line", { class: "tick", x1: across(w0), x2: across(w0), y1: 0, y2: down(BOTTOM) }),
      text(String(w0).replace("-", "−"), across(w0), down(BOTTOM) + 20, "middle")]),
    ...numbers(BOTTOM, TOP).flatMap(w1 => [
      element("line", { class: "tick", x1: MARGIN, x2: across(RIGHT), y1: down(w1), y2: down(w1) }),
      text(String(w1).replace("-", "−"), MARGIN - 6, down(w1) + 5, "end")]),
    text("w₀ →", across(RIGHT) - 8, down(BOTTOM) - 8, "end"), text("w₁ ↑", MARGIN + 8, 22, "start")];
}

function render({ model, el }) {
  const problem = Object.fromEntries(["feature", "target", "orders", "start", "optimum"].map(
    name => [name, model.get(name)]));
  const samples = problem.feature.length;
  const controls = [
    number(model, "batch_size", "Batch size B", { max: samples }),
    number(model, "learning_rate", "Learning rate", { min: 0.02, max: 1.2, step: 0.02 }),
  ];
  const named = [["Batch", samples], ["Mini-batch", 20], ["Stochastic", 1]].map(([name, size]) =>
    element("button", { type: "button", click: () => { model.set("batch_size", size); model.save_changes(); } },
      `${name}, B = ${size}`));
  const numbers = facts({ iterations: "iterations", samples: "samples", distance: "distance to the bottom" });
  const line = element("polyline", { class: "walk" });
  const dots = element("g", { class: "dots" });
  const here = element("circle", { class: "here", r: 6 });
  const [x, y] = [across(problem.optimum[0]), down(problem.optimum[1])];
  const cross = kind => element("path", { class: kind, d: `M${x - 11} ${y}h22M${x} ${y - 11}v22` });
  const picture = element("svg", { viewBox: `0 0 ${across(RIGHT)} ${down(BOTTOM) + MARGIN}`, role: "img" },
    ...axes(), element("svg", { x: MARGIN, y: 0, width: across(RIGHT) - MARGIN, height: down(BOTTOM),
      viewBox: `${MARGIN} 0 ${across(RIGHT) - MARGIN} ${down(BOTTOM)}` },
    ...contours(problem), line, dots, here, cross("bottom halo"), cross("bottom")));  // the bottom lies above every path
  const clock = element("p", { class: "clock" });
  const announced = announcer();
  let path, used, at, lost;

  const distanceTo = weights => Math.hypot(weights[0] - problem.optimum[0], weights[1] - problem.optimum[1]);
  const walkTo = iterations => {
    at = Math.min(iterations, path.length - 1);
    drawWalk();
    return at < path.length - 1;
  };
  const run = player({
    steps: { "One iteration": () => walkTo((at < path.length - 1 ? at : 0) + 1), "To the end": () => walkTo(Infinity) },
    tick: () => walkTo((at < path.length - 1 ? at : 0) + Math.ceil(path.length / 80)),
    restart: () => walkTo(0),
    milliseconds: 120,
  });

  function drawWalk() {
    const walked = path.slice(0, at + 1), end = path[at];
    const distance = distanceTo(end);
    line.setAttribute("points", walked.map(point).join(" "));
    line.classList.toggle("long", path.length > 120);
    dots.replaceChildren(...(path.length > 120 ? [] : walked.map(([w0, w1]) =>
      element("circle", { cx: across(w0), cy: down(w1), r: 2.5 }))));
    here.setAttribute("cx", across(end[0]));
    here.setAttribute("cy", down(end[1]));
    const size = model.get("batch_size");
    numbers.show({ iterations: at, samples: used[at], distance: distance < FAR ? distance.toFixed(3) : "out of sight" });
    const ended = at === path.length - 1, from = distanceTo(path[0]);
    clock.textContent = ended && lost ? "The walk flies off: this learning rate is too large for this batch size."
      : ended && distance > from ? `The walk diverges: it began ${from.toFixed(3)} from the bottom and ends farther away. `
        + "This learning rate is too large for this batch size."
        : `${written(at)} of ${written(path.length - 1)} iterations` + (lost ? "" : ` in ${problem.orders.length} epochs`);
    const sentence = `Batch size ${size}, learning rate ${model.get("learning_rate")}: after ${written(at)} iterations `
      + (distance < FAR ? `${distance.toFixed(3)} from the bottom.` : "out of sight.");
    picture.setAttribute("aria-label", `A walk on a bowl-shaped loss surface. ${sentence}`);
    announced.say(sentence);
  }

  function draw() {
    run.stop();
    ({ path, used } = walk(problem, model.get("batch_size"), model.get("learning_rate")));
    lost = !(Math.hypot(...path.at(-1)) < FAR);
    named.forEach((button, i) => button.setAttribute("aria-pressed",
      String([samples, 20, 1][i] === model.get("batch_size"))));
    walkTo(Infinity);
  }

  return mount({ model, el, name: "Path viewer", traits: ["batch_size", "learning_rate"], controls,
    parts: [element("div", { class: "named" }, ...named), element("div", { class: "picture" }, picture,
      element("div", {}, numbers.node, run.node, clock)), announced.node],
    draw, stop: () => { run.stop(); announced.stop(); } });
}
export default { render };
