// Measured runs on the clock of the reader's choice, compared as far as all of them go.
import { HEIGHT, WIDTH, frame } from "./chart.js";
import { announcer, choice, element, mount, written } from "./parts.js";

// What a run shows when its clock stands at `time`: on the line between two evaluations.
export function reading(one, clock, value, time) {
  const times = one[clock];
  const after = Math.max(1, times.findIndex(each => each >= time));
  const part = Math.min(1, Math.max(0, (time - times[after - 1]) / (times[after] - times[after - 1] || 1)));
  return Object.fromEntries(["mean", "low", "high"].map(name =>
    [name, one[value][name][after - 1] * (1 - part) + one[value][name][after] * part]));
}

// Who is ahead, and whether the intervals tell the first two apart.
export function ranking(series, clock, value) {
  const time = Math.min(...series.map(one => one[clock].at(-1)));
  const sign = value.includes("accuracy") ? -1 : 1;
  const found = series.map(one => ({ batch_size: one.batch_size, ...reading(one, clock, value, time) }))
    .sort((a, b) => sign * (a.mean - b.mean));
  const [first, second] = found;
  return { time, found, apart: found.length < 2 || (sign > 0 ? first.high < second.low : first.low > second.high) };
}

function render({ model, el }) {
  const [series, clocks, values] = ["series", "clocks", "values"].map(name => model.get(name));
  const controls = [choice(model, "clock", "Clock", clocks), choice(model, "value", "Shown", values)];
  const boxes = series.map(({ batch_size }) => element("input", { type: "checkbox", value: batch_size, checked: true,
    change: () => draw() }));
  const sizes = element("fieldset", { class: "sizes" }, element("legend", {}, "Batch sizes"), ...boxes.map((box, i) =>
    element("label", { class: `switch line-${i % 6 + 1}` }, box, ` ${written(Number(box.value))} `,
      element("span", { class: "key" }))));
  const picture = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  const said = element("p", { class: "said" });
  const announced = announcer();

  function draw() {
    const [clock, value] = [model.get("clock"), model.get("value")];
    const shown = series.map((one, i) => ({ ...one, line: i % 6 + 1 })).filter((_, i) => boxes[i].checked);
    if (!shown.length) {
      picture.replaceChildren();
      said.textContent = "Choose at least one batch size.";
      picture.setAttribute("aria-label", said.textContent);
      return;
    }
    const { time, found, apart } = ranking(shown, clock, value);
    const seen = shown.map(one => {
      const within = one[clock].map((_, i) => i).filter(i => one[clock][i] < time);
      const end = reading(one, clock, value, time);
      return { ...one, x: [...within.map(i => one[clock][i]), time], ...Object.fromEntries(["mean", "low", "high"].map(
        name => [name, [...within.map(i => one[value][name][i]), end[name]]])) };
    });
    const all = seen.flatMap(one => [...one.low, ...one.high]);
    const { node, at } = frame({ from: 0, to: time, label: clocks[clock] },
      { from: Math.min(0, ...all), to: Math.max(...all), label: values[value] });
    picture.replaceChildren(node, ...seen.flatMap(({ x, mean, low, high, line }) => [
      element("polyline", { class: `band line-${line}`, points: [...x.map((t, i) => at(t, high[i])),
        ...x.map((t, i) => at(t, low[i])).reverse()].join(" ") }),
      element("polyline", { class: `line line-${line}`, points: x.map((t, i) => at(t, mean[i])).join(" ") })]));
    const [first, second] = found;
    const amount = Number.isInteger(time) ? written(time) : time.toLocaleString("en-US", { maximumSignificantDigits: 4 });
    const place = `After ${amount} ${clocks[clock]}`;
    const one = each => `batch size ${written(each.batch_size)} (${each.mean.toFixed(3)})`;
    said.textContent = !second ? `${place}: ${one(first)}.`
      : apart ? `${place} ${one(first)} is ahead of ${one(second)}.`
        : `${place} ${one(first)} and ${one(second)} are first; their 95 % intervals overlap.`;
    picture.setAttribute("aria-label", `${values[value]} against ${clocks[clock]}. ${said.textContent}`);
    announced.say(said.textContent);
  }

  return mount({ model, el, name: "Four clocks", traits: ["clock", "value"], controls,
    parts: [sizes, picture, said, announced.node], draw, stop: announced.stop });
}
export default { render };
