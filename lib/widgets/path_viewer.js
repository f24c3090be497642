// Gradient descent that fits a line, walking down the bowl of its loss: weights w0 (right) and w1 (up).
import { announcer, element, facts, mount, number, player, written } from "./parts.js";

const LEFT = -1.4, RIGHT = 2.4, BOTTOM = -1.4, TOP = 3.2, UNIT = 100;  // the part of the surface that is drawn
const FAR = 100;                                                      // beyond this a walk counts as lost
const across = w0 => (w0 - LEFT) * UNIT, down = w1 => (TOP - w1) * UNIT;
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
  const picture = element("svg", { viewBox: `0 0 ${across(RIGHT)} ${down(BOTTOM)}`, role: "img" },
    ...contours(problem), element("path", { class: "bottom", d: `M${x - 9} ${y}h18M${x} ${y - 9}v18` }), line, dots, here,
    element("text", { x: across(RIGHT) - 8, y: down(BOTTOM) - 8, "text-anchor": "end" }, "w₀ →"),
    element("text", { x: 8, y: 22 }, "w₁ ↑"));
  const clock = element("p", { class: "clock" });
  const announced = announcer();
  let path, used, at, lost;

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
    const distance = Math.hypot(end[0] - problem.optimum[0], end[1] - problem.optimum[1]);
    line.setAttribute("points", walked.map(point).join(" "));
    dots.replaceChildren(...(path.length > 120 ? [] : walked.map(([w0, w1]) =>
      element("circle", { cx: across(w0), cy: down(w1), r: 2.5 }))));
    here.setAttribute("cx", across(end[0]));
    here.setAttribute("cy", down(end[1]));
    const size = model.get("batch_size");
    numbers.show({ iterations: at, samples: used[at], distance: distance < FAR ? distance.toFixed(3) : "out of sight" });
    clock.textContent = lost && at === path.length - 1
      ? "The walk flies off: this learning rate is too large for this batch size."
      : `${written(at)} of ${written(path.length - 1)} iterations`
      + (lost ? "" : ` in ${problem.orders.length} epochs`);
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
