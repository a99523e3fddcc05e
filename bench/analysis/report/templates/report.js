// Makes what the pages hold easier to use; without it everything is there and opens natively.
"use strict";
document.documentElement.classList.add("js");

const each = (selector, action, root = document) => root.querySelectorAll(selector).forEach(action);

// Numbers sort as numbers, those of several seeds by their mean, words as words; what is empty comes last either way.
function keyOf(row, column) {
  const cell = row.rows[0].cells[column];
  if (cell.querySelector(".reason")) return null;
  const text = cell.textContent.trim();
  if (text === "–" || text === "") return null;
  const numbers = text.split(", ").map((part) => part.replaceAll(",", "").match(/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?/i));
  const known = numbers.every(Boolean) ? numbers : numbers.slice(0, 1);
  if (!known[0]) return text.toLowerCase();
  return known.reduce((sum, number) => sum + Number(number[0]), 0) / known.length;
}

function compare(one, other, sign) {
  if (one === null || other === null) return (one === null) - (other === null);
  if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
  return sign * (typeof one === "number" ? one - other : one.localeCompare(other));
}

function sortBy(table, header) {
  const sign = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  each("th[aria-sort]", (other) => other.removeAttribute("aria-sort"), table);
  header.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
  const keyed = [...table.tBodies].map((row) => [keyOf(row, header.cellIndex), row]);
  keyed.sort((one, other) => compare(one[0], other[0], sign));
  table.append(...keyed.map((pair) => pair[1]));
}

each(".matrix, .sortable", (table) => each("thead th", (header) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...header.childNodes);
  button.addEventListener("click", () => sortBy(table, header));
  header.append(button);
}, table));

// A number unfolds beneath its row. What many numbers share stands once on the page and is copied in then.
function unfold(row, open) {
  const detail = row.nextElementSibling;
  detail.classList.toggle("open", open);
  detail.querySelector("details").open = open;
  row.querySelector(".cell").setAttribute("aria-expanded", String(open));
  if (open) each(".run:not(.filled)", (place) => {
    const shared = document.getElementById(place.dataset.run);
    place.append(...[...shared.childNodes].map((node) => node.cloneNode(true)));
    place.classList.add("filled");
  }, detail);
}

each(".matrix tr.d", (detail, place) => {
  const row = detail.previousElementSibling, cell = row.cells[4], button = document.createElement("button");
  button.type = "button";
  button.className = "cell";
  button.setAttribute("aria-expanded", "false");
  detail.id = `made-${place}`;
  button.setAttribute("aria-controls", detail.id);
  const number = cell.querySelector(".n, .reason");
  button.textContent = number.textContent;
  number.replaceChildren(button);
  row.addEventListener("click", (event) => {
    if (event.target.closest("a") || String(getSelection())) return;
    unfold(row, button.getAttribute("aria-expanded") === "false");
  });
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = button.parentElement.querySelector("code").textContent.trim();
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.parentElement.querySelector("code"));
    button.textContent = "Selected: copy it with the keyboard";
  }
});
each(".command", (place) => {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.copy = "";
  button.textContent = "Copy";
  place.append(button);
});

// Filters: an artifact without a matching number is hidden, and one with some is opened.
const tools = document.querySelector(".tools");
const fitsVerdict = (word, wanted) => !wanted || (wanted === "any-run" ? word !== "not-run" : word === wanted);
function filter() {
  const wanted = {};
  each("[data-filter]", (field) => { wanted[field.dataset.filter] = field.value.trim().toLowerCase(); }, tools);
  const words = wanted.text.split(/\s+/).filter(Boolean);
  const active = Object.values(wanted).some(Boolean);
  let numbers = 0, shown = 0, artifacts = 0;
  each(".artifact", (artifact) => {
    let own = 0;
    each(".matrix > tbody", (row) => {
      const text = words.length ? row.rows[0].textContent.toLowerCase() : "";
      const fits = (!wanted.artifact || artifact.id === wanted.artifact) && (!wanted.method || row.dataset.m === wanted.method)
        && (!wanted.task || row.dataset.t === wanted.task) && fitsVerdict(row.dataset.v, wanted.verdict)
        && words.every((word) => text.includes(word));
      row.hidden = !fits;
      own += fits;
      numbers += 1;
    }, artifact);
    artifact.hidden = active && !own;
    artifact.open = active && own > 0;
    shown += own;
    artifacts += own > 0;
  });
  tools.querySelector(".found").textContent = active
    ? `${shown.toLocaleString("en")} of ${numbers.toLocaleString("en")} numbers, in ${artifacts} ${artifacts === 1 ? "artifact" : "artifacts"}`
    : `${numbers.toLocaleString("en")} numbers`;
}
if (tools) {
  tools.hidden = false;
  tools.addEventListener("input", filter);
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.addEventListener("reset", () => setTimeout(filter));
  tools.querySelector("[data-open-all]").addEventListener("click", () => {
    each(".artifact:not([hidden])", (artifact) => { artifact.open = true; });
  });
  filter();
}

// A link to a place in something closed opens it.
function follow() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", follow);
follow();
