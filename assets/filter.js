// A field above each wide table that keeps only the rows with a word in them. Without scripts the whole table stands there.
addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll(".filterable table")) {
    const rows = [...table.tBodies[0].rows];
    const names = [...table.tHead.rows[0].cells].map(cell => cell.textContent.trim());
    for (const row of rows) [...row.cells].forEach((cell, i) => { cell.dataset.label = names[i]; });
    for (const code of table.querySelectorAll("code .pre")) code.innerHTML = code.innerHTML.replace(/[_.=](?=\w)/g, "$&<wbr>");

    const form = document.createElement("form");
    form.className = "filter";
    form.role = "search";
    form.innerHTML = `<label>Keep rows with <input type="search" autocomplete="off"></label>
      <label>that were <select><option value="">run or read</option><option>run</option><option>read</option></select></label>
      <output></output>`;
    const [word, known, shown] = form.querySelectorAll("input, select, output");
    shown.setAttribute("aria-live", "polite");
    const filter = () => {
      const wanted = word.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        const how = row.querySelector("em")?.textContent;
        row.hidden = !wanted.every(part => text.includes(part)) || (known.value !== "" && how !== known.value);
      }
      shown.value = `${rows.filter(row => !row.hidden).length} of ${rows.length} rows`;
    };
    form.addEventListener("input", filter);
    form.addEventListener("submit", event => event.preventDefault());
    filter();
    table.closest(".filterable").prepend(form);
  }
});
