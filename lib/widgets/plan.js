// The counting contract of lib/loading.py and lib/plan.py under the same names: the only copy of its arithmetic in
// JavaScript. tests/test_widgets.py compares both at random points.
const floorDiv = (a, b) => Math.floor(a / b);
const ceilDiv = (a, b) => Math.ceil(a / b);

// Loader: how an epoch's samples become the batches of each device.
function loader({ num_samples, batch_size, drop_last = false, world_size = 1, pad_to_even = true, deal = "samples",
                  limit_batches = null }) {
  const cut = drop_last ? floorDiv : ceilDiv, whole = deal === "batches" && world_size > 1;
  const dealt = (pad_to_even ? ceilDiv : floorDiv)(num_samples, world_size);
  const batches = whole ? cut(cut(num_samples, batch_size), world_size) : cut(dealt, batch_size);
  const samples_per_device = whole ? batches * batch_size : dealt;
  const batches_per_epoch = Math.min(batches, limit_batches ?? Infinity);
  const samples_in = batches => {
    const full = batches * batch_size * world_size;
    if (!whole) return Math.min(full, samples_per_device * world_size);
    return pad_to_even ? full : Math.min(full, num_samples);
  };
  const last_batch_size = whole ? batch_size * (1 - batches_per_epoch * world_size) + samples_in(batches_per_epoch)
    : Math.min(batch_size, samples_per_device - (batches_per_epoch - 1) * batch_size);
  let refused;
  if (!samples_per_device && !whole) refused = "There are more devices than samples, so no device gets one.";
  else if (!batches_per_epoch) refused = "A batch has more samples than there are, so every batch is dropped.";
  else if (whole && !pad_to_even && !drop_last && ceilDiv(num_samples, batch_size) % world_size)
    refused = "The batches cannot be dealt evenly, so some devices would wait for others.";
  return { samples_per_device, batches_per_epoch, last_batch_size, samples_in, refused };
}

// The part of `number` that `epochs` has behind the point, rounded up; exact, as 2.2 means the decimal that it shows.
function partOf(epochs, number) {
  const digits = String(epochs).split(".")[1] ?? "";
  return Number((BigInt(digits || 0) * BigInt(number) + 10n ** BigInt(digits.length) - 1n) / 10n ** BigInt(digits.length));
}

// What a plan counts, or { refused: sentence } where TrainingPlan raises an error.
export function plan({ epochs = 1, accumulation_steps = 1, tail = "flush", ...choices }) {
  const { num_samples, batch_size, world_size = 1 } = choices;
  const { samples_per_device, batches_per_epoch, last_batch_size, samples_in, refused } = loader(choices);
  if (refused) return { refused };
  const iterations_per_epoch = (tail === "flush" ? ceilDiv : floorDiv)(batches_per_epoch, accumulation_steps);
  const iterations_before = epoch => tail === "carry" ? floorDiv(epoch * batches_per_epoch, accumulation_steps)
    : epoch * iterations_per_epoch;
  const whole = Math.floor(epochs), before = iterations_before(whole);
  const total_iterations = before + partOf(epochs, iterations_before(whole + 1) - before);
  if (!total_iterations) return { refused: "There are too few batches for one iteration: the weights never change." };

  const kept_batches = tail === "drop" ? iterations_per_epoch * accumulation_steps : batches_per_epoch;
  const place = iterations => {  // full epochs, and batches of the next one, behind a device
    const batches = iterations * accumulation_steps;
    if (tail === "carry" || !iterations) return [floorDiv(batches, batches_per_epoch), batches % batches_per_epoch];
    const full_epochs = floorDiv(iterations - 1, iterations_per_epoch);
    const inside = (iterations - full_epochs * iterations_per_epoch) * accumulation_steps;
    return [full_epochs, Math.min(inside, batches_per_epoch)];
  };
  const samples_after = iterations => {
    const [full_epochs, batches] = place(iterations);
    return full_epochs * samples_in(kept_batches) + samples_in(batches);
  };
  const visits = samples_in(kept_batches);
  return {
    samples_per_device, batches_per_epoch, last_batch_size, iterations_per_epoch, total_iterations,
    global_batch_size: batch_size * accumulation_steps * world_size,
    samples_dropped_per_epoch: Math.max(0, num_samples - visits),
    samples_repeated_per_epoch: Math.min(num_samples, Math.max(0, visits - num_samples)),
    total_samples: samples_after(total_iterations), iterations_before, samples_after,
    iterations_in_epoch: epoch => Math.min(iterations_before(epoch + 1), total_iterations) - iterations_before(epoch),
  };
}

// The samples of one device in an unshuffled epoch, cut into batches, as torch's DistributedSampler and DataLoader
// do it: dealt out one by one, from the start again when they run out. `left` are those of a dropped last batch.
export function share(choices, device) {
  const { samples_per_device, batches_per_epoch } = plan(choices);
  const samples = Array.from({ length: samples_per_device }, (_, turn) => {
    const place = device + turn * choices.world_size;
    return { sample: place % choices.num_samples, repeated: place >= choices.num_samples };
  });
  const batches = Array.from({ length: batches_per_epoch },
    (_, batch) => samples.slice(batch * choices.batch_size, (batch + 1) * choices.batch_size));
  return { batches, left: samples.slice(batches_per_epoch * choices.batch_size) };
}
