// A question: the reader answers, and gets a reason, not only a verdict. Nothing is stored.
import { element } from "./parts.js";

let groups = 0;  // radio buttons of one question need a name of their own in the page

function render({ model, el }) {
  const [answer, choices, wrong] = ["answer", "choices", "wrong"].map(name => model.get(name));
  const isChoice = choices.length > 0;
  const group = `predict-${groups += 1}`;
  const radios = choices.map(value => element("input", { type: "radio", name: group, value }));
  const field = element("input", { type: "text", inputmode: "decimal", autocomplete: "off", "aria-label": "Your answer" });
  const feedback = element("p", { class: "feedback", role: "status" });

  const say = (kind, verdict, reason) => {
    feedback.className = `feedback ${kind}`;
    feedback.replaceChildren(element("strong", {}, verdict), ` ${reason}`);
  };
  const near = (a, b) => Math.abs(a - b) <= Math.max(model.get("tolerance"), 1e-9 * Math.abs(b));
  const show = verdict => {
    const written = isChoice ? answer : answer.toLocaleString("en-US", { maximumFractionDigits: 6 });
    say("right", verdict, `${written}. ${model.get("why")}`);
  };

  function checkChoice() {
    const chosen = radios.find(radio => radio.checked)?.value;
    if (chosen === undefined) return say("", "Choose one first.", "");
    if (chosen === answer) return show("Right:");
    say("wrong", "Not this one.", wrong.find(([other]) => other === chosen)[1]);
  }
  function checkNumber() {
    const text = field.value.replace(/[,_\s]/g, "");
    if (!/^[-+]?(\d+\.?\d*|\.\d+)%?$/.test(text)) return say("", "Write a number first,", "such as 1,000 or 0.5.");
    const number = parseFloat(text);
    if (near(number, answer)) return show("Right:");
    const reason = wrong.find(([other]) => near(number, other))?.[1];
    say("wrong", "Not yet.", reason ?? `The answer is ${number < answer ? "larger" : "smaller"}. Try again, or look.`);
  }

  const form = element("form", { class: "course-widget predict", submit: event => {
    event.preventDefault();
    (isChoice ? checkChoice : checkNumber)();
  } },
  element("fieldset", {}, element("legend", {}, model.get("question")),
    isChoice ? element("div", { class: "choices" }, ...radios.map(radio =>
      element("label", {}, radio, ` ${radio.value}`))) : field,
    element("span", { class: "player" }, element("button", { type: "submit" }, "Check"),
      element("button", { type: "button", click: () => show("The answer:") }, "Show the answer"))),
  feedback);
  el.append(form);
}
export default { render };
