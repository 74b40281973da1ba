// Draws the figures of the page, which stand in it as exact decimals. Numbers are rounded here, for drawing only.
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

function line(tag, ...parts) {
  const made = document.createElement(tag);
  for (const part of parts) {
    const span = made.appendChild(document.createElement("span"));
    span.append(...[part].flat());
  }
  return made;
}

function tip(points) {
  const at = points[0].dataIndex;
  const shown = data.series
    .map((one) => ({ one, value: Number(one.amounts[at]) }))
    .filter(({ value }) => value)
    .sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const box = document.createElement("div");
  box.className = "tip";
  const sum = shown.reduce((all, { value }) => all + value, 0);
  box.appendChild(document.createElement("strong")).textContent = data.dates[at];
  for (const { one, value } of shown.slice(0, 12)) {
    const swatch = document.createElement("span");
    swatch.className = `swatch c${one.colour}`;
    box.append(line("div", [swatch, one.name], amounts.format(value)));
  }
  box.append(line("div", "All", `${amounts.format(sum)} ${data.currency}`));
  return box;
}

function option() {
  const [text, muted, rule, card] = ["text", "muted", "line", "card"].map(colour);
  return {
    animation: false,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    grid: { left: 8, right: 8, top: 16, bottom: 8, containLabel: true },
    tooltip: {
      trigger: "axis",
      axisPointer: { type: "shadow" },
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
    series: data.series.map((one) => ({
      type: "bar",
      stack: "all",
      name: one.name,
      data: one.amounts.map(Number),
      barCategoryGap: "22%",
      itemStyle: { color: colour(`c${one.colour}`), borderColor: card, borderWidth: data.dates.length > 45 ? 0 : 0.75 },
      cursor: one.link ? "pointer" : "default",
    })),
  };
}

const chart = echarts.init(place);
const draw = () => chart.setOption(option());
draw();
chart.on("click", ({ seriesIndex }) => {
  const link = data.series[seriesIndex].link;
  if (link) location.assign(link);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
new ResizeObserver(() => chart.resize()).observe(place);
document.documentElement.dataset.chart = "drawn";
performance.mark("chart drawn");
