// Brings the anywidgets of a built page to life, without Python and without another host.
// The page holds the state of its widgets as JSON, and a marker where each of them belongs. A classic script, because
// browsers load no module from file://.
(() => {
  const found = kind => [...document.querySelectorAll(`script[type="application/vnd.jupyter.widget-${kind}+json"]`)];
  const modules = new Map(), styles = new Set();

  function load(esm) {
    if (!modules.has(esm)) {
      const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
      modules.set(esm, import(url).then(module => typeof module.default === "function" ? module.default() : module.default));
    }
    return modules.get(esm);
  }

  function addStyle(css) {
    if (!css || styles.has(css)) return;
    styles.add(css);
    document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
  }

  // What an anywidget may ask of its model, minus Python: values, and handlers of their changes.
  function makeModel(values) {
    let handlers = [];
    const fire = (name, ...given) => handlers.filter(handler => handler.name === name).forEach(({ act }) => act(...given));
    const model = {
      get: name => values[name],
      set(name, value) {
        if (JSON.stringify(values[name]) === JSON.stringify(value)) return;
        values = { ...values, [name]: value };
        fire(`change:${name}`, model, value);
        fire("change", model);
      },
      save_changes() {},
      send() {},
      on: (names, act) => names.split(" ").forEach(name => handlers.push({ name, act })),
      off: (names, act) => {
        handlers = handlers.filter(handler => !((!names || names.split(" ").includes(handler.name))
          && (!act || handler.act === act)));
      },
    };
    return model;
  }

  async function show(marker, states, models) {
    const id = JSON.parse(marker.textContent).model_id, { state } = states[id];
    const el = document.createElement("div");
    el.className = "live-widget";
    try {
      const widget = await load(state._esm);
      addStyle(state._css);
      if (!models.has(id)) {
        models.set(id, makeModel({ ...state }));
        await widget.initialize?.({ model: models.get(id) });
      }
      await widget.render({ model: models.get(id), el });
      const text = marker.previousElementSibling?.querySelector(".widget-text");
      if (text) text.hidden = true;  // style sheets bring it back on paper
      marker.before(el);
    } catch (error) {
      console.error("A widget could not start:", error);  // its text stays
    }
  }

  function start() {
    const states = Object.assign({}, ...found("state").map(script => JSON.parse(script.textContent).state));
    const models = new Map();
    found("view").forEach(marker => show(marker, states, models));
  }
  // Not DOMContentLoaded, which waits for the deferred scripts: icons and formulas, most of the page's weight.
  if (document.readyState === "loading") document.addEventListener("readystatechange", start, { once: true });
  else start();
})();
