// Iterations to a target against batch size. The reader says first where the returns diminish.
import { HEIGHT, frame, sheet } from "./chart.js";
import { element, mount, written } from "./parts.js";

function render({ model, el }) {
  const [points, law, target] = ["points", "law", "target"].map(name => model.get(name));
  const [smallest, largest] = [points[0].batch_size, points.at(-1).batch_size];
  const field = element("input", { type: "text", inputmode: "numeric", autocomplete: "off", "aria-label": "Your guess" });
  const reply = element("p", { class: "said", role: "status" });
  const picture = sheet(() => draw());
  let guess = null;  // nothing of the law is shown before the reader has one

  const form = element("form", { class: "guess", submit: event => {
    event.preventDefault();
    const number = Number(field.value.replace(/[,_\s]/g, ""));
    if (field.value === "" || !(number > 0)) {
      reply.textContent = "Write a batch size first, such as 64.";
      return;
    }
    guess = number;
    draw();
  } }, element("label", {}, "From which batch size on does doubling it save clearly less than half of the iterations? ",
    field), " ", element("button", { type: "submit" }, "Show"));

  function draw() {
    const perfect = size => points[0].mean * smallest / size;
    const predicted = size => law.s_min * (1 + law.b_crit / size);
    const sizes = Array.from({ length: 60 }, (_, i) => smallest * (largest / smallest) ** (i / 59));
    const iterations = points.flatMap(each => [each.low, each.high]).filter(number => number > 0);
    const least = Math.min(perfect(largest), ...iterations) / 1.3;
    const { node, at, across, up } = frame(
      { from: smallest / 1.3, to: largest * 1.3, label: "batch size", log: true },
      { from: least, to: Math.max(...iterations) * 1.3, log: true,
        label: `iterations to ${target}` }, picture.width());
    const curve = (kind, of) => element("polyline", { class: kind, points: sizes.map(size => at(size, of(size))).join(" ") });
    const mark = (kind, size) => size > smallest / 1.3 && size < largest * 1.3
      ? [element("line", { class: kind, x1: across(size), x2: across(size), y1: 34, y2: HEIGHT - 48 })] : [];
    picture.node.replaceChildren(node,
      ...(guess === null ? [] : [curve("perfect", perfect), curve("line line-1", predicted),
        ...mark("critical", law.b_crit), ...mark("guessed", guess)]),
      ...points.flatMap(({ batch_size, mean, low, high }) => [
        element("line", { class: "interval", x1: across(batch_size), x2: across(batch_size), y1: up(Math.max(low, least)), y2: up(high) }),
        element("circle", { cx: across(batch_size), cy: up(mean), r: 5, class: "measured" })]));
    const measured = `Measured iterations to ${target} for ${points.length} batch sizes from ${written(smallest)} to `
      + `${written(largest)}: from ${written(Math.round(points[0].mean))} down to ${written(Math.round(points.at(-1).mean))}.`;
    if (guess !== null) {
      const found = `${Number(law.b_crit.toPrecision(3))} (95 % interval ${Number(law.low.toPrecision(3))} to `
        + `${Number(law.high.toPrecision(3))})`;
      const verdict = guess < law.low ? "below" : guess > law.high ? "above" : "within";
      reply.textContent = `The critical batch size is ${found}; your guess ${written(guess)} is ${verdict} the interval. `
        + "Dashed: perfect scaling, twice the batch and half the iterations. Dotted: your guess."
        + (law.bracketed ? "" : " It lies outside of the batch sizes measured, so take it as extrapolated.");
    }
    picture.node.setAttribute("aria-label", guess === null ? measured : `${measured} ${reply.textContent}`);
  }

  return mount({ model, el, name: "Steps to target", traits: [], controls: [],
    parts: [form, picture.node, reply], draw, stop: picture.stop });
}
export default { render };
