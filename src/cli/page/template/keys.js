// The page without a mouse. Without any script it can still be read.
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const byId = (id) => document.getElementById(id);
const orders = all("details.order");
const search = byId("search");
const found = byId("found");
document.documentElement.classList.add("js");

// Keys: of a long list one entry takes part in the order of Tab, arrows move among the others.
const back = ["ArrowUp", "ArrowLeft"];
const moves = [...back, "ArrowDown", "ArrowRight", "Home", "End"];
const visible = (element) => !element.closest("[hidden]");

const settle = (group, current) => {
  for (const entry of group.entries) entry.setAttribute("tabindex", entry === current ? "0" : "-1");
};

const groups = all("[data-roving]").map((container) => {
  const entries = all(container.dataset.roving, container)
    .filter((entry) => entry.tagName !== "SUMMARY" || entry.parentElement.matches(".order"));
  const group = { container, entries };
  settle(group, entries[0]);
  container.addEventListener("focusin", (event) => {
    if (entries.includes(event.target)) settle(group, event.target);
  });
  container.addEventListener("keydown", (event) => {
    if (!moves.includes(event.key) || event.altKey || event.ctrlKey || event.metaKey) return;
    const shown = entries.filter(visible);
    const at = shown.indexOf(event.target);
    if (at < 0) return;
    event.preventDefault();
    const order = event.target.parentElement;
    if (order.matches("details") && /Left|Right/.test(event.key)) {
      order.open = event.key === "ArrowRight";
      return;
    }
    const step = back.includes(event.key) ? at - 1 : at + 1;
    const to = { Home: 0, End: shown.length - 1 }[event.key] ?? step;
    shown[Math.min(Math.max(to, 0), shown.length - 1)].focus();
  });
  return group;
});

const keepReachable = () => {
  for (const group of groups) {
    const current = group.entries.find((entry) => entry.getAttribute("tabindex") === "0");
    if (!current || !visible(current)) settle(group, group.entries.find(visible));
  }
};

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.target.matches("input, textarea, select")) return;
  event.preventDefault();
  search.focus();
  search.select();
});
