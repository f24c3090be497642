// Measured runs on the clock of the reader's choice: who is first at a target, or who is ahead where the runs end.
import { frame, sheet } from "./chart.js";
import { announcer, choice, element, mount, written } from "./parts.js";

const DASHES = 6;  // kinds of lines in chart.css

// What a run shows when its clock stands at `time`: on the line between two evaluations.
export function reading(one, clock, value, time) {
  const times = one[clock];
  const after = Math.max(1, times.findIndex(each => each >= time));
  const part = Math.min(1, Math.max(0, (time - times[after - 1]) / (times[after] - times[after - 1] || 1)));
  return Object.fromEntries(["mean", "low", "high"].map(name =>
    [name, one[value][name][after - 1] * (1 - part) + one[value][name][after] * part]));
}

// Who is ahead where the shortest of the runs ends, and whether the intervals tell the first two apart.
export function ranking(series, clock, value) {
  const time = Math.min(...series.map(one => one[clock].at(-1)));
  const sign = value.includes("accuracy") ? -1 : 1;
  const found = series.map(one => ({ ...one, ...reading(one, clock, value, time) }))
    .sort((a, b) => sign * (a.mean - b.mean));
  const [first, second] = found;
  return { time, found, apart: found.length < 2 || (sign > 0 ? first.high < second.low : first.low > second.high) };
}

// Who reaches the target first on this clock; `mean` is missing where not all seeds reached it.
export function finishing(series, clock, value) {
  const found = series.map(one => ({ ...one, ...one.finish[value][clock] }))
    .sort((a, b) => (a.mean ?? Infinity) - (b.mean ?? Infinity));
  const [first, second] = found;
  return { found, apart: found.length < 2 || second.mean === undefined || first.high < second.low };
}

const decimal = number => Number.isInteger(number) ? number.toFixed(1) : String(number);
const amount = number => number >= 1000 ? written(Math.round(number))
  : number.toLocaleString("en-US", { maximumSignificantDigits: 3 });

function render({ model, el }) {
  const [series, targets] = [model.get("series").map((one, i) => ({ ...one, line: i % DASHES + 1 })), model.get("targets")];
  const [clocks, values] = ["clocks", "values"].map(name => model.get(name));  // lists of [name, label, unit]
  const label = (of, name) => of.find(([each]) => each === name)[1];
  const labels = of => Object.fromEntries(of);
  const controls = [choice(model, "clock", "Clock", labels(clocks)), choice(model, "value", "Shown", labels(values))];
  const key = line => element("svg", { class: "key", viewBox: "0 0 34 8", "aria-hidden": "true" },
    element("line", { class: `stroke line-${line}`, x1: 0, x2: 34, y1: 4, y2: 4 }));
  const boxes = series.map(({ batch_size }) => element("input", { type: "checkbox", value: batch_size, checked: true,
    change: () => draw() }));
  const sizes = element("fieldset", { class: "sizes" }, element("legend", {}, "Batch sizes"), ...boxes.map((box, i) =>
    element("label", { class: "switch" }, box, ` ${written(Number(box.value))} `, key(series[i].line))));
  const picture = sheet(() => draw());
  const said = element("p", { class: "said" });
  const ranks = element("ol", { class: "ranks" });
  const announced = announcer();

  const line = ({ x, mean, low, high, line }, at) => [
    element("polyline", { class: `band line-${line}`, points: [...x.map((t, i) => at(t, high[i])),
      ...x.map((t, i) => at(t, low[i])).reverse()].join(" ") }),
    element("polyline", { class: `line line-${line}`, points: x.map((t, i) => at(t, mean[i])).join(" ") })];
  const curve = (one, clock, value, kept) => Object.fromEntries([["x", one[clock]], ...Object.entries(one[value])].map(
    ([name, numbers]) => [name, numbers.filter((_, i) => kept(one[clock][i]))]));

  // To the target: a logarithmic clock, since the last may need a hundred times as long as the first.
  function toTarget(shown, clock, value, unit) {
    const target = targets[value], { found, apart } = finishing(shown, clock, value);
    const finished = found.filter(each => each.mean !== undefined);
    const from = Math.min(...finished.map(each => each.mean), ...shown.map(one => one[clock].at(-1))) / 8;
    const to = Math.max(...finished.map(each => each.high), ...shown.map(one => one[clock].at(-1)).filter(
      () => !finished.length)) * 1.3;
    const seen = shown.map(one => ({ line: one.line, ...curve(one, clock, value, t => t >= from && t <= to) }));
    const all = [target, ...seen.flatMap(one => [...one.low, ...one.high])];
    const { node, at, across, up } = frame({ from, to, label: label(clocks, clock), log: true },
      { from: Math.min(0, ...all), to: Math.max(...all), label: label(values, value) }, picture.width());
    picture.node.replaceChildren(node,
      element("line", { class: "target", x1: across(from), x2: across(to), y1: up(target), y2: up(target) }),
      element("text", { class: "target", x: across(from) + 6, y: up(target) + 17 }, `target ${decimal(target)}`),
      ...seen.flatMap(one => line(one, at)),
      ...finished.flatMap(({ mean, low, high, line }, place) => [
        element("line", { class: `reach line-${line}`, x1: across(low), x2: across(high), y1: up(target), y2: up(target) }),
        element("circle", { class: `finish line-${line}`, cx: across(mean), cy: up(target), r: 5 }),
        element("text", { class: "place", x: across(mean), y: up(target) - 10, "text-anchor": "middle" }, place + 1)]));
    const one = each => `batch size ${written(each.batch_size)} (${amount(each.mean)} ${unit})`;
    const [first, second] = finished, goal = `${label(values, value)} ${decimal(target)}`;
    ranks.replaceChildren(...found.map(each => element("li", {}, key(each.line), ` ${written(each.batch_size)}: `,
      each.mean === undefined ? "not reached in every run"
        : `${amount(each.mean)} ${unit} (${amount(each.low)} to ${amount(each.high)})`)));
    return !first ? `No batch size reaches ${goal} in every run.`
      : !second ? `To ${goal}: ${one(first)}.`
        : apart ? `First to ${goal} is ${one(first)}, before ${one(second)}.`
          : `First to ${goal} are ${one(first)} and ${one(second)}; their 95 % intervals overlap.`;
  }

  // Without a target: as far as all of the runs go.
  function toTheEnd(shown, clock, value, unit) {
    const { time, found, apart } = ranking(shown, clock, value);
    const seen = shown.map(one => {
      const part = curve(one, clock, value, t => t < time), end = reading(one, clock, value, time);
      return { line: one.line, x: [...part.x, time], ...Object.fromEntries(["mean", "low", "high"].map(
        name => [name, [...part[name], end[name]]])) };
    });
    const all = seen.flatMap(one => [...one.low, ...one.high]);
    const { node, at } = frame({ from: 0, to: time, label: label(clocks, clock) },
      { from: Math.min(0, ...all), to: Math.max(...all), label: label(values, value) }, picture.width());
    picture.node.replaceChildren(node, ...seen.flatMap(one => line(one, at)));
    ranks.replaceChildren(...found.map(each => element("li", {}, key(each.line),
      ` ${written(each.batch_size)}: ${each.mean.toFixed(3)} (${each.low.toFixed(3)} to ${each.high.toFixed(3)})`)));
    const [first, second] = found, place = `After ${amount(time)} ${unit}`;
    const one = each => `batch size ${written(each.batch_size)} (${each.mean.toFixed(3)})`;
    return !second ? `${place}: ${one(first)}.`
      : apart ? `${place} ${one(first)} is ahead of ${one(second)}.`
        : `${place} ${one(first)} and ${one(second)} are first; their 95 % intervals overlap.`;
  }

  function draw() {
    const [clock, value] = [model.get("clock"), model.get("value")];
    const shown = series.filter((_, i) => boxes[i].checked);
    const unit = clocks.find(([name]) => name === clock)[2];
    if (shown.length) said.textContent = (value in targets ? toTarget : toTheEnd)(shown, clock, value, unit);
    else {
      picture.node.replaceChildren();
      ranks.replaceChildren();
      said.textContent = "Choose at least one batch size.";
    }
    picture.node.setAttribute("aria-label",
      shown.length ? `${label(values, value)} against ${label(clocks, clock)}. ${said.textContent}` : said.textContent);
    announced.say(said.textContent);
  }

  return mount({ model, el, name: "Four clocks", traits: ["clock", "value"], controls,
    parts: [sizes, picture.node, said, ranks, announced.node], draw,
    stop: () => { picture.stop(); announced.stop(); } });
}
export default { render };
