for (const table of document.querySelectorAll("table.sorted")) {
  const headers = [...table.tHead.rows[0].cells];
  for (const [index, header] of headers.entries()) {
    header.querySelector("button").addEventListener("click", () => {
      const body = table.tBodies[0];
      const cell = row => row.cells[index];
      const isWords = [...body.rows].some(row => cell(row).className === "words");
      const compare = isWords
        ? (a, b) => cell(a).dataset.value.localeCompare(cell(b).dataset.value)
        : (a, b) => cell(a).dataset.value - cell(b).dataset.value;
      const sorted = header.getAttribute("aria-sort");
      const descending = sorted ? sorted === "ascending" : !isWords;
      const rows = [...body.rows].sort((a, b) => descending ? compare(b, a) : compare(a, b));
      for (const other of headers) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", descending ? "descending" : "ascending");
      body.append(...rows);
    });
  }
}
