// Draws the charts that can be seen; colours are taken from the page's CSS variables, so that light and dark follow it.
"use strict";
const charts = JSON.parse(document.getElementById("charts").textContent);
const root = document.documentElement;
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// "c0" is a variable of the style sheet, "c0/33" the same with an alpha of hexadecimal 33.
function colour(value) {
  const [name, alpha = ""] = value.split("/");
  const found = getComputedStyle(root).getPropertyValue("--" + name).trim();
  return found ? found + alpha : value;
}

function coloured(value, key) {
  if (typeof value === "string") return ["color", "fillcolor", "bgcolor"].includes(key) ? colour(value) : value;
  if (Array.isArray(value)) return typeof value[0] === "object" ? value.map((inner) => coloured(inner)) : value;
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, coloured(inner, name)]));
}

function layout(chart) {
  const own = coloured(chart.layout);
  const title = { standoff: 8, font: { size: 12.5, color: colour("soft") } };
  const axis = { gridcolor: colour("grid"), linecolor: colour("line"), zerolinecolor: colour("line"), ticks: "outside",
                 tickcolor: colour("line"), ticklen: 4, automargin: true, tickfont: { color: colour("soft") } };
  const merged = (mine) => ({ ...axis, ...mine, title: { ...title, ...(mine.title || {}) } });
  const second = own.xaxis2 ? { xaxis2: { ...merged(own.xaxis2), showgrid: false, zeroline: false } } : {};
  return { ...own, showlegend: Boolean(own.legend), dragmode: false,
           legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
           xaxis: merged(own.xaxis), yaxis: merged(own.yaxis), ...second,
           margin: { l: 56, r: 18, t: own.legend ? 34 : 12, b: 46 },
           paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
           hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } },
           font: { family: "system-ui, sans-serif", size: 12.5, color: colour("ink") } };
}

// What stands in a closed <details> has a place in some browsers, though nobody sees it.
function visible(place) {
  return place.offsetParent !== null && !place.closest("details:not([open])");
}

function draw(place) {
  if (!visible(place) || !window.Plotly) return;
  const chart = charts[place.dataset.chart];
  const data = coloured(chart.data).map((trace) => ({ ...trace, hoverinfo: trace.hoverinfo || "all",
    hovertemplate: trace.hovertemplate && (chart.layout.hovermode ? trace.hovertemplate : trace.hovertemplate + "<extra></extra>") }));
  Plotly.react(place, data, layout(chart), { responsive: true, displayModeBar: false }).then(() => fit(place));
}

// The title of an axis stands under its middle; where long names leave it little room it would be cut at the right.
function fit(place) {
  const end = place.getBoundingClientRect().right;
  all("[class^='g-x'] > text", place).forEach((title) => {
    const over = title.getBoundingClientRect().right - end;
    if (over > 0) title.setAttribute("x", Number(title.getAttribute("x")) - over);
  });
}

function drawAll(within = document) {
  all("[data-chart]", within).forEach(draw);
}

// Of several views of one figure, show the one whose button was pressed.
all("[data-show]").forEach((button) => button.addEventListener("click", () => {
  const figure = button.closest("figure");
  all("[data-show]", figure).forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
  const place = figure.querySelector("[data-chart]");
  place.dataset.chart = button.dataset.show;
  draw(place);
}));

// Show the layers of another candidate, with the same ones open.
all("[data-choose]").forEach((button) => button.addEventListener("click", () => {
  const open = all("section:not([hidden]) details[open]").map((layer) => layer.dataset.layer);
  all("[data-choose]").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
  all("section[data-of]").forEach((section) => {
    section.hidden = section.dataset.of !== button.dataset.choose;
    if (!section.hidden) all("details", section).forEach((layer) => { layer.open = open.includes(layer.dataset.layer); });
  });
  drawAll();
}));

all("details").forEach((layer) => layer.addEventListener("toggle", () => { if (layer.open) drawAll(layer); }));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());

// On paper: light, narrow, and every layer open.
let closed = [];
addEventListener("beforeprint", () => {
  closed = all("details:not([open]):not([data-large])");
  closed.forEach((layer) => { layer.open = true; });
  root.dataset.paper = "yes";
  drawAll();
});
addEventListener("afterprint", () => {
  closed.forEach((layer) => { layer.open = false; });
  delete root.dataset.paper;
  drawAll();
});

// What lies below is drawn chart by chart while the page can be read already.
function drawInTurn(places) {
  if (places.length) {
    draw(places[0]);
    setTimeout(() => drawInTurn(places.slice(1)), 0);
    return;
  }
  root.dataset.drawn = "yes";
  document.dispatchEvent(new Event("drawn"));
}

// The library that draws lies in the page, packed.
async function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

unpack(document.getElementById("library").textContent).then((text) => {
  const library = document.createElement("script");
  library.textContent = text;
  document.head.append(library);
  const places = all("[data-chart]").filter(visible);
  const seen = (place) => place.getBoundingClientRect().top < innerHeight;
  const later = places.filter((place) => !seen(place));
  places.filter(seen).forEach(draw);
  root.dataset.ready = Math.round(performance.now());
  drawInTurn(later);
}).catch(() => {
  all("[data-chart]").forEach((place) => { place.textContent = "This browser is too old to draw charts: any of 2023 or later does."; });
});
