// What a framework's number stands for, as in lib/frameworks/readings.py and with the sentences of lib/explain.py. The
// table of ways is handed over by Python. tests/test_explain.py compares both at random points.
import { plan } from "./plan.js";

export const up = (a, b) => Math.ceil(a / b), down = (a, b) => Math.floor(a / b);
const grouped = new Intl.NumberFormat("en-US");  // toLocaleString would make a new one each time
export const comma = number => Number.isInteger(number) ? grouped.format(number) : String(number);
const plural = (count, word) => `${comma(count)} ${word}${count === 1 ? "" : word.endsWith("ch") ? "es" : "s"}`;
export const sum = numbers => numbers.reduce((a, b) => a + b, 0);
export const factor = (shown, run) => [...shown.times].reduce((total, sign) => total * (Number(sign) || (run[sign] ?? 1)), 1);

const kept = new Map();
function batchesOf({ habits }, samples, B, W) {
  const key = [samples, B, W, habits.drop_last, habits.deal, habits.pad_to_even, habits.workers, habits.split].join();
  if (!kept.has(key)) {
    if (kept.size > 200_000) kept.clear();
    const cut = habits.drop_last ? down : up, readers = Math.max(1, habits.workers ?? 1);
    kept.set(key, "workers" in habits
      ? sum(Array.from({ length: readers }, (_, w) => cut(habits.split ? Math.max(0, up(samples - w, readers)) : samples, B)))
      : plan({ num_samples: samples, batch_size: B, world_size: W, drop_last: habits.drop_last, deal: habits.deal,
        pad_to_even: habits.pad_to_even }).batches_per_epoch ?? 0);
  }
  return kept.get(key);
}

function samplesOf({ held_out }, N) {
  if (!held_out) return N;
  const [how, share] = held_out;
  if (how === "floor") return Math.floor(N * (1 - share));
  return N - Math.ceil(how === "part" ? N / share : share * N);
}

// [a, b]: the reading is a * E / b, rounded down if b is not 1 and else up; without E it is a.
export function pace(way, { reading }, { N, B = 1, A = 1, W = 1 }) {
  const { habits, constants } = way;
  if (reading === "epochs") return [1, 1];
  if (reading === "iterations for N") return [down(N, B * A * W), 1];
  if (reading === "updates from memory") {
    const at_once = constants.train_freq * W, steps = constants.gradient_steps;
    const trainings = up(N, at_once) - down(constants.learning_starts, at_once);
    return [Math.max(0, trainings) * (steps === -1 ? at_once : steps), 1];
  }
  if (["timesteps", "rollouts", "passes over rollouts"].includes(reading)) {
    const size = constants.n_steps * W;
    return [up(N, size) * (reading === "timesteps" ? size : 1), 1];
  }
  const samples = samplesOf(way, N);
  if (samples < 1) return [0, 1];
  if (reading === "visits") return [samples, 1];
  if (habits.drawn) return [samples, Math.min(B, samples)];
  const batches = batchesOf(way, samples, B, W);
  if (reading.startsWith("batches") || !batches) return [batches, 1];
  if (habits.tail === "carry" && reading === "iterations") return [batches, A];
  if (habits.tail === "flush") return [up(batches, A), 1];
  return [Math.max(down(batches, A), habits.tail === "floor" ? 1 : 0), 1];
}

const ofEpochs = ([a, b], E) => b === 1 ? Math.ceil(E * a) : down(E * a, b);
export function count(way, shown, run) {
  const [a, b] = pace(way, shown, run);
  const value = shown.uses.includes("E") ? ofEpochs([a, b], run.E) : a;
  return value ? value * factor(shown, run) + shown.plus : 0;
}

export function because(way, number, run) {
  const value = count(way, number, run), times = factor(number, run);
  let text = readingBecause(way, number, run);
  if (number.plus) text = `${comma(value)} = ${comma(value - number.plus)} ${number.plus > 0 ? "+" : "-"} ${Math.abs(number.plus)}, and ${text}`;
  return times === 1 ? text : `${comma(value)} = ${comma(times)} × ${comma(down(value, times))}, and ${text}`;
}

function readingBecause(way, { reading, ...number }, run) {
  const { N, B = 1, A = 1, W = 1, E = 1 } = run, { habits, constants } = way;
  const [a, b] = pace(way, { reading, ...number }, run);
  const value = comma(number.uses.includes("E") ? ofEpochs([a, b], E) : a);
  const remaining = samplesOf(way, N), samples = plural(remaining, "sample") + (remaining === N ? "" : ` of ${comma(N)}`);
  if (reading === "epochs") return `${value} is the number of epochs or rounds, whatever the batch size.`;
  if (reading === "visits") return `${value} = ${comma(E)} × ${samples}.`;
  if (reading === "iterations for N") return `${value} = ${comma(N)} samples / ${comma(B * A * W)}, rounded down.`;
  if (reading === "updates from memory") return `${value} updates in ${comma(N)} timesteps, one training every `
    + `${comma(constants.train_freq * W)} of them behind the first ${comma(constants.learning_starts)}.`;
  if (["timesteps", "rollouts", "passes over rollouts"].includes(reading)) {
    const size = constants.n_steps * W, rollouts = `${plural(up(N, size), "rollout")} of ${comma(size)} timesteps`;
    if (reading === "passes over rollouts")
      return `${value} = ${comma(E)} × ${comma(a)}: ${rollouts} are gone through ${comma(E)} times each.`;
    return `${value} is ${rollouts}${N % size ? `; ${comma(N)} timesteps are rounded up` : ""}.`;
  }
  if (habits.drawn) return `${value} = ${comma(E)} × ${samples} / ${comma(b)}, rounded down: batches are drawn.`;
  const batches = batchesOf(way, remaining, B, W);
  const data = madeOf(way, remaining, samples, B, W, plural(batches, "batch"));
  if (reading === "batches of an epoch") return `${value} is one epoch in batches: ${data}.`;
  if (reading === "batches") return `${value} = ${comma(E)} × ${comma(batches)}: ${data}, and each is counted.`;
  const all = data + leftOver(way, batches, A);
  if (reading === "iterations of an epoch") return `${value} is one epoch in iterations: ${all}.`;
  if (b !== 1) return `${value} = ${plural(E * batches, "batch")} / ${A}, rounded down: ${all}.`;
  return `${value} = ${comma(E)} × ${comma(a)}${E * a === ofEpochs([a, b], E) ? "" : ", rounded up"}: ${all}.`;
}

function madeOf({ habits }, remaining, samples, B, W, made) {
  const rest = remaining % B;
  if (habits.workers) samples += `, ${habits.split ? "shared by" : "all read by each of"} ${habits.workers} workers,`;
  if ("workers" in habits) return `${samples} in batches of ${comma(B)} make ${made}`;
  if (W === 1) {
    const end = rest && habits.drop_last ? `, and ${comma(rest)} dropped`
      : rest && remaining > B ? `, the last one of ${comma(rest)}` : "";
    return `${samples} in batches of ${comma(B)} make ${made}${end}`;
  }
  const dealt = habits.deal === "batches" ? "batches, dealt whole," : "batches";
  const end = habits.drop_last ? ", what is left over dropped" : "";
  return `${samples} on ${comma(W)} devices in ${dealt} of ${comma(B)} make ${made} on each${end}`;
}

function leftOver({ habits }, batches, A) {
  const rest = batches % A, tail = habits.tail === "floor" && batches < A ? "flush" : habits.tail;
  if (A === 1) return "";
  return `; ${A} make an iteration` + (!rest ? "" : { flush: `, the last ${rest} of an epoch a smaller one`,
    carry: ", what is left over goes on in the next epoch", merge: `, the ${rest} left over join the next epoch's first`,
    drop: `, the ${rest} left over are dropped`, floor: `, the ${rest} left over are not counted` }[tail]);
}
