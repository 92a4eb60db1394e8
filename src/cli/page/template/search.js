// Finds and filters orders.
const MAX_MATCHES = 5000; // marked and stepped through; the count goes on

// Search: orders without a match are hidden, matches marked where their order is open.
const texts = new Map(); // element -> its text, read once
const textOf = (element) => {
  if (!texts.has(element)) texts.set(element, element.textContent);
  return texts.get(element);
};
const marks = { found: null, here: null };
for (const name of Object.keys(marks)) {
  if (!globalThis.Highlight) continue;
  marks[name] = new Highlight();
  CSS.highlights.set(name, marks[name]);
}
let matches = []; // {order, element, start, end}
let total = 0;
let current = -1;
let searched = "";

const pattern = () => {
  const wanted = search.value.trim();
  return wanted ? new RegExp(wanted.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "giu") : null;
};
const matchesIn = (order, regex) => {
  let count = 0;
  for (const element of all("[data-search]", order)) {
    for (const match of textOf(element).matchAll(regex)) {
      count += 1;
      if (matches.length < MAX_MATCHES) {
        matches.push({ order, element, start: match.index, end: match.index + match[0].length });
      }
    }
  }
  total += count;
  return count;
};
const rangesOf = (element, wanted) => {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  let node = walker.nextNode();
  let offset = 0;
  const seek = (at) => {
    while (node && offset + node.length < at) {
      offset += node.length;
      node = walker.nextNode();
    }
    return [node, at - offset];
  };
  return wanted.map(({ start, end }) => {
    const range = new Range();
    range.setStart(...seek(start));
    range.setEnd(...seek(end));
    return range;
  });
};
const mark = () => {
  marks.found?.clear();
  const byElement = new Map();
  for (const match of matches) {
    if (!match.order.open && !match.element.closest("summary")) continue;
    if (!byElement.has(match.element)) byElement.set(match.element, []);
    byElement.get(match.element).push(match);
  }
  for (const [element, some] of byElement) {
    for (const range of rangesOf(element, some)) marks.found?.add(range);
  }
};
const say = () => {
  const shown = orders.filter((order) => !order.hidden).length;
  const plural = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : noun === "match" ? "es" : "s"}`;
  const place = current < 0 ? "" : `${(current + 1).toLocaleString("en")} of `;
  found.textContent = pattern() ? `${place}${plural(total, "match")} in ${plural(shown, "order")}` : "";
};
const refresh = () => {
  const statuses = all("[data-filter][aria-pressed='true']").map((button) => button.dataset.filter);
  const regex = pattern();
  searched = search.value;
  matches = [];
  total = 0;
  current = -1;
  marks.here?.clear();
  for (const order of orders) {
    const wanted = !statuses.length || statuses.includes(order.dataset.status);
    order.hidden = !(wanted && (!regex || matchesIn(order, regex) > 0));
    const away = order.hidden;
    for (const link of linksTo.get(order.id) ?? []) {
      link.classList.toggle("away", away);
      if (link.parentElement.matches("li")) link.parentElement.hidden = away;
    }
  }
  byId("nothing").hidden = orders.length === 0 || orders.some((order) => !order.hidden);
  keepReachable();
  mark();
  say();
};
const linksTo = new Map();
for (const link of all("a[data-order]")) {
  linksTo.set(link.dataset.order, [...(linksTo.get(link.dataset.order) ?? []), link]);
}
const go = (step) => {
  if (!matches.length) return;
  current = current < 0 && step < 0 ? matches.length - 1 : (current + step + matches.length) % matches.length;
  const match = matches[current];
  match.order.open = true;
  const [range] = rangesOf(match.element, [match]);
  marks.here?.clear();
  marks.here?.add(range);
  const log = match.element.closest(".log");
  if (log) log.scrollTop += range.getBoundingClientRect().top - log.getBoundingClientRect().top - log.clientHeight / 2;
  scrollBy(0, range.getBoundingClientRect().top - innerHeight / 2);
  say();
};
let due = 0;
search.addEventListener("input", () => {
  clearTimeout(due);
  due = setTimeout(refresh, 150);
});
search.form.addEventListener("submit", (event) => event.preventDefault());
search.addEventListener("keydown", (event) => {
  if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
  event.preventDefault();
  clearTimeout(due);
  if (event.key === "Escape") search.value = "";
  if (search.value !== searched) refresh();
  if (event.key === "Enter") go(event.shiftKey ? -1 : 1);
});
for (const order of orders) {
  toEnd(order);
  order.addEventListener("toggle", () => {
    toEnd(order);
    if (pattern()) mark();
  });
}

for (const button of all("[data-filter]")) {
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    refresh();
  });
}
const setAll = (open) => {
  for (const order of orders) if (!order.hidden) order.open = open;
};
byId("expand")?.addEventListener("click", () => setAll(true));
byId("collapse")?.addEventListener("click", () => setAll(false));
follow();
