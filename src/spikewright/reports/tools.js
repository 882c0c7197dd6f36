// What a reader does with the page: sorts tables, saves pictures and data.
const units = { k: 1e3, M: 1e6, G: 1e9 };

// "1.23 M" as 1230000, "−3" as -3; NaN of what is no number.
function valueOf(text) {
  const found = /^[−+-]?[\d,.]+(e[+-]?\d+)?( ?[kMG%])?/.exec(text.trim());
  if (!found) return NaN;
  const number = Number(found[0].replace(/[^\d.e+−-]/g, "").replace("−", "-"));
  return number * (units[(found[2] || "").trim()] || 1);
}

function sort(table, column, head) {
  const up = head.getAttribute("aria-sort") === "descending";
  const rows = [...table.tBodies[0].rows];
  const text = (row) => row.cells[column].textContent;
  const numbers = rows.every((row) => text(row) === "" || !Number.isNaN(valueOf(text(row))));
  const empty = (row) => (text(row) === "" ? -Infinity : valueOf(text(row)));
  rows.sort((a, b) => (numbers ? empty(a) - empty(b) : text(a).localeCompare(text(b), undefined, { numeric: true })));
  if (!up) rows.reverse();
  all("th", table).forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  table.tBodies[0].append(...rows);
}

all("table.sortable").forEach((table) => all("thead th", table).forEach((head, column) => {
  head.tabIndex = 0;
  head.title = "sort by this column";
  head.addEventListener("click", () => sort(table, column, head));
  head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(table, column, head); });
}));

function save(content, name, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const quoted = (value) => {
  const text = String(value ?? "");
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

// A chart as lines of CSV: one for each point of each trace.
function dataOf(chart) {
  const lines = [["trace", chart.layout.xaxis.title.text || "x", chart.layout.yaxis.title.text || "y"]];
  chart.data.forEach((trace) => (trace.x || []).forEach((x, k) => {
    if (x !== null) lines.push([trace.name || "", x, trace.y[k]]);
  }));
  return lines.map((line) => line.map(quoted).join(",")).join("\n") + "\n";
}

// A table as lines of CSV; what a group of rows is about stands in each of them.
function tableData(table) {
  const grouped = table.querySelector(".group") !== null;
  let about = "";
  const lines = [];
  [...table.rows].forEach((row) => {
    const cells = [...row.cells].map((cell) => quoted(cell.textContent.replace("−", "-")));
    if (row.className === "group") about = cells[0];
    else lines.push((grouped ? [about, ...cells] : cells).join(","));
  });
  return lines.join("\n") + "\n";
}

function standalone(svg) {
  const copy = svg.cloneNode(true);
  const style = document.createElementNS("http://www.w3.org/2000/svg", "style");
  style.textContent = document.querySelector("style").textContent;
  copy.prepend(style);
  return new XMLSerializer().serializeToString(copy);
}

const named = (text) => (text || "picture").trim().toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 50).replace(/-$/, "");

function menu(place, entries) {
  const span = document.createElement("span");
  span.className = "save";
  entries.forEach(([label, action]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.title = `save as ${label}`;
    button.addEventListener("click", action);
    span.append(button);
  });
  place.append(span);
}

all("figure").forEach((figure) => {
  const caption = figure.querySelector("figcaption");
  const place = figure.querySelector("[data-chart]");
  const drawings = all(".drawing svg", figure);
  if (!caption) return;
  const name = named(caption.firstChild && caption.firstChild.textContent);
  const picture = (format) => () => {
    draw(place);
    window.Plotly.downloadImage(place, { format, filename: name, width: place.offsetWidth, height: place.offsetHeight, scale: 2 });
  };
  if (place) {
    menu(caption, [["SVG", picture("svg")], ["PNG", picture("png")],
                   ["CSV", () => save(dataOf(charts[place.dataset.chart]), `${name}.csv`, "text/csv")]]);
  } else if (drawings.length) {
    const part = (k) => (drawings.length > 1 ? `${name}-${k + 1}.svg` : `${name}.svg`);
    menu(caption, [["SVG", () => drawings.forEach((one, k) => save(standalone(one), part(k), "image/svg+xml"))]]);
  }
});

all(".scroll > table").forEach((table, k) => {
  const holder = document.createElement("div");
  holder.className = "of-table";
  menu(holder, [["CSV", () => save(tableData(table), `table-${k + 1}.csv`, "text/csv")]]);
  table.parentNode.after(holder);
});
