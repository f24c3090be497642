// The counting contract of lib/plan.py under the same names: the only copy of its arithmetic in JavaScript.
// tests/test_widgets.py compares both at random points.
const floorDiv = (a, b) => Math.floor(a / b);
const ceilDiv = (a, b) => Math.ceil(a / b);

// What a plan counts, or { refused: sentence } where TrainingPlan raises an error.
export function plan({ num_samples, batch_size, epochs = 1, drop_last = false, accumulation_steps = 1, world_size = 1,
                       pad_to_even = true, tail = "flush" }) {
  const samples_per_device = (pad_to_even ? ceilDiv : floorDiv)(num_samples, world_size);
  const batches_per_epoch = (drop_last ? floorDiv : ceilDiv)(samples_per_device, batch_size);
  const last_batch_size = drop_last ? batch_size : samples_per_device - (batches_per_epoch - 1) * batch_size;
  const iterations_per_epoch = (tail === "flush" ? ceilDiv : floorDiv)(batches_per_epoch, accumulation_steps);
  const iterations_before = epoch => tail === "carry" ? floorDiv(epoch * batches_per_epoch, accumulation_steps)
    : epoch * iterations_per_epoch;
  const total_iterations = iterations_before(epochs);
  if (!samples_per_device) return { refused: "There are more devices than samples, so no device gets one." };
  if (!batches_per_epoch) return { refused: "A batch has more samples than there are, so every batch is dropped." };
  if (!total_iterations) return { refused: "There are too few batches for one iteration: the weights never change." };

  const kept_batches = tail === "drop" ? batches_per_epoch - batches_per_epoch % accumulation_steps : batches_per_epoch;
  const kept_per_device = Math.min(kept_batches * batch_size, samples_per_device);
  const samples_repeated_per_epoch = Math.max(0, samples_per_device * world_size - num_samples);
  const samples_after = iterations => {
    const period = tail === "carry" ? batches_per_epoch : iterations_per_epoch;
    const done = tail === "carry" ? iterations * accumulation_steps : iterations;
    const batches = done % period * (tail === "carry" ? 1 : accumulation_steps);
    return world_size * (floorDiv(done, period) * kept_per_device + Math.min(batches * batch_size, kept_per_device));
  };
  return {
    samples_per_device, batches_per_epoch, last_batch_size, iterations_per_epoch, total_iterations,
    global_batch_size: batch_size * accumulation_steps * world_size, samples_repeated_per_epoch,
    samples_dropped_per_epoch: num_samples + samples_repeated_per_epoch - world_size * kept_per_device,
    total_samples: samples_after(total_iterations), iterations_before, samples_after,
    iterations_in_epoch: epoch => iterations_before(epoch + 1) - iterations_before(epoch),
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
