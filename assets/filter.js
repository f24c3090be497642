// A field above what can be long, a wide table or the list of claims, that keeps only the rows with a word in them and of
// one kind. Without scripts everything stands there.
addEventListener("DOMContentLoaded", () => {
  const filter = (rows, { kinds, all, kindOf, labels, noun, before }) => {
    const form = document.createElement("form");
    form.className = "filter";
    form.role = "search";
    form.innerHTML = `<label>${labels[0]} <input type="search" autocomplete="off"></label>
      <label>${labels[1]} <select><option value="">${all}</option></select></label>
      <output aria-live="polite"></output>`;
    const [word, kind, shown] = form.querySelectorAll("input, select, output");
    for (const name of kinds) kind.add(new Option(name.replaceAll("-", " "), name));
    const apply = () => {
      const wanted = word.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !wanted.every(part => text.includes(part)) || (kind.value !== "" && kindOf(row) !== kind.value);
      }
      shown.value = `${rows.filter(row => !row.hidden).length} of ${rows.length} ${noun}`;
    };
    form.addEventListener("input", apply);
    form.addEventListener("submit", event => event.preventDefault());
    before(form);
    apply();
    return { show: name => { word.value = ""; kind.value = name; apply(); } };
  };

  for (const table of document.querySelectorAll(".filterable table")) {
    const rows = [...table.tBodies[0].rows];
    const names = [...table.tHead.rows[0].cells].map(cell => cell.textContent.trim());
    for (const row of rows) [...row.cells].forEach((cell, i) => { cell.dataset.label = names[i]; });
    for (const code of table.querySelectorAll("code .pre")) code.innerHTML = code.innerHTML.replace(/[_.=](?=\w)/g, "$&<wbr>");
    filter(rows, {
      kinds: ["run", "read"], all: "run or read", kindOf: row => row.querySelector("em")?.textContent,
      labels: ["Keep rows with", "that were"], noun: "rows", before: form => table.closest(".filterable").prepend(form),
    });
  }

  const claims = [...document.querySelectorAll(".claim")];
  const bar = document.querySelector(".score");
  if (claims.length && bar) {
    const kinds = ["holds", "holds-only-if", "does-not-hold"];
    const list = filter(claims, {
      kinds, all: "any verdict", kindOf: claim => kinds.find(name => claim.classList.contains(name)),
      labels: ["Keep claims with", "verdict"], noun: "claims", before: form => bar.after(form),
    });
    const follow = () => {  // ?verdict=holds keeps these; #claim-a7 is shown with what was found
      const asked = new URLSearchParams(location.search).get("verdict");
      list.show(!location.hash && kinds.includes(asked) ? asked : "");
      const claim = location.hash && claims.find(each => `#${each.id}` === location.hash);
      if (claim) claim.querySelector("details").open = true;
    };
    addEventListener("hashchange", follow);
    follow();
  }
});
