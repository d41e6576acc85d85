const buttons = document.querySelectorAll("button[data-kind]");
for (const button of buttons) {
  button.addEventListener("click", () => {
    for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    for (const figure of document.querySelectorAll("figure"))
      figure.hidden = button.dataset.kind !== "" && figure.dataset.kind !== button.dataset.kind;
  });
}
