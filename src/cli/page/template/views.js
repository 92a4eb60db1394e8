// Orders, graph and timeline: what they do when they are opened, pointed at, switched.

// Nothing that is scrolled to lies under the bar at the top, which grows in a narrow window.
const bar = document.querySelector(".top");
const clear = () => {
  document.documentElement.style.scrollPaddingTop = `${bar.offsetHeight + 12}px`;
};
new ResizeObserver(clear).observe(bar);
clear();

// An order that is pointed to opens.
const reveal = (order) => {
  if (order.hidden) {
    search.value = "";
    for (const button of all("[data-filter]")) button.setAttribute("aria-pressed", "false");
    refresh();
  }
  order.open = true;
};
const follow = () => {
  const order = byId(location.hash.slice(1));
  if (!order?.matches("details.order")) return;
  reveal(order);
  order.scrollIntoView();
  order.querySelector("summary").focus({ preventScroll: true });
};
addEventListener("hashchange", follow);
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#order-']");
  if (link && link.getAttribute("href") === location.hash) follow(); // no hashchange comes
});

// What went wrong is said last: such a log opens at its end.
const toEnd = (order) => {
  const log = order.matches(".s-failed, .s-timed_out") && order.querySelector(".log");
  if (log && order.open && !log.dataset.seen) {
    log.dataset.seen = "yes";
    log.scrollTop = log.scrollHeight;
  }
};

// Graph: the edges of the order at hand. Those of a bundle share curves: to light are its own curve
// and those at the other side.
const wires = all(".edges g").map((wire) => ({
  from: new Set(wire.dataset.from.split(" ")),
  to: new Set(wire.dataset.to.split(" ")),
  paths: [...wire.children],
}));
const pointed = document.querySelector(".pointed");
const light = (event) => {
  const node = event.target.closest?.(".node");
  if (!node) return;
  const id = node.dataset.order;
  const on = event.type === "mouseover" || event.type === "focusin";
  if (pointed) pointed.textContent = on ? node.getAttribute("aria-label") : "";
  for (const { from, to, paths } of wires) {
    const others = from.has(id) ? to : to.has(id) ? from : null;
    for (const path of paths) {
      const { end } = path.dataset;
      path.classList.toggle("lit", on && others !== null && (!end || end === id || others.has(end)));
    }
  }
};
for (const type of ["mouseover", "mouseout", "focusin", "focusout"]) {
  byId("graph")?.addEventListener(type, light);
}

// Timeline: two scales.
const scales = all("button[data-scale]");
const place = (element, name, value, length) => {
  if (element.hasAttribute(name)) element.setAttribute(name, `${((100 * value) / length).toFixed(3)}%`);
};
const rescale = (chosen) => {
  const length = Number(chosen.dataset.length);
  for (const button of scales) button.setAttribute("aria-pressed", String(button === chosen));
  for (const ticks of all(".ticks")) ticks.toggleAttribute("hidden", ticks.dataset.scale !== chosen.dataset.scale);
  for (const mark of all(".gantt [data-start]")) {
    const start = Number(mark.dataset.start);
    const end = Number(mark.dataset.end ?? start);
    place(mark, "x", start, length);
    place(mark, "x1", start, length);
    place(mark, "x2", end, length);
    place(mark, "width", end - start, length);
  }
};
for (const button of scales) button.addEventListener("click", () => rescale(button));
