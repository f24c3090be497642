// Documents laid into rows one after the other: a line a row, a box a piece of a document, hatched what is padding.
import { layout } from "./tokens.js";
import { announcer, choice, element, facts, mount, number, player, toggle, written } from "./parts.js";

const TRAITS = ["chosen", "sequence_length", "batch_size", "packing", "batching", "pool_size", "document_mask"];
const LEAST_SHARE = 0.055;  // of a row: a narrower box has no room for its number

function render({ model, el }) {
  const sets = Object.fromEntries(Object.keys(model.get("documents")).map(name => [name, name]));
  const lengths = () => model.get("documents")[model.get("chosen")];
  const controls = [
    choice(model, "chosen", "Documents:", sets),
    choice(model, "packing", "Rows:", { none: "one document each, the rest cut off", wrapped: "wrapped: joined, then cut",
      "best fit": "best fit: whole documents, the rest cut off", "best fit, split": "best fit, long documents split" }),
    choice(model, "batching", "Batches:", { fixed: "B rows, padded to T", longest: "B rows, padded to their longest",
      tokens: "rows for at most B · T places" }),
    number(model, "sequence_length", "Row length T", { min: 8, max: 64 }),
    number(model, "batch_size", "Batch size B", { max: 12 }),
    number(model, "pool_size", "Sorted in pools of", { max: 40 }),
    toggle(model, "document_mask", "each document is read alone (document mask)"),
  ];
  const numbers = facts({ rows: "rows: samples of an epoch", batches: "batches", waste: "padding", cut_off: "tokens cut off",
    targets: "tokens that count" });
  const frame = element("div", { class: "rows", tabindex: "0", role: "group", "aria-label": "Rows of each batch" });
  const legend = element("p", { class: "legend" });
  const clock = element("p", { class: "clock" });
  const announced = announcer();
  let now, boxes = [], done = 0;  // the layout, the box of each move, and the moves that have been made

  const walkTo = moves => {
    done = Math.min(moves, now.moves.length);
    boxes.forEach((box, move) => { box.classList.toggle("ahead", move >= done); });
    const [row, [document, start, stop]] = now.moves[Math.max(done - 1, 0)];
    const open = new Set(now.moves.slice(0, done).map(([row]) => row)).size;
    clock.textContent = done ? `${written(done)} of ${written(now.moves.length)} laid: document ${document + 1}, `
      + `${stop - start} of its ${lengths()[document]} tokens, into row ${row + 1} · ${open} of ${now.rows.length} rows begun`
      : "nothing laid yet";
    announced.say(clock.textContent);
    return done < now.moves.length;
  };
  const run = player({
    steps: { "One document": () => walkTo(done < now.moves.length ? done + 1 : 1), "All of them": () => walkTo(Infinity) },
    tick: () => walkTo(done < now.moves.length ? done + 1 : 1), restart: () => walkTo(0), milliseconds: 350,
  });

  function draw() {
    run.stop();
    const choices = Object.fromEntries(TRAITS.map(trait => [trait, model.get(trait)]));
    now = layout({ ...choices, lengths: lengths() });
    const most = choices.sequence_length, waste = 1 - now.tokens / now.places;
    numbers.show({ rows: now.rows.length, batches: now.batches.length, waste: `${(100 * waste).toFixed(1)} %`,
      cut_off: now.cut_off, targets: now.targets });
    const made = new Map(now.rows.flatMap(row => row.map((piece, place) => {
      const [document, start, stop] = piece, share = (stop - start) / most;
      const kinds = ["piece", `kind-${document % 3}`, ...(place && !choices.document_mask ? [] : ["alone"])];
      return [piece, element("span", { class: kinds.join(" "), style: `width: ${100 * share}%`,
        title: `document ${document + 1}: tokens ${start + 1} to ${stop} of ${lengths()[document]}` },
        share < LEAST_SHARE ? "" : String(document + 1))];
    })));
    boxes = now.moves.map(([, piece]) => made.get(piece));
    frame.replaceChildren(...now.batches.map(({ rows, width }, batch) => element("div", { class: "batch" },
      element("span", { class: "name" }, `batch ${batch + 1}`), element("div", {}, ...rows.map(row =>
        element("div", { class: "line" }, element("div", { class: "row", style: `width: ${100 * width / most}%` },
          ...now.rows[row].map(([document, start, stop], place) => {
            const box = made.get(now.rows[row][place]);
            box.style.width = `${100 * (stop - start) / width}%`;
            return box;
          }))))))));
    legend.replaceChildren("A box is a document, or a piece of one, with its number. ",
      element("span", { class: "key padded" }), " padding. ", element("span", { class: "key alone" }),
      " the first token has nothing before it, so it does not count for the loss.",
      ...(now.cut_off ? [` ${written(now.cut_off)} tokens are in no row.`] : []));
    walkTo(Infinity);
    announced.say(`${now.rows.length} rows, ${(100 * waste).toFixed(1)} per cent padding, ${now.cut_off} tokens cut off.`);
  }

  return mount({ model, el, name: "Documents in rows", traits: TRAITS, controls,
    parts: [numbers.node, frame, legend, run.node, clock, announced.node], draw,
    stop: () => { run.stop(); announced.stop(); } });
}
export default { render };
