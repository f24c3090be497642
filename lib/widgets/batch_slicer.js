// One epoch as a strip of batches, drawn to scale, and a run that is walked through iteration by iteration.
import { plan } from "./plan.js";
import { announcer, element, facts, mount, number, player, toggle, written } from "./parts.js";

const WIDTH = 600, HEIGHT = 44, MOST_CELLS = 120, LEAST_WIDTH = 3;
const TRAITS = ["num_samples", "batch_size", "epochs", "drop_last", "accumulation_steps"];

function render({ model, el }) {
  const controls = [
    number(model, "num_samples", "Samples N", { max: 10_000, most: 1_000_000 }),
    number(model, "batch_size", "Batch size B", { max: 1_000, most: 1_000_000 }),
    number(model, "epochs", "Epochs E", { max: 10, most: 100 }),
    number(model, "accumulation_steps", "Accumulation A", { max: 8, most: 64 }),
    toggle(model, "drop_last", "drop a last batch that is smaller (drop_last=True)"),
  ];
  const numbers = facts({ iterations_per_epoch: "iterations per epoch", last_batch_size: "last batch",
    samples_dropped_per_epoch: "dropped per epoch", total_iterations: "iterations in all",
    total_samples: "samples in all" });
  const strip = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  const legend = element("p", { class: "legend" });
  const clock = element("p", { class: "clock" });
  const announced = announcer();
  let now, done = 0;  // the plan, and its iterations that have been walked through

  // Where the run stands: epochs count from 1 for people.
  const place = () => {
    const epoch = Math.min(Math.floor(Math.max(done - 1, 0) / now.iterations_per_epoch), model.get("epochs") - 1);
    return { epoch, inEpoch: done - now.iterations_before(epoch) };
  };
  const walkTo = iterations => {
    done = Math.min(iterations, now.total_iterations ?? 0);
    drawRun();
    return done < (now.total_iterations ?? 0);
  };
  const run = player({
    steps: {
      "One iteration": () => walkTo(done + 1),
      "To the end of the epoch": () => walkTo(now.iterations_before?.(Math.floor(done / now.iterations_per_epoch) + 1)),
    },
    tick: () => walkTo((done < now.total_iterations ? done : 0) + Math.ceil(now.iterations_per_epoch / 40)),
    restart: () => walkTo(0),
  });

  const box = (kind, from, to, least = 0) => {
    const left = Math.min(from, WIDTH - least);
    return element("rect", { class: kind, x: left, y: 1, width: Math.max(to - left, least), height: HEIGHT - 2 });
  };

  function drawRun() {
    if (now.refused) return;
    const { epoch, inEpoch } = place();
    const scale = WIDTH / model.get("num_samples");
    const before = now.samples_after(now.iterations_before(epoch));
    const [from, to] = [Math.max(done - 1, 0), done].map(i => Math.max(now.samples_after(i) - before, 0) * scale);
    strip.querySelectorAll(".done, .now").forEach(old => old.remove());
    strip.prepend(box("done", 0, from), box("now", from, to, done ? LEAST_WIDTH : 0));
    clock.textContent = `epoch ${epoch + 1} of ${model.get("epochs")} · iteration ${written(inEpoch)} of `
      + `${written(now.iterations_per_epoch)} · ${written(done)} of ${written(now.total_iterations)} iterations and `
      + `${written(now.samples_after(done))} of ${written(now.total_samples)} samples in all`;
    announced.say(clock.textContent);
  }

  function draw() {
    const choices = Object.fromEntries(TRAITS.map(trait => [trait, model.get(trait)]));
    now = plan(choices);
    done = 0;
    run.stop();
    run.node.hidden = strip.toggleAttribute("hidden", Boolean(now.refused));
    if (now.refused) {
      numbers.show(Object.fromEntries([...numbers.node.querySelectorAll("dd")].map(dd => [dd.dataset.number, "–"])));
      strip.replaceChildren();
      legend.replaceChildren(now.refused);
      clock.textContent = "";
      announced.say(now.refused);
      return;
    }
    numbers.show({ ...Object.fromEntries(["iterations_per_epoch", "samples_dropped_per_epoch", "total_iterations",
      "total_samples", "last_batch_size"].map(name => [name, now[name]])) });
    const { num_samples, batch_size } = choices, batches = now.batches_per_epoch;
    const scale = WIDTH / num_samples, used = num_samples - now.samples_dropped_per_epoch;
    const perCell = Math.ceil(batches / MOST_CELLS);
    const ends = Array.from({ length: Math.ceil(batches / perCell) + 1 }, (_, cell) =>
      Math.min(cell * perCell * batch_size, used) * scale);
    const tail = now.last_batch_size < batch_size;
    strip.replaceChildren(...ends.slice(1).map((end, cell) => box("cell", ends[cell], end)));
    if (tail) strip.append(box("tail", (used - now.last_batch_size) * scale, WIDTH, LEAST_WIDTH));
    if (used < num_samples) strip.append(box("dropped", used * scale, WIDTH, LEAST_WIDTH));
    const cells = perCell === 1 ? `${written(batches)} ${batches === 1 ? "batch" : "batches"}, drawn to scale`
      : `${written(batches)} batches; one cell stands for ${perCell} of them`;
    legend.replaceChildren(`One epoch: ${cells}. `,
      ...(tail ? [element("span", { class: "key tail" }), ` the tail, ${written(now.last_batch_size)} samples. `] : []),
      ...(used < num_samples ? [element("span", { class: "key dropped" }),
        ` dropped, ${written(num_samples - used)} samples. `] : []),
      ...(choices.accumulation_steps > 1 ? [`${choices.accumulation_steps} batches make one iteration.`] : []));
    strip.setAttribute("aria-label", legend.textContent.trim());
    drawRun();
    announced.say(`${written(now.iterations_per_epoch)} iterations per epoch, ${written(now.total_iterations)} in all.`);
  }

  return mount({ model, el, name: "Batch slicer", traits: TRAITS, controls,
    parts: [numbers.node, strip, legend, run.node, clock, announced.node], draw,
    stop: () => { run.stop(); announced.stop(); } });
}
export default { render };
