// Draws what /api/v1 answers as a chart, with uPlot. One answer is one chart: columns, and for each column how it is
// drawn. The colours come from the style sheet, so dark mode and print follow by themselves.

const HEIGHT_PX = 300;
const DAY_S = 86400;
const charts = new Map();

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function style(series, index) {
  const width = 2;
  const palette = ["--chart-1", "--chart-2", "--chart-3", "--chart-4", "--chart-5", "--chart-6"];
  const own = colour(palette[index % palette.length]);
  switch (series.role) {
    case "history": return { stroke: colour("--chart-history"), width: 1.5, dash: [5, 4], points: { show: true, size: 5 }, spanGaps: true };
    case "low":
    case "high": return { stroke: "transparent", width: 0, points: { show: false }, spanGaps: false };
    case "limit": return { stroke: colour("--chart-limit"), width: 1.5, dash: [10, 5], points: { show: false }, spanGaps: true };
    case "expected": return { stroke: colour("--muted"), width: 1.5, dash: [2, 4], points: { show: false }, spanGaps: true };
    default: return { stroke: own, width, points: { show: series.points, size: 6, fill: own }, spanGaps: false };
  }
}

function value(unit, digits) {
  return (_plot, raw) => {
    if (raw === null || raw === undefined) return "–";
    const shown = unit === "%" ? raw * 100 : raw;
    return `${shown.toLocaleString(document.documentElement.lang, { maximumFractionDigits: digits, minimumFractionDigits: digits })}${unit === "" ? "" : "\u00a0" + unit}`;
  };
}

function options(answer, width) {
  const lines = colour("--line");
  const ink = colour("--muted");
  const language = document.documentElement.lang;
  let plain = 0;
  const drawn = answer.series.map((series) => ({
    label: series.label,
    value: value(series.unit, series.digits),
    ...style(series, series.role === "value" ? plain++ : 0),
  }));
  const low = answer.series.findIndex((series) => series.role === "low");
  const high = answer.series.findIndex((series) => series.role === "high");
  const axis = { stroke: ink, grid: { stroke: lines, width: 1 }, ticks: { stroke: lines, width: 1 }, font: "12px system-ui, sans-serif" };
  const format = (options_) => new Intl.DateTimeFormat(language, { timeZone: "UTC", ...options_ });
  const day = format({ month: "short", day: "numeric" });
  const hour = format({ month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const full = format({ year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const local = (seconds) => (seconds + answer.utc_offset_s) * 1000;
  return {
    width,
    height: HEIGHT_PX,
    tzDate: (seconds) => uPlot.tzDate(new Date(local(seconds)), "Etc/UTC"),
    scales: { x: { time: true, range: () => [answer.from_s, answer.to_s] }, y: { range: (_plot, least, most) => yRange(answer, least, most) } },
    series: [{ label: answer.time_label, value: (_plot, raw) => (raw === null || raw === undefined ? "–" : full.format(local(raw))) }, ...drawn],
    bands: low >= 0 && high >= 0 ? [{ series: [high + 1, low + 1], fill: colour("--chart-band") }] : [],
    axes: [
      { ...axis, space: 70, values: (_plot, ticks) => ticks.map((tick) => (ticks[1] - ticks[0] < DAY_S ? hour : day).format(local(tick))) },
      { ...axis, size: 64, values: (_plot, ticks) => ticks.map((tick) => value(answer.unit, tickDigits(answer, ticks))(null, tick)) },
    ],
    cursor: { drag: { x: false, y: false }, points: { size: 8 } },
    legend: { live: true },
  };
}

function tickDigits(answer, ticks) {
  const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) * (answer.unit === "%" ? 100 : 1) : 1;
  return step >= 1 ? 0 : step >= 0.1 ? 1 : 2;
}

function yRange(answer, least, most) {
  if (least === null || most === null) return [0, 1];
  const bottom = answer.from_zero ? Math.min(0, least) : least;
  const room = (most - bottom || 1) * 0.08;
  return [answer.from_zero ? bottom : bottom - room, most + room];
}

function draw(figure, answer) {
  const place = figure.querySelector(".plot");
  const width = Math.max(240, place.clientWidth);
  charts.get(figure)?.plot.destroy();
  place.replaceChildren();
  const plot = new uPlot(options(answer, width), answer.columns, place);
  charts.set(figure, { plot, answer, shape: shapeOf(answer) });
}

const shapeOf = (answer) => JSON.stringify(answer.series);

async function load(figure) {
  const answer = await fetch(figure.dataset.chart, { credentials: "same-origin" });
  if (!answer.ok) return;
  const content = await answer.json();
  const empty = figure.querySelector(".empty");
  if (empty !== null) empty.hidden = content.columns[0].length > 0;
  const old = charts.get(figure);
  if (old === undefined || old.shape !== shapeOf(content)) {
    draw(figure, content);
    return;
  }
  Object.assign(old.answer, content);
  old.plot.setData(content.columns);
}

function refreshCharts() {
  for (const figure of document.querySelectorAll("[data-chart]")) load(figure).catch(() => {});
}

function startCharts() {
  refreshCharts();
  document.addEventListener("kioskwatch:tick", refreshCharts);
  const redraw = () => { for (const [figure, { answer }] of charts) draw(figure, answer); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new ResizeObserver(() => {
    for (const [figure, { plot }] of charts) {
      const width = Math.max(240, figure.querySelector(".plot").clientWidth);
      if (Math.abs(plot.width - width) > 1) plot.setSize({ width, height: HEIGHT_PX });
    }
  }).observe(document.querySelector("main"));
}

startCharts();
