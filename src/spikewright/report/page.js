// Draws every chart of the page; colours are taken from the page's CSS variables, so that light and dark follow it.
"use strict";
const charts = JSON.parse(document.getElementById("charts").textContent);

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim() || name;
}

function coloured(value) {
  if (Array.isArray(value)) return value.map(coloured);
  if (value === null || typeof value !== "object") return value;
  const copy = {};
  for (const [key, inner] of Object.entries(value)) {
    copy[key] = key === "color" && typeof inner === "string" ? colour(inner) : coloured(inner);
  }
  return copy;
}

function layout(chart) {
  const own = coloured(chart.layout);
  const axis = { gridcolor: colour("grid"), linecolor: colour("line"), zerolinecolor: colour("line"), ticks: "outside",
                 tickcolor: colour("line"), title: { standoff: 8 }, automargin: true };
  const merged = (mine) => ({ ...axis, ...mine, title: { ...axis.title, ...(mine.title || {}) } });
  return { ...own, showlegend: Boolean(own.legend), legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
           xaxis: merged(own.xaxis), yaxis: merged(own.yaxis), margin: { l: 56, r: 16, t: own.legend ? 44 : 22, b: 46 },
           paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
           hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } },
           font: { family: "system-ui, sans-serif", size: 12.5, color: colour("ink") } };
}

function draw(element) {
  const chart = charts[element.dataset.chart];
  Plotly.react(element, coloured(chart.data), layout(chart), { responsive: true, displaylogo: false,
    displayModeBar: false });
}

function drawAll() {
  document.querySelectorAll("[data-chart]").forEach(draw);
  document.documentElement.dataset.drawn = "yes";
}

drawAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
document.querySelectorAll("details").forEach((d) => d.addEventListener("toggle", () => d.querySelectorAll("[data-chart]").forEach(draw)));
