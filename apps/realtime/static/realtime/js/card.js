// One chain's card: verdict, reasons, figures, block times as far as they are known, providers.

import { el, flash, text } from "./dom.js";
import { NONE, count, duration, gwei, percentage, rate, ticking, usd } from "./figures.js";
import { stamp } from "./format.js";
import { drawAge, standing } from "./freshness.js";
import { Plot, durationTick, hourOf } from "./plots.js";
import { columns, span } from "./series.js";
import { drawReasons, drawVerdict, signOf, spelled } from "./verdicts.js";

const SIMULATED = "Volume and value locked come from a simulator, not from DefiLlama";
const LOCAL = "The node that runs beside MoonX; in the demo its traffic is made";

// What a card says, in its order: name, what is shown, the full value for a tooltip.
const FIGURES = [
  ["Block time p50", ({ blockTimeMs }) => duration(blockTimeMs.p50)],
  ["Block time p95", ({ blockTimeMs }) => duration(blockTimeMs.p95)],
  ["Transactions/s", ({ tps }) => rate(tps), ({ tps }) => tps],
  ["Gas used", ({ gasUsedRatio }) => percentage(gasUsedRatio), ({ gasUsedRatio }) => gasUsedRatio],
  ["Base fee", ({ baseFeeWei }) => gwei(baseFeeWei), ({ baseFeeWei }) => baseFeeWei && `${baseFeeWei} wei`],
  ["Finality lag", ({ finalityLagMs }) => duration(finalityLagMs)],
  ["Reorgs 1h", ({ reorgs1h }) => reorgs(reorgs1h), ({ reorgs1h }) => reorgs1h?.count && `The deepest took back ${reorgs1h.maxDepth}`],
  ["Volume 24h", ({ volume24hUsd }) => usd(volume24hUsd), ({ volume24hUsd }) => volume24hUsd],
  ["Value locked", ({ tvlUsd }) => usd(tvlUsd), ({ tvlUsd }) => tvlUsd],
];

const reorgs = (found) => (found ? count(found.count) : NONE);

export class Card {
  #chain = null;
  #points = [];
  #times = []; // of what is drawn, seconds
  #figures;
  #plot;
  #hovered = null;

  constructor(slug) {
    this.parts = {
      name: el("h3", { class: "chain-name" }),
      badge: el("span", { class: "badge", title: LOCAL }, "local"),
      verdict: el("span"),
      head: el("span", { class: "chain-head value" }),
      headAge: el("span", { class: "quiet value" }),
      reasons: el("ul", { class: "reasons" }),
      simulated: el("p", { class: "simulated", title: SIMULATED }, el("span", { class: "badge warn" }, "simulated"), " volume and value locked"),
      words: el("span", { class: "plot-words value" }),
      picture: el("div", { class: "plot", role: "img", "aria-label": "Block time" }),
      providers: el("ul", { class: "providers" }),
      age: el("p", { class: "age" }),
    };
    this.#figures = FIGURES.map(([name]) => figure(name));
    this.node = this.#built(slug);
    this.#plot = new Plot(this.parts.picture, { series: [{ tone: "accent" }, { tone: "fast" }], shown: durationTick, hover: (at) => this.#hover(at) });
  }

  #built(slug) {
    const { name, badge, verdict, head, headAge, reasons, simulated, words, picture, providers, age } = this.parts;
    const figures = el("dl", { class: "figures" }, ...this.#figures.map(({ node }) => node));
    const keys = el("span", { class: "keys" }, el("span", { class: "key", "data-tone": "accent" }, "p50"), el("span", { class: "key", "data-tone": "fast" }, "p95"));
    const inside = el(
      "div",
      { class: "chain-in" },
      el("div", { class: "chain-top" }, name, badge, verdict),
      el("div", { class: "chain-body" }, el("p", { class: "chain-block" }, head, " ", headAge), reasons, figures, simulated),
      el("div", { class: "chain-plot" }, el("p", { class: "plot-head" }, words, keys), picture),
      el("div", { class: "chain-foot" }, providers, age),
    );
    return el("article", { class: "card chain", "data-chain": slug }, inside);
  }

  /** Shows a chain as it stands. */
  draw(chain, now) {
    const known = this.#chain !== null;
    this.#chain = chain;
    const { name, badge, reasons, simulated } = this.parts;
    text(name, chain.name ?? chain.chain);
    badge.hidden = chain.chain !== "local";
    simulated.hidden = !chain.simulated || (chain.volume24hUsd === null && chain.tvlUsd === null);
    drawReasons(reasons, chain.reasons);
    this.#figures.forEach((one, at) => drawFigure(one, FIGURES[at], chain, known));
    this.#drawProviders(chain.providers);
    this.drawAges(now);
  }

  /** What ticks: the newest block's age, the sample's, and what the verdict is worth by it. */
  drawAges(now) {
    if (drawVerdict(this.parts.verdict, standing(this.#chain, now))) flash(this.parts.verdict);
    const { head, headTime } = this.#chain;
    text(this.parts.head, head === null ? NONE : `#${count(head)}`);
    text(this.parts.headAge, headTime === null ? "no block seen yet" : `${ticking(now - headTime)} ago`, headTime === null ? "" : stamp(headTime));
    drawAge(this.node, this.parts.age, this.#chain, now, "sampled ");
  }

  /** Shows block times as sampled, oldest first. */
  drawPoints(points, now) {
    this.#points = points;
    if (!points.length) return this.#describe();
    const data = columns(points, ({ blockTimeMs }) => blockTimeMs.p50, ({ blockTimeMs }) => blockTimeMs.p95);
    this.#plot.draw(data, span(points, now));
    this.#times = data[0];
    this.#describe();
  }

  #hover(at) {
    const time = at === null ? null : this.#times[at] * 1000;
    this.#hovered = time === null ? null : (this.#points.find((point) => point.time === time) ?? null);
    this.#describe();
  }

  #describe() {
    const shown = this.#hovered;
    const last = this.#points.at(-1);
    const both = ({ blockTimeMs }) => `p50 ${duration(blockTimeMs.p50)} · p95 ${duration(blockTimeMs.p95)}`;
    const words = last ? `Block time since ${hourOf(this.#points[0].time / 1000)}` : "Block time, nothing sampled yet";
    text(this.parts.words, shown ? `${hourOf(shown.time / 1000)}  ${both(shown)}` : words);
    this.parts.picture.ariaLabel = last ? `Block time since ${stamp(this.#points[0].time)}, newest: ${both(last)}` : words;
  }

  #drawProviders(providers) {
    const shown = JSON.stringify(providers);
    const list = this.parts.providers;
    if (list.dataset.shown === shown) return;
    list.dataset.shown = shown;
    list.replaceChildren(...providers.map(providerOf));
  }
}

function figure(name) {
  const value = el("dd", { class: "value" });
  return { node: el("div", {}, el("dt", {}, name), value), value };
}

function drawFigure({ value }, [, shown, full], chain, flashes) {
  if (text(value, shown(chain), String((full && full(chain)) || "")) && flashes) flash(value);
}

function providerOf({ name, state, lagBlocks, errorRate, p95Ms }) {
  const lag = lagBlocks ? `${count(lagBlocks)} ${lagBlocks === 1 ? "block" : "blocks"} behind` : "";
  const errors = errorRate && /[1-9]/.test(errorRate) ? `${percentage(errorRate)} failed` : "";
  const told = [state === "ok" ? "" : spelled(state), lag, errors, p95Ms === null ? "" : duration(p95Ms)].filter(Boolean);
  return el("li", { "data-state": state, title: `${name}: ${spelled(state)}` }, signOf(state), el("span", {}, name), el("span", { class: "quiet" }, told.join(" · ")));
}
