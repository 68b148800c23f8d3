// The site's only script of our own: the ledger's filters, and names for controls that the theme leaves unnamed.
(() => {
  const form = document.querySelector(".pt-filter");
  if (form) {
    const rows = [...document.querySelectorAll(".pt-claim")];
    const selects = [...form.querySelectorAll("select")];
    const query = new URLSearchParams(location.search);
    selects.forEach((select) => { select.value = query.get(select.dataset.filter) ?? ""; });
    const apply = () => {
      let shown = 0;
      for (const row of rows) {
        row.hidden = selects.some((select) => select.value && row.dataset[select.dataset.filter] !== select.value);
        shown += !row.hidden;
      }
      form.querySelector("output").textContent = `${shown} of ${rows.length} rows`;
    };
    form.addEventListener("input", apply);
    form.hidden = false;
    apply();
    // A permanent link must open its row whatever the filter says.
    addEventListener("hashchange", () => { selects.forEach((select) => { select.value = ""; }); apply(); });
  }
})();
