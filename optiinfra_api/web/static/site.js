// What every page does with scripts, and can do without: submit a choice at once, close the menu, show what was collected meanwhile.
document.documentElement.classList.add("js");

for (const select of document.querySelectorAll("[data-submits]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

// Not scrollIntoView: that would also be where the next Tab begins.
const current = document.querySelector(".side nav [aria-current]");
if (current) current.closest("nav").scrollLeft = current.offsetLeft - 48;

const menu = document.querySelector(".me");
document.addEventListener("click", (event) => {
  if (menu && !menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && menu?.open) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// While something is collected, the page is asked again, unless its reader is in the middle of something.
const growing = document.querySelector("[data-refresh]");
if (growing) {
  setInterval(() => {
    const isAtKeyboard = document.activeElement !== document.body;
    const isBusy = isAtKeyboard || menu?.open || document.hidden || document.getSelection()?.toString();
    if (!isBusy) location.reload();
  }, Number(growing.dataset.refresh) * 1000);
}
