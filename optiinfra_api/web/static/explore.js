// The controls of Explore: a choice shows at once, and a search offers values of the dimension that is filtered.
const controls = document.getElementById("controls");
const period = controls.elements.period;
const tag = controls.elements.tag;

function tidy() {
  const isByTag = [...controls.elements.group].some((one) => one.value === "TAG");
  tag.closest("label").classList.toggle("needless", !isByTag);
  for (const name of ["from", "to"]) {
    controls.elements[name].closest("label").classList.toggle("needless", period.value !== "custom");
  }
  return isByTag;
}

controls.addEventListener("change", (event) => {
  const isByTag = tidy();
  if (event.target.type === "date") period.value = "custom";
  if (event.target === period && period.value === "custom") return controls.elements.from.focus();
  if (isByTag && !tag.value) return tag.focus();
  if (event.target.type !== "date") controls.requestSubmit();
});
tidy();

const filters = document.getElementById("filters");
const [dimension, value, offered] = [filters.elements.add, filters.elements.value, document.getElementById("values")];
const forTag = filters.querySelector("[data-for=TAG]");
let asked = 0;

async function offer() {
  const question = new URLSearchParams(location.search);
  question.set("of", dimension.value);
  question.set("ofTag", filters.elements.addTag.value);
  question.set("q", value.value);
  const mine = ++asked;
  const answer = await fetch(`/explore/values?${question}`);
  if (!answer.ok || answer.redirected || mine !== asked) return;
  const found = (await answer.json()).values;
  offered.replaceChildren(...found.map((one) => Object.assign(document.createElement("option"), { value: one })));
}

function ofDimension() {
  forTag.classList.toggle("needed", dimension.value === "TAG");
  value.value = "";
  offered.replaceChildren();
}

dimension.addEventListener("change", ofDimension);
value.addEventListener("focus", offer);
let waits;
value.addEventListener("input", () => {
  clearTimeout(waits);
  waits = setTimeout(offer, 150);
});
ofDimension();
