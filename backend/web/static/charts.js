// Draws what /api/v1 answers as a chart, with uPlot: each line brings its own instants, a null breaks it. The colours
// come from the style sheet, so dark mode follows by itself. No date of the browser is used, only the answer's.

const HEIGHT_PX = 300;
const DAY_S = 86400;
const LOCALES = { en: "en-GB", zh: "zh-CN" };
const PALETTE = ["--chart-1", "--chart-2", "--chart-3", "--chart-4", "--chart-5", "--chart-6"];
const charts = new Map();

const locale = LOCALES[document.documentElement.lang] ?? "en-GB";
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// --- numbers and times ---------------------------------------------------------------------------

function shown(raw, unit, digits) {
  if (raw === null || raw === undefined) return "–";
  const share = unit === "share";
  const number = (share ? raw * 100 : raw).toLocaleString(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return share ? `${number}%` : number;
}

function withUnit(raw, unit, digits) {
  const text = shown(raw, unit, digits);
  return text === "–" || unit === "" || unit === "share" ? text : `${text}\u00a0${unit}`;
}

function tickDigits(unit, ticks) {
  const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) * (unit === "share" ? 100 : 1) : 1;
  const whole = (value) => Math.abs(value - Math.round(value)) < 1e-6;
  return whole(step) ? 0 : whole(step * 10) ? 1 : 2;
}

function timeFormats() {
  const format = (options) => new Intl.DateTimeFormat(locale, { timeZone: "UTC", ...options });
  const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return {
    day: format({ month: "short", day: "numeric" }),
    month: format({ year: "numeric", month: "short" }),
    hour: format(clock),
    full: format({ year: "numeric", month: "short", day: "numeric", ...clock }),
  };
}

function timeTicks(formats, local, ticks) {
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : DAY_S;
  return ticks.map((tick) => {
    const at = local(tick);
    if (step > 25 * DAY_S) return formats.month.format(at);
    return step >= DAY_S || at % (DAY_S * 1000) === 0 ? formats.day.format(at) : formats.hour.format(at);
  });
}

// --- looks ---------------------------------------------------------------------------------------

function style(series, index) {
  const own = colour(PALETTE[index % PALETTE.length]);
  switch (series.role) {
    case "history": return { stroke: colour("--chart-history"), width: 1.5, dash: [5, 4], points: { show: series.points, size: 5 } };
    case "low":
    case "high": return { stroke: "transparent", width: 0, points: { show: false } };
    case "limit": return { stroke: colour("--chart-limit"), width: 1.5, dash: [10, 5], points: { show: false } };
    case "expected": return { stroke: colour("--muted"), width: 1.5, dash: [2, 4], points: { show: false } };
    default: return {
      stroke: own, width: 2, dash: index < PALETTE.length ? undefined : [8, 3],
      points: { show: series.points, size: 6, fill: own },
    };
  }
}

function axisSize(_plot, values) {
  const longest = Math.max(0, ...(values ?? []).map((text) => text.length));
  return 24 + longest * 7.5;
}

function yRange(answer, least, most) {
  if (least === null || most === null) return [0, 1];
  const bottom = answer.from_zero ? Math.min(0, least) : least;
  const room = (most - bottom || 1) * 0.08;
  return [answer.from_zero ? bottom : bottom - room, most + room];
}

function lastValues(plot) {
  return plot.data.map((column, index) => {
    if (index === 0) return plot.data[0].length - 1;
    for (let row = column.length - 1; row >= 0; row -= 1) if (column[row] !== null && column[row] !== undefined) return row;
    return null;
  });
}

function options(answer, width) {
  const lines = colour("--line");
  const ink = colour("--muted");
  const formats = timeFormats();
  const local = (seconds) => (seconds + answer.utc_offset_s) * 1000;
  const axis = { stroke: ink, grid: { stroke: lines, width: 1 }, ticks: { stroke: lines, width: 1 }, font: "12px system-ui, sans-serif" };
  const place = (role) => answer.series.findIndex((series) => series.role === role);
  let plain = 0;
  return {
    width,
    height: HEIGHT_PX,
    tzDate: (seconds) => uPlot.tzDate(new Date(local(seconds)), "Etc/UTC"),
    scales: {
      x: { time: true, range: () => [answer.from_s, answer.to_s] },
      y: { range: (_plot, least, most) => yRange(answer, least, most) },
    },
    series: [
      { label: answer.time_label, value: (_plot, raw) => (raw === null || raw === undefined ? "–" : formats.full.format(local(raw))) },
      ...answer.series.map((series) => ({
        label: series.label,
        value: (_plot, raw) => withUnit(raw, series.unit, series.digits),
        spanGaps: false,
        ...style(series, series.role === "value" ? plain++ : 0),
      })),
    ],
    bands: place("low") >= 0 && place("high") >= 0
      ? [{ series: [place("high") + 1, place("low") + 1], fill: colour("--chart-band") }] : [],
    axes: [
      { ...axis, space: 64, values: (_plot, ticks) => timeTicks(formats, local, ticks) },
      {
        ...axis, size: axisSize, label: answer.unit === "share" || answer.unit === "" ? undefined : answer.unit,
        labelSize: 18, labelFont: "12px system-ui, sans-serif",
        values: (_plot, ticks) => ticks.map((tick) => shown(tick, answer.unit, tickDigits(answer.unit, ticks))),
      },
    ],
    cursor: { drag: { x: false, y: false }, points: { size: 8 } },
    legend: { live: true },
    hooks: {
      // Without a pointer over the chart the legend tells the newest values.
      setCursor: [(plot) => { if (plot.cursor.idx === null || plot.cursor.idx === undefined) plot.setLegend({ idxs: lastValues(plot) }); }],
    },
  };
}

// --- drawing -------------------------------------------------------------------------------------

const columns = (answer) => uPlot.join(answer.series.map((series) => [series.times_s, series.values]));
const shapeOf = (answer) => JSON.stringify(answer.series.map((series) => [series.key, series.label, series.role, series.points]));

function draw(figure, answer) {
  const place = figure.querySelector(".plot");
  charts.get(figure)?.plot.destroy();
  place.replaceChildren();
  const plot = new uPlot(options(answer, Math.max(240, place.clientWidth)), columns(answer), place);
  plot.setLegend({ idxs: lastValues(plot) });
  charts.set(figure, { plot, answer, shape: shapeOf(answer) });
}

async function load(figure) {
  const reply = await fetch(figure.dataset.chart, { credentials: "same-origin" });
  if (!reply.ok) return;
  const answer = await reply.json();
  const empty = answer.series.every((series) => series.values.length === 0);
  figure.classList.toggle("is-empty", empty);
  if (empty) return;
  const old = charts.get(figure);
  if (old === undefined || old.shape !== shapeOf(answer)) {
    draw(figure, answer);
    return;
  }
  Object.assign(old.answer, answer);
  old.plot.setData(columns(answer));
  if (old.plot.cursor.idx === null || old.plot.cursor.idx === undefined) old.plot.setLegend({ idxs: lastValues(old.plot) });
}

function refreshCharts() {
  for (const figure of document.querySelectorAll("[data-chart]")) load(figure).catch(() => {});
}

refreshCharts();
document.addEventListener("kioskwatch:tick", refreshCharts);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const [figure, { answer }] of charts) draw(figure, answer);
});
new ResizeObserver(() => {
  for (const [figure, { plot }] of charts) {
    const width = Math.max(240, figure.querySelector(".plot").clientWidth);
    if (Math.abs(plot.width - width) > 1) plot.setSize({ width, height: HEIGHT_PX });
  }
}).observe(document.querySelector("main"));
