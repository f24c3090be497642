// The search of lib/explain.py under the same names. tests/test_explain.py compares the sentences at random points.
import { because, comma, count, down, factor, pace, sum, up } from "./readings.js";

const NAMES = { B: "batch_size", A: "accumulation_steps", W: "world_size", E: "epochs" };

// Python orders by lists of numbers; so does this.
const compare = (a, b) => a.reduce((found, number, place) => found || number - b[place], 0);
const isRound = value => Number.isInteger(Math.log2(value)) || /^([1-9]|15|25)0*$/.test(String(value));
function cost(way, known, run) {
  return way.given.length + (way.version ? 1 : 0) + sum(Object.entries(run).map(([letter, value]) => letter in known
    || value === way.defaults[letter] ? 0 : (isRound(value) ? 1 : 2) + (letter === "E" && value > 1000 ? 1 : 0)));
}

const guesses = (way, known, run) => Object.entries(run).filter(([letter, value]) =>
  !(letter in known) && value !== way.defaults[letter]).length;

function epochsFor(shown, way, number, run, most) {
  const [a, b] = pace(way, number, run), times = factor(number, run);
  const value = (shown - number.plus) / times;
  if (!a || !Number.isInteger(value) || value < 1) return [];
  if (b === 1) return value % a === 0 && value / a <= most ? [value / a] : [];
  const first = up(value * b, a), last = Math.min(down((value + 1) * b - 1, a), most);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, place) => first + place);
}

function runs(shown, known, way, number, named, { sensible, most_epochs }) {
  const { uses } = number, { N } = known, found = [];
  const unplaced = [..."BAWE"].filter(letter => letter in known && !way.letters.includes(letter) && known[letter] !== 1);
  if (!named && unplaced.some(letter => letter !== "A" || uses.includes("A"))) return [];
  if (!way.letters_of.join("").includes("N")) return [];
  const choices = [..."BAW"].map(letter => {
    if (!uses.includes(letter) || !way.letters.includes(letter)) return [null];
    if (letter in known) return [known[letter]];
    const tried = new Set([...(way.defaults[letter] ? [way.defaults[letter]] : []), ...sensible[letter]]);
    return [...tried].filter(value => letter !== "B" || value <= N);
  });
  for (const B of choices[0]) for (const A of choices[1]) for (const W of choices[2]) {
    const run = Object.fromEntries(Object.entries({ N, B, A, W }).filter(([, value]) => value !== null));
    if (!uses.includes("E")) {
      if (count(way, number, run) === shown) found.push(run);
    } else if ("E" in known) {
      const all = { ...run, E: known.E };
      if ((Number.isInteger(known.E) || way.takes_parts) && count(way, number, all) === shown) found.push(all);
    } else if (number.reading !== "epochs" || number.times || number.plus) {
      found.push(...epochsFor(shown, way, number, run, most_epochs).map(E => ({ ...run, E })));
    }
  }
  return found;
}

export function search(shown, known, ways, named, table) {
  const found = ways.flatMap((way, place) => way.shows.flatMap((number, order) =>
    runs(shown, known, way, number, named, table).map(run => ({ way, number, run,
      likely: [cost(way, known, run), guesses(way, known, run), place, order,
        ...[..."EBAW"].map(letter => run[letter] ?? 0)] }))));
  found.sort((a, b) => compare(a.likely, b.likely));
  const configurations = new Map();
  for (const { likely, way, number, run } of found) {
    const text = because(way, number, run), same = [text, ...[..."BAWE"].map(letter => run[letter] ?? 1)].join();
    if (!configurations.has(same)) configurations.set(same, { because: text, run, cost: likely[0], sources: [] });
    const { sources } = configurations.get(same);
    if (!sources.some(source => source.name === way.name && source.label === number.label))
      sources.push({ name: way.name, label: number.label, text: () => sourceOf(way, number, run, table) });
  }
  return [...configurations.values()];
}

function sourceOf(way, number, run, { ways }) {
  const written = way.arguments.flatMap(([name, letters, leaves_out_1]) => {
    const all = [...letters], set = all.filter(letter => letter in run);
    if (letters.includes("N") || !set.length || !all.every(letter => letter in run || !way.letters.includes(letter))) return [];
    const value = set.reduce((total, letter) => total * run[letter], 1);
    return value === 1 && leaves_out_1 ? [] : [`${name}=${value}`];
  });
  const given = [...written, ...way.given].join(", ");
  let otherwise = "";
  for (const other of ways) {
    const there = other.framework === way.framework && other.given.join() === way.given.join()
      && other.version !== way.version && other.shows.find(({ label }) => label === number.label);
    const value = there ? count(other, there, run) : 0;
    if (value && value !== count(way, number, run)) otherwise = other.version
      ? ` ${other.version[0].toUpperCase()}${other.version.slice(1)} it would show ${comma(value)}.`
      : ` Version ${other.known_version} would show ${comma(value)}.`;
  }
  return `${way.name} shows it as ${number.label}${given ? `, with ${given}` : ""}.${otherwise}`;
}

// What would have to differ where nothing gives the number.
function differences(shown, known, ways, named, table, most = 3) {
  const sentences = [];
  for (const letter of "EBAW") if (letter in known) {
    const { [letter]: left, ...others } = known, [best] = search(shown, others, ways, named, table);
    if (best && letter in best.run)
      sentences.push(`If ${NAMES[letter]} were ${comma(best.run[letter])}, not ${left}: ${best.because}`);
  }
  const numbers = ways.flatMap(way => way.shows.map(number => {
    const unplaced = [..."BAWE"].some(x => x in known && !way.letters.includes(x) && known[x] !== 1);
    const run = { N: known.N };
    for (const x of number.uses) if (way.letters.includes(x)) run[x] = known[x] ?? way.defaults[x] ?? 1;
    const whole = Number.isInteger(run.E ?? 1) || way.takes_parts;
    return { way, number, run, value: whole && (named || !unplaced) ? count(way, number, run) : 0 };
  })).filter(({ value }) => value);
  const ranges = new Set();
  for (const { way, number, run } of numbers) {
    const low = firstWith(shown, way, number, run), high = firstWith(shown + 1, way, number, run) - 1;
    const many = low === high ? comma(low) : `${comma(low)} to ${comma(high)}`;
    if (low <= high) ranges.add(`${way.name} shows ${number.label} ${comma(shown)} with ${many} samples, not ${comma(known.N)}.`);
  }
  sentences.push(...[...ranges].slice(0, most));
  if (ranges.size) sentences.push(table.why_other_samples);
  const near = new Map();
  for (const { way, number, run, value } of numbers.sort((a, b) => Math.abs(a.value - shown) - Math.abs(b.value - shown))) {
    const text = because(way, number, run), gap = `${comma(Math.abs(value - shown))} ${value > shown ? "more" : "fewer"}`;
    if (!near.has(text)) near.set(text, `${way.name} would show ${number.label} ${comma(value)}, ${gap}: `);
  }
  return [...sentences, ...[...near].slice(0, most).map(([reason, start]) => start + reason)];
}

function firstWith(least, way, number, run) {
  let low = 0, high = 1;
  while (count(way, number, { ...run, N: high }) < least) {
    [low, high] = [high, 2 * high];
    if (high > 1e12) return high;
  }
  while (high - low > 1) {
    const middle = down(low + high, 2);
    if (count(way, number, { ...run, N: middle }) >= least) high = middle; else low = middle;
  }
  return high;
}

// { found, asked, differs, notes }: everything about a number; asked is a sentence or nothing.
export function explain(shown, known, framework, table) {
  const ways = table.ways.filter(way => !framework || way.framework === framework), named = Boolean(framework);
  const found = search(shown, known, ways, named, table), seen = new Set(), asked = new Map();
  if (!("E" in known && found.length)) for (const way of ways) for (const argument of way.asked) {
    if (way.version || seen.has(`${way.framework} ${argument}`)) continue;
    seen.add(`${way.framework} ${argument}`);
    asked.set(argument, [...(asked.get(argument) ?? []), way.name]);
  }
  const said = [...asked].map(([argument, names]) => `${argument}=${shown} (${names.join(", ")})`).join("; ");
  const unplaced = named ? Object.keys(NAMES).filter(letter => letter in known && known[letter] !== 1
    && !ways.some(way => way.letters.includes(letter))) : [];
  return { found, asked: said ? `Or it was asked for: ${said}.` : "",
    differs: found.length ? [] : differences(shown, known, ways, named, table),
    notes: [...unplaced.map(letter => `${ways[0].name} has no place for ${NAMES[letter]} here, so ${known[letter]} was passed over.`),
      ...new Set(named ? ways.map(way => way.caution).filter(Boolean) : [])] };
}

// The explanation as Python prints it.
export function lines(shown, { found, asked, differs, notes }, most = 5) {
  const said = [];
  for (const { because, sources } of found.slice(0, most)) {
    said.push(because, ...sources.slice(0, most).map(source => `  ${source.text()}`));
    if (sources.length > most) said.push(`  Also: ${[...new Set(sources.slice(most).map(({ name }) => name))].join(", ")}.`);
  }
  const more = found.length - most;
  if (more > 0) said.push(`${comma(more)} more ${more === 1 ? "configuration gives" : "configurations give"} ${comma(shown)}, less likely.`);
  if (!found.length) said.push(`Nothing that is known here gives ${comma(shown)} with these numbers.`, ...differs);
  return [...said, ...(asked ? [asked] : []), ...notes];
}
