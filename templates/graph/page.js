"use strict";
(() => {
  const root = document.documentElement;
  const canvas = document.querySelector(".canvas");
  const drawing = document.getElementById("drawing");
  const links = [...drawing.querySelectorAll(".step")];
  const sections = [...document.querySelectorAll("#details > section")];
  const full = { width: drawing.width.baseVal.value, height: drawing.height.baseVal.value };
  const wide = window.matchMedia("(min-width: 900px)");
  let scale = 1;
  root.classList.add("js");

  // --- which step is shown: the address remembers it ------------------------------------------------------------------

  const asked = () => {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { /* no name of a step */ }
    return sections.find((section) => section.id === id) || sections[0];
  };

  const show = (moved) => {
    const section = asked();
    const step = section.dataset.step;
    for (const each of sections) each.classList.toggle("chosen", each === section);
    for (const link of links) {
      if (link.dataset.step === step) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    for (const arrow of drawing.querySelectorAll(".arrow")) {
      arrow.classList.toggle("near", step !== undefined && arrow.dataset.ends.split(" ").includes(step));
    }
    const chosen = links.find((link) => link.dataset.step === step);
    if (chosen) reveal(chosen);
    if (!moved) return;
    document.getElementById("said").textContent = step === undefined ? "The flow is shown." : `Step ${step} is shown.`;
    if (wide.matches) window.scrollTo(0, 0);
    else if (section.getBoundingClientRect().top > innerHeight - 160) section.scrollIntoView({ block: "center" });
  };

  const choose = (hash) => {
    if (hash !== location.hash) history.pushState(null, "", hash);
    show(true);
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]:not(.skip)');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    choose(link.getAttribute("href"));
    if (!wide.matches && link.classList.contains("way")) document.querySelector("section.chosen").scrollIntoView();
  });
  addEventListener("popstate", () => show(true));
  addEventListener("hashchange", () => show(true));

  // --- the graph: keys and size ----------------------------------------------------------------------------------------

  const middle = (element) => {
    const box = element.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };

  const reveal = (link) => {
    const [x, y] = middle(link);
    const box = canvas.getBoundingClientRect();
    const margin = 50;
    if (x < box.left + margin || x > box.right - margin) canvas.scrollLeft += x - (box.left + box.width / 2);
    if (y < box.top + margin || y > box.bottom - margin) canvas.scrollTop += y - (box.top + box.height / 2);
  };

  const DIRECTIONS = { ArrowDown: [0, 1], ArrowUp: [0, -1], ArrowRight: [1, 0], ArrowLeft: [-1, 0] };

  drawing.addEventListener("keydown", (event) => {
    const from = event.target.closest(".step");
    const direction = DIRECTIONS[event.key];
    if (!from || !direction) {
      if (event.key === "Escape") choose("#flow");
      return;
    }
    event.preventDefault();
    const [x, y] = middle(from);
    // the nearest step that lies rather in that direction than beside it; else the nearest that lies in it at all
    const ahead = links.map((link) => {
      const [a, b] = middle(link);
      const along = (a - x) * direction[0] + (b - y) * direction[1];
      const across = Math.abs((a - x) * direction[1]) + Math.abs((b - y) * direction[0]);
      return { link, along, across, far: along + 2 * across };
    }).filter((each) => each.link !== from && each.along > 4);
    const straight = ahead.filter((each) => each.across <= each.along);
    const [near] = (straight.length ? straight : ahead).sort((one, other) => one.far - other.far);
    if (!near) return;
    const best = near.link;
    best.focus({ preventScroll: true });
    reveal(best);
  });
  drawing.addEventListener("focusin", (event) => {
    const link = event.target.closest(".step");
    // not under a finger or mouse: what it presses must stay where it is until it lets go
    if (link && link.matches(":focus-visible")) reveal(link);
  });

  const zoom = (wanted) => {
    scale = Math.min(Math.max(wanted, 0.25), 2);
    drawing.style.width = `${full.width * scale}px`;
    drawing.style.height = `${full.height * scale}px`;
  };

  // as large as the pane is wide, but never so small that a step is no longer read or hit by a finger
  const fit = (least) => {
    const room = canvas.clientWidth / full.width;
    const tall = wide.matches ? canvas.clientHeight / full.height : 1;
    zoom(Math.max(Math.min(room, Math.max(tall, 0.9), 1), least));
  };

  const ZOOMS = { in: () => zoom(scale * 1.25), out: () => zoom(scale / 1.25), fit: () => { fit(0.25); } };
  for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => ZOOMS[button.dataset.zoom]());

  const finger = window.matchMedia("(pointer: coarse)");
  const readable = () => fit(wide.matches && !finger.matches ? 0.66 : 0.9);
  wide.addEventListener("change", readable);

  // --- which target is shown -------------------------------------------------------------------------------------------

  const buttons = [...document.querySelectorAll("button[data-target]")];
  const aim = (target) => {
    for (const each of document.querySelectorAll(".for")) each.classList.toggle("shown", each.dataset.target === target);
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.target === target));
  };
  for (const button of buttons) button.addEventListener("click", () => aim(button.dataset.target));

  const first = document.querySelector(".for");
  if (first) aim(first.dataset.target);
  readable();
  const start = links[0] || drawing;
  canvas.scrollLeft += middle(start)[0] - middle(canvas)[0];
  if (canvas.scrollLeft < full.width * scale * 0.2) canvas.scrollLeft = 0;
  reveal(start);
  show(false);
  // a step in the address is shown in its place: the page itself need not move to it
  history.scrollRestoration = "manual";
  addEventListener("load", () => requestAnimationFrame(() => window.scrollTo(0, 0)));
})();
