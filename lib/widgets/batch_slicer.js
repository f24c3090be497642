// A run as rows of batches, an epoch each, drawn to scale, with the end of an epoch enlarged; walked through iteration
// by iteration.
import { sheet } from "./chart.js";
import { plan } from "./plan.js";
import { announcer, element, facts, keepHeight, mount, number, player, toggle, written } from "./parts.js";

const MOST_ROWS = 6, ROW = 30, STRIP = 16, HEAD = 22, END = 78;  // pixels
const LEAST_CELL = 4, LEAST_GROUP = 8, LEAST_WIDTH = 3;  // narrower ones are not drawn one by one; a tail always is
const SHOWN_AT_END = 4;  // batches of the enlarged end
const TRAITS = ["num_samples", "batch_size", "epochs", "drop_last", "accumulation_steps"];

function render({ model, el }) {
  const controls = [
    number(model, "num_samples", "Samples N", { max: 10_000, most: 1_000_000 }),
    number(model, "batch_size", "Batch size B", { max: 1_000, most: 1_000_000, log: true }),
    number(model, "epochs", "Epochs E", { max: 10, most: 100 }),
    number(model, "accumulation_steps", "Accumulation A", { max: 8, most: 64 }),
    toggle(model, "drop_last", "drop a last batch that is smaller (drop_last=True)"),
  ];
  const numbers = facts({ iterations_per_epoch: "iterations per epoch", last_batch_size: "last batch",
    samples_dropped_per_epoch: "dropped per epoch", total_iterations: "iterations in all",
    total_samples: "samples in all" });
  const strip = sheet(() => drawRun(), HEAD + ROW + END);
  const legend = element("p", { class: "legend" });
  const clock = element("p", { class: "clock" });
  const announced = announcer();
  let now, choices, done = 0;  // the plan, what was chosen, and the iterations that have been walked through

  // Where the run stands: epochs count from 1 for people.
  const place = () => {
    const epoch = Math.min(Math.floor(Math.max(done - 1, 0) / now.iterations_per_epoch), choices.epochs - 1);
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

  const text = (words, x, y, anchor = "start", kind = "") =>
    element("text", { x, y, "text-anchor": anchor, class: kind }, words);
  const box = (kind, from, to, y, height = STRIP) => element("rect", { class: kind, x: from, y, height, width: to - from });
  const bracket = (from, to, y) => element("path", { class: "group", d: `M${from + 1.5} ${y}v5H${to - 1.5}v-5` });
  // At least LEAST_WIDTH wide, and not beyond the strip's right end.
  const seen = (from, to, right) => [Math.min(from, right - LEAST_WIDTH), Math.max(to, Math.min(from, right - LEAST_WIDTH) + LEAST_WIDTH)];
  const used = () => choices.num_samples - now.samples_dropped_per_epoch;
  const starts = batch => Math.min(batch * choices.batch_size, used());
  const groups = (first, last) => Array.from({ length: now.iterations_per_epoch }, (_, i) => i * choices.accumulation_steps)
    .filter(batch => batch >= first).map(batch => [batch, Math.min(batch + choices.accumulation_steps, last)]);

  // The samples of an epoch from left to right, as far as the run has come.
  function row(epoch, y, [left, right]) {
    const at = sample => left + sample / choices.num_samples * (right - left);
    const { batches_per_epoch: batches, last_batch_size } = now;
    const before = now.iterations_before(epoch), samples = now.samples_after(before);
    const reach = iterations => Math.min(Math.max(now.samples_after(iterations) - samples, 0), used());
    const [from, to] = [Math.max(done - 1, 0), done].map(reach).map(at);
    const alone = at(choices.batch_size) - left >= LEAST_CELL;
    const cells = alone ? Array.from({ length: batches }, (_, i) => [i, i + 1]) : [[0, batches]];
    return [
      text(`epoch ${epoch + 1}`, 0, y + 13),
      text(written(now.iterations_before(epoch + 1)), strip.width(), y + 13, "end"),
      box("done", left, from, y), ...(to > from ? [box("now", ...seen(from, to, right), y)] : []),
      ...cells.map(([first, end]) => box(alone ? "cell" : "cell many", at(starts(first)), at(starts(end)), y)),
      ...(last_batch_size < choices.batch_size ? [box("tail", ...seen(at(used() - last_batch_size), at(used()), right), y)] : []),
      ...(used() < choices.num_samples ? [box("dropped", ...seen(at(used()), right, right), y)] : []),
      ...(choices.accumulation_steps > 1 && at(choices.batch_size * choices.accumulation_steps) - left >= LEAST_GROUP
        ? groups(0, batches).map(([first, end]) => bracket(at(starts(first)), at(starts(end)), y + STRIP + 2)) : []),
    ];
  }

  // The last batches of an epoch, enlarged below the last row, with what each of them holds.
  function enlarged(y, [left, right]) {
    const { batches_per_epoch: batches, last_batch_size } = now;
    const first = Math.max(0, batches - SHOWN_AT_END), from = starts(first), whole = choices.num_samples - from;
    const widths = [...Array.from({ length: batches - first }, (_, i) => starts(first + i + 1) - starts(first + i)),
      ...(used() < choices.num_samples ? [choices.num_samples - used()] : [])];
    const room = right - left, plain = widths.map(size => size / whole * room);
    const least = Math.min(room / widths.length, 14 + 7.5 * Math.max(...widths.map(size => written(size).length)));
    const short = plain.reduce((sum, width) => sum + Math.max(least - width, 0), 0);  // what the narrow ones need more
    const long = plain.reduce((sum, width) => sum + Math.max(width - least, 0), 0);
    const ends = [left];
    plain.forEach(width => ends.push(ends.at(-1) + (width < least ? least : width - (width - least) * short / (long || 1))));
    const at = sample => left + sample / choices.num_samples * room, top = y + 26;
    return [
      element("path", { class: "lens", d: `M${Math.min(at(from), right - LEAST_WIDTH)} ${y}L${left} ${top}M${right} ${y}V${top}` }),
      ...widths.map((size, i) => {
        const kind = first + i === batches ? "dropped" : size < choices.batch_size ? "tail" : "cell";
        return element("g", {}, box(`end ${kind}`, ends[i], ends[i + 1], top, 26),
          text(written(size), (ends[i] + ends[i + 1]) / 2, top + 18, "middle"));
      }),
      ...(choices.accumulation_steps > 1 ? groups(first - choices.accumulation_steps + 1, batches).map(([start, end]) =>
        bracket(ends[Math.max(start - first, 0)], ends[end - first], top + 29)) : []),
      text("end of an epoch, enlarged", right, top + 51, "end"),
    ];
  }

  function drawRun() {
    const rows = Math.min(choices.epochs, MOST_ROWS);
    strip.setHeight(HEAD + rows * ROW + END);
    if (now.refused) return strip.node.replaceChildren();
    const { epoch, inEpoch } = place();
    const first = Math.min(Math.max(epoch - MOST_ROWS + 2, 0), choices.epochs - rows);  // the rows follow the run
    const span = [62, strip.width() - Math.max(62, 14 + 8 * written(now.total_iterations).length)];
    strip.node.replaceChildren(text(`${written(choices.num_samples)} samples`, span[0], 13),
      text("iterations so far", strip.width(), 13, "end"),
      ...Array.from({ length: rows }, (_, i) => row(first + i, HEAD + i * ROW, span)).flat(),
      ...enlarged(HEAD + (rows - 1) * ROW + STRIP + 1 + (choices.accumulation_steps > 1 ? 6 : 0), span));
    clock.textContent = `epoch ${epoch + 1} of ${choices.epochs} · iteration ${written(inEpoch)} of `
      + `${written(now.iterations_per_epoch)} · ${written(done)} of ${written(now.total_iterations)} iterations and `
      + `${written(now.samples_after(done))} of ${written(now.total_samples)} samples in all`;
    announced.say(clock.textContent);
  }

  // What the rows show that one long row would not: an epoch starts anew.
  function anew() {
    const { iterations_per_epoch, total_iterations } = now, { epochs, num_samples } = choices;
    const inOne = plan({ ...choices, num_samples: num_samples * epochs, epochs: 1 }).total_iterations;
    return epochs === 1 || inOne === undefined || inOne === total_iterations ? ""
      : `Each epoch starts anew: ${epochs} times ${written(iterations_per_epoch)} is ${written(total_iterations)}. `
        + `In one row, all ${written(num_samples * epochs)} samples would make ${written(inOne)}. `;
  }

  function draw() {
    choices = Object.fromEntries(TRAITS.map(trait => [trait, model.get(trait)]));
    const next = plan(choices);
    keepHeight(strip.node, Boolean(next.refused));
    now = next;
    done = 0;
    run.stop();
    [run.node, strip.node].forEach(node => { node.style.visibility = now.refused ? "hidden" : ""; });
    if (now.refused) {
      numbers.show(Object.fromEntries([...numbers.node.querySelectorAll("dd")].map(dd => [dd.dataset.number, "–"])));
      drawRun();
      legend.replaceChildren(now.refused);
      clock.textContent = "";
      announced.say(now.refused);
      return;
    }
    numbers.show(Object.fromEntries(["iterations_per_epoch", "samples_dropped_per_epoch", "total_iterations",
      "total_samples", "last_batch_size"].map(name => [name, now[name]])));
    drawRun();
    const { num_samples, batch_size, epochs, accumulation_steps } = choices, batches = now.batches_per_epoch;
    const more = epochs - MOST_ROWS;
    legend.replaceChildren(`One row is one epoch: ${written(batches)} ${batches === 1 ? "batch" : "batches"}, drawn to scale. `,
      ...(now.last_batch_size < batch_size
        ? [element("span", { class: "key tail" }), ` the tail, ${written(now.last_batch_size)} samples. `] : []),
      ...(used() < num_samples ? [element("span", { class: "key dropped" }),
        ` dropped, ${written(num_samples - used())} samples. `] : []),
      ...(accumulation_steps > 1 ? [`${accumulation_steps} batches make one iteration, marked by a bracket. `] : []), anew(),
      ...(more > 0 ? [`${more} more ${more === 1 ? "epoch" : "epochs"} like these.`] : []));
    strip.node.setAttribute("aria-label", legend.textContent.trim());
    announced.say(`${written(now.iterations_per_epoch)} iterations per epoch, ${written(now.total_iterations)} in all.`);
  }

  return mount({ model, el, name: "Batch slicer", traits: TRAITS, controls,
    parts: [numbers.node, strip.node, legend, run.node, clock, announced.node], draw,
    stop: () => { run.stop(); announced.stop(); strip.stop(); } });
}
export default { render };
