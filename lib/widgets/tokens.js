// Documents laid into rows and rows made into batches: lib/tokens.py under the same names, the only copy of it in
// JavaScript. tests/test_widgets.py compares both at random points.
const tokensOf = ([, start, stop]) => stop - start;
const sum = numbers => numbers.reduce((total, number) => total + number, 0);

// An order of documents: sorted by length inside of each pool.
export function sorted_pools(lengths, pool_size) {
  const order = lengths.map((_, document) => document), pools = [];
  for (let first = 0; first < order.length; first += pool_size)
    pools.push(...order.slice(first, first + pool_size).sort((a, b) => lengths[a] - lengths[b]));  // stable
  return pools;
}

function split(document, length, most) {
  return Array.from({ length: Math.ceil(length / most) },
    (_, part) => [document, part * most, Math.min((part + 1) * most, length)]);
}

// { rows, moves }: the pieces [document, start, stop] of each row, and [row, piece] in the order of laying.
export function laid(lengths, sequence_length, packing) {
  const rows = [], moves = [], room = [];
  const lay = (row, piece) => {
    if (row === rows.length) {
      rows.push([]);
      room.push(sequence_length);
    }
    rows[row].push(piece);
    room[row] -= tokensOf(piece);
    moves.push([row, piece]);
  };
  const fullest = tokens => room.reduce((best, left, row) =>
    left >= tokens && (best === rows.length || left < room[best]) ? row : best, rows.length);
  if (packing === "wrapped") {
    lengths.forEach((length, document) => {
      for (let start = 0; start < length;) {
        const row = room.at(-1) ? rows.length - 1 : rows.length;
        const stop = Math.min(length, start + (room[row] ?? sequence_length));
        lay(row, [document, start, stop]);
        start = stop;
      }
    });
    return { rows, moves };
  }
  const whole = packing === "best fit, split" ? lengths.flatMap((length, n) => split(n, length, sequence_length))
    : lengths.map((length, document) => [document, 0, Math.min(length, sequence_length)]);
  if (packing === "none") whole.forEach((piece, row) => lay(row, piece));
  else whole.sort((a, b) => tokensOf(b) - tokensOf(a)).forEach(piece => lay(fullest(tokensOf(piece)), piece));
  return { rows, moves };
}

// The items of each batch, if rows times the longest row may be at most `max_tokens`.
export function token_batches(lengths, max_tokens) {
  const batches = [];
  let widest = 0;
  lengths.forEach((length, item) => {
    widest = Math.max(widest, length);
    if (!batches.length || (batches.at(-1).length + 1) * widest > max_tokens) {
      batches.push([]);
      widest = length;
    }
    batches.at(-1).push(item);
  });
  return batches;
}

// What the widget shows, all of it: rows and moves as above, `batches` of { rows, width }, and the counts.
export function layout({ lengths, sequence_length, batch_size, packing, batching, pool_size, document_mask }) {
  const order = sorted_pools(lengths, pool_size);
  const { rows, moves } = laid(order.map(document => lengths[document]), sequence_length, packing);
  rows.flat().forEach(piece => { piece[0] = order[piece[0]]; });
  const tokens = rows.map(row => sum(row.map(tokensOf)));
  const groups = batching === "tokens" ? token_batches(tokens, batch_size * sequence_length)
    : split(0, rows.length, batch_size).map(([, first, end]) => rows.map((_, row) => row).slice(first, end));
  const batches = groups.map(group => ({ rows: group,
    width: batching === "fixed" ? sequence_length : Math.max(...group.map(row => tokens[row])) }));
  const places = sum(batches.map(batch => batch.rows.length * batch.width));
  return { rows, moves, batches, places, tokens: sum(tokens), cut_off: sum(lengths) - sum(tokens),
    targets: sum(rows.map((row, n) => tokens[n] - (document_mask ? row.length : 1))) };
}
