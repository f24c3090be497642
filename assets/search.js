// The excerpts of the search show "⌈N / B⌉" and not "\(\lceil N / B \rceil\)". A formula that is more than names and
// signs becomes a dot-dot-dot.
(() => {
  const SIGNS = { lceil: "⌈", rceil: "⌉", lfloor: "⌊", rfloor: "⌋", times: "×", cdot: "·", le: "≤", leq: "≤", ge: "≥", geq: "≥",
    approx: "≈", neq: "≠", eta: "η", sigma: "σ", mu: "μ", theta: "θ", epsilon: "ε", lambda: "λ", sum: "∑", nabla: "∇",
    sqrt: "√", propto: "∝", to: "→", infty: "∞", pm: "±", left: "", right: "", big: "", quad: " ", ",": " ", ";": " ", "!": "" };
  const plain = tex => {
    const text = tex.replace(/^\\[([]|\\[)\]]$/g, "")
      .replace(/\\(?:text|mathrm|operatorname|mathbf)\s*\{([^{}]*)\}/g, "$1")
      .replace(/\\d?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}/g, "$1 / $2")
      .replace(/\\([a-zA-Z]+|[,;!])/g, (whole, name) => SIGNS[name] ?? whole)
      .replace(/\{,\}/g, ",").replace(/[{}_^]/g, "").replace(/\s+/g, " ").trim();
    return /[\\&]/.test(text) ? "…" : text;
  };
  const asSphinx = Search.htmlToText;
  Search.htmlToText = (page, anchor) => {
    const read = new DOMParser().parseFromString(page, "text/html");
    for (const formula of read.querySelectorAll(".math")) formula.textContent = plain(formula.textContent.trim());
    return asSphinx(read.documentElement.outerHTML, anchor).replace(/\s+/g, " ");
  };
})();
