// Explain my number: fields for what is known of a run, and the runs that would show the number.
import { explain, lines } from "./explanations.js";
import { announcer, choice, element, mount, send } from "./parts.js";

const MOST = 1_000_000_000_000;
const FIELDS = { shown: "The number", num_samples: "Samples N", batch_size: "Batch size B, per device",
  accumulation_steps: "Accumulation A", world_size: "Devices W", epochs: "Epochs E" };
const LETTERS = { num_samples: "N", batch_size: "B", accumulation_steps: "A", world_size: "W", epochs: "E" };
const NEEDED = ["shown", "num_samples"];

// What is wrong with a text as the value of a field; nothing if it is right.
function refusal(name, text) {
  const plain = text.replace(/(?<=\d)[,_\s](?=\d{3}\b)/g, "").trim(), label = FIELDS[name];
  if (plain === "") return NEEDED.includes(name) ? `${label} is needed.` : "";
  const value = Number(plain);
  if (!Number.isFinite(value) || value <= 0) return `${label} is ${text}, but it must be a number above 0.`;
  if (name !== "epochs" && !Number.isInteger(value)) return `${label} is ${text}, but it must be a whole number.`;
  return value > MOST ? `${label} is ${text}, which is more than can be counted here.` : "";
}

function render({ model, el }) {
  const problems = {};
  const field = name => {
    const input = element("input", { type: "text", inputmode: "decimal", autocomplete: "off",
      placeholder: NEEDED.includes(name) ? false : "not known", change: () => {
        problems[name] = refusal(name, input.value);
        if (problems[name]) return draw();
        const plain = input.value.replace(/[^\d.]/g, "");
        const before = model.get(name);
        send(model, name, plain === "" ? null : Number(plain));
        if (model.get(name) === before) draw();  // a refusal may have stood there
      } });
    return { node: element("label", { class: "known" }, element("span", {}, FIELDS[name]), input), show: () => {
      if (!problems[name]) input.value = model.get(name) === null ? "" : model.get(name).toLocaleString("en-US");
    } };
  };
  const controls = [...Object.keys(FIELDS).map(field),
    choice(model, "framework", "Framework", { "": "not known", ...model.get("frameworks") })];
  const said = element("div", { class: "explained" });
  const announced = announcer();

  function draw() {
    const wrong = Object.values(problems).find(Boolean);
    const known = Object.fromEntries(Object.entries(LETTERS).map(([name, letter]) => [letter, model.get(name)])
      .filter(([, value]) => value !== null && value !== undefined));
    const texts = wrong ? [wrong] : lines(model.get("shown"),
      explain(model.get("shown"), known, model.get("framework"), model.get("table")));
    const shown = [];
    for (const text of texts) {
      if (text.startsWith("  ")) {
        if (shown.at(-1)?.tagName !== "UL") shown.push(element("ul", {}));
        shown.at(-1).append(element("li", {}, text.trim()));
      } else shown.push(element("p", {}, text));
    }
    said.replaceChildren(...shown);
    announced.say(texts[0]);
  }

  return mount({ model, el, name: "Explain my number", traits: [...Object.keys(FIELDS), "framework"], controls,
    parts: [said, announced.node], draw, stop: announced.stop });
}
export default { render };
