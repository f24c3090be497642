// Who computes which sample of an epoch: one column a device, one row an iteration, one box a micro-batch.
import { plan, share } from "./plan.js";
import { announcer, choice, element, facts, keepHeight, mount, number, toggle } from "./parts.js";

const TRAITS = ["num_samples", "batch_size", "accumulation_steps", "world_size", "drop_last", "pad_to_even", "tail"];
const LEFT_OVER = { carry: "carried into the next epoch", merge: "merged into the next epoch's first iteration",
  drop: "dropped: too few for an iteration" };

function render({ model, el }) {
  const controls = [
    number(model, "num_samples", "Samples N", { max: 60 }),
    number(model, "batch_size", "Batch size B", { max: 12 }),
    number(model, "accumulation_steps", "Accumulation A", { max: 4 }),
    number(model, "world_size", "Devices W", { max: 6 }),
    choice(model, "tail", "Micro-batches left over at the end of an epoch:", {
      flush: "flush: a smaller iteration", carry: "carry: into the next epoch",
      merge: "merge: into the next epoch's first iteration", drop: "drop them" }),
    toggle(model, "pad_to_even", "repeat samples until all devices have equally many (else leave some out)"),
    toggle(model, "drop_last", "drop a last batch that is smaller (drop_last=True)"),
  ];
  const numbers = facts({ global_batch_size: "global batch size B · A · W", samples_per_device: "samples per device",
    batches_per_epoch: "batches per device", iterations_per_epoch: "iterations per epoch",
    samples_repeated_per_epoch: "seen twice in an epoch", samples_dropped_per_epoch: "never seen in an epoch" });
  const table = element("table");
  const frame = element("div", { class: "shares", tabindex: "0", role: "group",
    "aria-label": "Samples of each device" }, table);
  const legend = element("p", { class: "legend" });
  const announced = announcer();

  const box = (kind, samples) => element("span", { class: `micro-batch ${kind}` }, ...samples.flatMap(
    ({ sample, repeated }) => [repeated ? element("b", { title: "repeated" }, `${sample}↺`) : String(sample), " "]));
  const row = (name, kind, cells) => element("tr", { class: kind }, element("th", { scope: "row" }, name),
    ...cells.map(boxes => element("td", {}, ...boxes.flatMap(one => [one, " "]))));

  function draw() {
    const choices = Object.fromEntries(TRAITS.map(trait => [trait, model.get(trait)]));
    const now = plan(choices);
    keepHeight(frame, Boolean(now.refused));
    frame.hidden = Boolean(now.refused);
    if (now.refused) {
      numbers.show(Object.fromEntries([...numbers.node.querySelectorAll("dd")].map(dd => [dd.dataset.number, "–"])));
      legend.textContent = now.refused;
      announced.say(now.refused);
      return;
    }
    numbers.show(Object.fromEntries(["global_batch_size", "samples_per_device", "batches_per_epoch",
      "iterations_per_epoch", "samples_repeated_per_epoch", "samples_dropped_per_epoch"].map(name => [name, now[name]])));
    const { accumulation_steps, world_size, num_samples, tail } = choices;
    const devices = Array.from({ length: world_size }, (_, device) => share(choices, device));
    const group = (first, kind) => devices.map(({ batches }) =>
      batches.slice(first, first + accumulation_steps).map(samples => box(kind, samples)));
    const rows = Array.from({ length: now.iterations_per_epoch }, (_, iteration) =>
      row(`iteration ${iteration + 1}`, "", group(iteration * accumulation_steps, "")));
    const grouped = now.iterations_per_epoch * accumulation_steps;
    if (grouped < now.batches_per_epoch) rows.push(row(LEFT_OVER[tail], tail, group(grouped, tail)));
    if (devices[0].left.length) rows.push(row("dropped: a smaller batch", "drop",
      devices.map(({ left }) => [box("drop", left)])));
    const handed = now.samples_per_device * world_size;
    if (handed < num_samples) rows.push(element("tr", { class: "drop" },
      element("th", { scope: "row" }, "given to no device"), element("td", { colspan: world_size },
        box("drop", Array.from({ length: num_samples - handed }, (_, i) => ({ sample: handed + i }))))));
    table.replaceChildren(
      element("thead", {}, element("tr", {}, element("td"), ...devices.map((_, device) =>
        element("th", { scope: "col" }, `device ${device}`)))),
      element("tbody", {}, ...rows));
    legend.textContent = "One epoch, not shuffled. A box is one micro-batch, its numbers are samples."
      + (handed > num_samples ? " ↺ marks a repeated sample." : "");
    announced.say(`Global batch size ${now.global_batch_size}, ${now.iterations_per_epoch} iterations per epoch.`);
  }

  return mount({ model, el, name: "Devices and accumulation", traits: TRAITS, controls,
    parts: [numbers.node, frame, legend, announced.node], draw, stop: announced.stop });
}
export default { render };
