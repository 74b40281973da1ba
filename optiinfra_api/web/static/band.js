// Draws what came, what is expected and the bounds around that. Numbers are rounded here, for drawing only.
const place = document.getElementById("chart");
const data = JSON.parse(document.getElementById("chart-data").textContent);
const amounts = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const dates = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const probe = document.body.appendChild(document.createElement("span"));
probe.hidden = true;

function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

const numbers = (column) => column.map((one) => (one === null ? null : Number(one)));
const less = (upper, lower) => upper.map((one, at) => (one === null ? null : Number(one) - Number(lower[at])));

function tip(points) {
  const at = points[0].dataIndex;
  const box = document.createElement("div");
  box.className = "tip";
  box.appendChild(document.createElement("strong")).textContent = data.dates[at];
  const rows = [
    ["Came", data.came[at]],
    ["Expected", data.beforeCredits[at]],
    ["80 %", data.lower80[at] === null ? null : [data.lower80[at], data.upper80[at]]],
    ["95 %", data.lower95[at] === null ? null : [data.lower95[at], data.upper95[at]]],
  ];
  for (const [name, value] of rows) {
    if (value === null) continue;
    const made = box.appendChild(document.createElement("div"));
    made.appendChild(document.createElement("span")).textContent = name;
    const text = [value].flat().map((one) => amounts.format(Number(one)));
    made.appendChild(document.createElement("span")).textContent = `${text.join(" to ")} ${data.currency}`;
  }
  return box;
}

function edge(name, column) {
  return { type: "line", stack: name, name, data: numbers(column), symbol: "none", lineStyle: { opacity: 0 }, silent: true };
}

function filled(name, upper, lower, opacity) {
  const areaStyle = { color: colour("c1"), opacity };
  return { ...edge(name, less(upper, lower)), areaStyle };
}

function option() {
  const [text, muted, rule] = ["text", "muted", "line"].map(colour);
  return {
    animation: false,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    grid: { left: 8, right: 8, top: 16, bottom: 8, containLabel: true },
    tooltip: {
      trigger: "axis",
      confine: true,
      backgroundColor: colour("raised"),
      borderColor: rule,
      textStyle: { color: text },
      formatter: tip,
    },
    xAxis: {
      type: "category",
      data: data.dates,
      axisTick: { show: false },
      axisLine: { lineStyle: { color: rule } },
      axisLabel: { color: muted, hideOverlap: true, formatter: (day) => dates.format(new Date(day)) },
    },
    yAxis: {
      type: "value",
      axisLabel: { color: muted, formatter: (value) => short.format(value) },
      splitLine: { lineStyle: { color: rule } },
    },
    series: [
      edge("95", data.lower95),
      filled("95", data.upper95, data.lower95, 0.15),
      edge("80", data.lower80),
      filled("80", data.upper80, data.lower80, 0.25),
      { type: "line", name: "Came", data: numbers(data.came), symbol: "none", lineStyle: { color: text, width: 2 } },
      {
        type: "line",
        name: "Expected",
        data: numbers(data.beforeCredits),
        symbol: "none",
        lineStyle: { color: colour("c1"), width: 2, type: "dashed" },
      },
    ],
  };
}

const chart = echarts.init(place);
const draw = () => chart.setOption(option());
draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
new ResizeObserver(() => chart.resize()).observe(place);
document.documentElement.dataset.chart = "drawn";
performance.mark("chart drawn");
