// Draws the plots of report.html from the numbers that the page already carries.
//
// Every figure repeats a table of the page, so nothing is lost without this script. The page's
// content security policy forbids eval and the network: expressions run in Vega's interpreter and the
// loader refuses everything.
import { expressionInterpreter } from 'vega-interpreter';
import { compile } from 'vega-lite';
import { parse, View, Warn } from 'vega';

const data = JSON.parse(document.getElementById('report-data').textContent);
const report = data.report;
const shown = data.shown; // the analysis that the figures show: {model, features, harmonization}

const kColumns = 3;
const kPanel = 250;

const isShown = (row) =>
  row.model === shown.model &&
  row.features === shown.features &&
  row.harmonization === shown.harmonization;
const sameModel = (row) => row.model === shown.model && row.features === shown.features;
const fixed = (value, digits) =>
  value === null || value === undefined ? '' : value.toFixed(digits).replace('-', '\u2212');
const limits = (interval, digits) =>
  interval ? `[${fixed(interval[0], digits)}, ${fixed(interval[1], digits)}]` : '';

// Colours by role. Blue and orange stay apart for every common colour blindness, in print and in dark.
function theme(dark) {
  return dark
    ? { ink: '#e6e9ef', soft: '#9aa4b2', grid: '#313a47', a: '#7ab8ff', b: '#ffb066', c: '#8fd6a8' }
    : { ink: '#1c2430', soft: '#5b6675', grid: '#dfe4ea', a: '#1f5fa8', b: '#c25700', c: '#2f7d4f' };
}

function config(colors) {
  return {
    background: 'transparent',
    font: 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',
    view: { stroke: null },
    axis: {
      labelColor: colors.soft,
      titleColor: colors.soft,
      titleFontWeight: 'normal',
      titleFontSize: 12,
      labelFontSize: 11.5,
      labelLimit: 260,
      gridColor: colors.grid,
      domainColor: colors.grid,
      tickColor: colors.grid,
    },
    legend: { labelColor: colors.ink, titleColor: colors.soft, labelFontSize: 12, labelLimit: 260 },
    text: { color: colors.ink, fontSize: 12 },
    concat: { spacing: 26 },
  };
}

const numeric = (field, title, extra = {}) => ({ field, type: 'quantitative', title, ...extra });
const nominal = (field, extra = {}) => ({ field, type: 'nominal', title: null, ...extra });

// Rounded outwards, so that no interval touches the frame.
function aucDomain(values) {
  const low = Math.min(0.5, ...values.filter((value) => value !== null && value !== undefined));
  return [Math.max(0, Math.floor((low - 0.02) * 10) / 10), 1];
}

// External AUC of each center with its interval, then the average center and a new one.
function forest(colors) {
  const rows = report.results
    .filter((row) => isShown(row) && row.external_auc !== null)
    .map((row) => ({
      center: row.held_out,
      kind: row.counts ? 'counts' : 'shown only',
      auc: row.external_auc,
      lower: row.external_auc_ci ? row.external_auc_ci[0] : null,
      upper: row.external_auc_ci ? row.external_auc_ci[1] : null,
      n: row.n,
      truth: row.true_external_auc,
      text: `${fixed(row.external_auc, 3)} ${limits(row.external_auc_ci, 3)}`,
    }));
  if (rows.length === 0) return null;
  const pooled = report.summary.find((row) => isShown(row) && row.expit_mu !== null);
  const averages = [];
  if (pooled) {
    averages.push({
      center: 'Average center',
      auc: pooled.expit_mu,
      lower: pooled.ci ? pooled.ci[0] : null,
      upper: pooled.ci ? pooled.ci[1] : null,
      text: `${fixed(pooled.expit_mu, 3)} ${limits(pooled.ci, 3)}`,
    });
    if (pooled.prediction_interval) {
      averages.push({
        center: 'A new center (prediction)',
        lower: pooled.prediction_interval[0],
        upper: pooled.prediction_interval[1],
        text: limits(pooled.prediction_interval, 3),
      });
    }
  }
  const all = [...rows, ...averages];
  const domain = aucDomain(all.flatMap((row) => [row.auc, row.lower]));
  const y = nominal('center', { sort: all.map((row) => row.center), scale: { padding: 0.5 } });
  const x = (field) => numeric(field, 'External AUC (95 % interval)', { scale: { domain }, axis: { tickCount: 8 } });
  const lines = [{ at: 0.5, label: 'chance' }];
  if (pooled && pooled.mean_internal !== null) {
    lines.push({ at: pooled.mean_internal, label: 'internal' });
  }
  return {
    width: 560,
    height: { step: 30 },
    layer: [
      {
        data: { values: lines },
        mark: { type: 'rule', strokeDash: [4, 4], color: colors.soft },
        encoding: { x: x('at') },
      },
      {
        data: { values: lines },
        mark: { type: 'text', y: -8, color: colors.soft, fontSize: 11 },
        encoding: { x: x('at'), text: { field: 'label' } },
      },
      {
        data: { values: rows },
        mark: { type: 'rule', color: colors.a, strokeWidth: 2 },
        encoding: { y, x: x('lower'), x2: { field: 'upper' } },
      },
      {
        data: { values: rows },
        mark: { type: 'point', filled: true, shape: 'square', opacity: 1, stroke: colors.a, color: colors.a },
        encoding: {
          y,
          x: x('auc'),
          size: numeric('n', null, { legend: null, scale: { range: [50, 220] } }),
          fillOpacity: {
            condition: { test: "datum.kind === 'counts'", value: 1 },
            value: 0.25,
          },
        },
      },
      {
        data: { values: rows.filter((row) => row.truth !== null) },
        mark: { type: 'point', shape: 'cross', filled: true, size: 90, color: colors.c, opacity: 1 },
        encoding: { y, x: x('truth') },
      },
      {
        data: { values: averages },
        mark: { type: 'rule', color: colors.b, strokeWidth: 2 },
        encoding: { y, x: x('lower'), x2: { field: 'upper' } },
      },
      {
        data: { values: averages.filter((row) => row.auc !== undefined) },
        mark: { type: 'point', shape: 'diamond', filled: true, size: 190, color: colors.b, opacity: 1 },
        encoding: { y, x: x('auc') },
      },
      {
        data: { values: all },
        mark: { type: 'text', align: 'left', x: 574 },
        encoding: { y, text: { field: 'text' } },
      },
    ],
  };
}

// Internal against external AUC of every held-out center, one panel a harmonization.
function dumbbell(colors) {
  const rows = report.results.filter(
    (row) => sameModel(row) && row.external_auc !== null && row.internal_auc !== null,
  );
  if (rows.length === 0) return null;
  const ends = rows.flatMap((row) => [
    { harmonization: row.harmonization, center: row.held_out, where: 'internal', auc: row.internal_auc },
    { harmonization: row.harmonization, center: row.held_out, where: 'external', auc: row.external_auc },
  ]);
  const values = rows.map((row) => ({
    harmonization: row.harmonization,
    center: row.held_out,
    internal: row.internal_auc,
    external: row.external_auc,
  }));
  const harmonizations = [...new Set(rows.map((row) => row.harmonization))];
  const domain = aucDomain(ends.map((row) => row.auc));
  const x = (field) => numeric(field, 'AUC', { scale: { domain, zero: false } });
  const panel = (name) => ({
    title: { text: `harmonization: ${name}`, color: colors.ink, fontSize: 13, fontWeight: 'normal' },
    width: 330,
    height: { step: 26 },
    layer: [
      {
        data: { values: values.filter((row) => row.harmonization === name) },
        mark: { type: 'rule', color: colors.soft, strokeWidth: 2 },
        encoding: { y: nominal('center'), x: x('internal'), x2: { field: 'external' } },
      },
      {
        data: { values: ends.filter((row) => row.harmonization === name) },
        mark: { type: 'point', filled: true, size: 95, opacity: 1 },
        encoding: {
          y: nominal('center'),
          x: x('auc'),
          color: nominal('where', {
            sort: ['internal', 'external'],
            scale: { domain: ['internal', 'external'], range: [colors.a, colors.b] },
            legend: { orient: 'top' },
          }),
          shape: nominal('where', {
            sort: ['internal', 'external'],
            scale: { domain: ['internal', 'external'], range: ['circle', 'square'] },
            legend: { orient: 'top' },
          }),
        },
      },
    ],
  });
  return { concat: harmonizations.map(panel), columns: 2, resolve: { scale: { color: 'shared', shape: 'shared' } } };
}

// One panel a center, each with axes of its own.
function panels(rows, panel) {
  const centers = [...new Set(rows.map((row) => row.center))];
  return {
    concat: centers.map((center) =>
      panel(
        center,
        rows.filter((row) => row.center === center),
      ),
    ),
    columns: kColumns,
  };
}

const panelTitle = (text, colors) => ({
  text,
  color: colors.ink,
  fontSize: 13,
  fontWeight: 'normal',
  limit: kPanel,
});

const kUnit = { scale: { domain: [0, 1] }, axis: { values: [0, 0.25, 0.5, 0.75, 1], format: '.2~f' } };

const diagonal = (colors) => ({
  data: { values: [{ from: 0, to: 1 }] },
  mark: { type: 'rule', strokeDash: [4, 4], color: colors.soft },
  encoding: {
    x: { field: 'from', type: 'quantitative' },
    y: { field: 'from', type: 'quantitative' },
    x2: { field: 'to' },
    y2: { field: 'to' },
  },
});

function roc(colors) {
  const rows = report.roc
    .filter(isShown)
    .flatMap((curve) =>
      curve.points.map(([fpr, tpr], order) => ({ center: curve.held_out, fpr, tpr, order })),
    );
  if (rows.length === 0) return null;
  return panels(rows, (center, values) => ({
    title: panelTitle(center, colors),
    width: kPanel,
    height: kPanel,
    layer: [
      diagonal(colors),
      {
        data: { values },
        mark: { type: 'line', color: colors.a, strokeWidth: 2, point: { color: colors.a, size: 14 } },
        encoding: {
          x: numeric('fpr', '1 \u2212 specificity', kUnit),
          y: numeric('tpr', 'Sensitivity', kUnit),
          order: { field: 'order', type: 'quantitative' },
        },
      },
    ],
  }));
}

// Wilson's 95 % interval of events / n, as calibration_groups.csv has it.
function wilson(events, n) {
  const z = 1.959963984540054;
  const middle = (events + (z * z) / 2) / (n + z * z);
  const half = (z / (n + z * z)) * Math.sqrt((events * (n - events)) / n + (z * z) / 4);
  return { lower: Math.max(0, middle - half), upper: Math.min(1, middle + half) };
}

function calibration(colors) {
  const rows = report.calibration.filter(isShown).flatMap((row) =>
    row.groups
      .filter((group) => group.n > 0)
      .map((group) => ({
        center: row.held_out,
        risk: group.mean_risk,
        observed: group.events / group.n,
        ...wilson(group.events, group.n),
        n: group.n,
      })),
  );
  if (rows.length === 0) return null;
  const x = numeric('risk', 'Predicted risk', kUnit);
  const y = numeric('observed', 'Observed share', kUnit);
  return panels(rows, (center, values) => ({
    title: panelTitle(center, colors),
    width: kPanel,
    height: kPanel,
    layer: [
      diagonal(colors),
      {
        data: { values },
        mark: { type: 'rule', color: colors.soft, strokeWidth: 1 },
        encoding: { x, y: numeric('lower', 'Observed share', kUnit), y2: { field: 'upper' } },
      },
      { data: { values }, mark: { type: 'line', color: colors.a, strokeWidth: 1.5 }, encoding: { x, y } },
      {
        data: { values },
        mark: { type: 'point', filled: true, color: colors.a, opacity: 1 },
        encoding: { x, y, size: numeric('n', 'cases', { legend: null, scale: { range: [25, 110] } }) },
      },
    ],
  }));
}

function decision(colors) {
  const rows = report.net_benefit.curves
    .filter((curve) => isShown(curve) && curve.held_out !== '')
    .flatMap((curve) =>
      curve.points.flatMap((point) => [
        { center: curve.held_out, threshold: point.threshold, who: 'model', benefit: point.model },
        { center: curve.held_out, threshold: point.threshold, who: 'treat all', benefit: point.treat_all },
        { center: curve.held_out, threshold: point.threshold, who: 'treat none', benefit: 0 },
      ]),
    );
  if (rows.length === 0) return null;
  const best = Math.max(0.02, ...rows.map((row) => row.benefit ?? 0));
  const names = ['model', 'treat all', 'treat none'];
  return panels(rows, (center, values) => {
    const legend = { orient: 'top', title: null };
    return {
      title: panelTitle(center, colors),
      width: kPanel,
      height: 190,
      layer: [
        {
          data: { values },
          mark: { type: 'line', clip: true, strokeWidth: 2 },
          encoding: {
            x: numeric('threshold', 'Threshold probability', { scale: { domain: [0, 1] } }),
            y: numeric('benefit', 'Net benefit', { scale: { domain: [-best / 4, best * 1.05] } }),
            color: nominal('who', {
              scale: { domain: names, range: [colors.a, colors.b, colors.soft] },
              legend,
            }),
            strokeDash: nominal('who', {
              scale: { domain: names, range: [[1, 0], [6, 3], [2, 2]] },
              legend,
            }),
          },
        },
        {
          data: { values: report.provenance.thresholds.map((at) => ({ at })) },
          mark: { type: 'rule', color: colors.soft, strokeDash: [1, 3] },
          encoding: { x: { field: 'at', type: 'quantitative' } },
        },
      ],
    };
  });
}

// Round numbers inside [low, high]: decades, or 1, 2, 5 of each where there are few decades.
function logTicks(low, high) {
  const steps = Math.log10(high / low) > 2.5 ? [1] : [1, 2, 5];
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); ++power) {
    for (const step of steps) ticks.push(Number(`${step}e${power}`));
  }
  return ticks.filter((tick) => tick >= low && tick <= high);
}

// Deviance over the path. Chosen lambdas as lines.
function crossValidation(colors) {
  const rows = data.cv
    .filter((row) => isShown(row) && row.cvm !== null && row.lambda > 0)
    .map((row) => ({
      center: row.held_out,
      lambda: row.lambda,
      cvm: row.cvm,
      low: row.cvsd === null ? row.cvm : row.cvm - row.cvsd,
      high: row.cvsd === null ? row.cvm : row.cvm + row.cvsd,
      chosen: row.chosen,
    }));
  if (rows.length === 0) return null;
  const chosen = ['lambda.min', 'lambda.1se'].flatMap((rule) =>
    rows.filter((row) => row.chosen.split(' ').includes(rule)).map((row) => ({ ...row, rule })),
  );
  const x = numeric('lambda', 'lambda (log scale)', {
    scale: { type: 'log', nice: false },
    axis: {
      values: logTicks(
        rows.reduce((low, row) => Math.min(low, row.lambda), Infinity),
        rows.reduce((high, row) => Math.max(high, row.lambda), 0),
      ),
      format: '~g',
      labelOverlap: true,
    },
  });
  const rules = ['lambda.min', 'lambda.1se'];
  return panels(rows, (center, values) => {
    const legend = { orient: 'top' };
    return {
      title: panelTitle(`without ${center}`, colors),
      width: kPanel,
      height: 170,
      layer: [
        {
          data: { values },
          mark: { type: 'rule', color: colors.grid, strokeWidth: 2 },
          encoding: { x, y: numeric('low', 'Deviance', { scale: { zero: false } }), y2: { field: 'high' } },
        },
        {
          data: { values },
          mark: { type: 'point', filled: true, size: 16, color: colors.a, opacity: 1 },
          encoding: { x, y: numeric('cvm', 'Deviance', { scale: { zero: false } }) },
        },
        {
          data: { values: chosen.filter((row) => row.center === center) },
          mark: { type: 'rule', strokeWidth: 1.5 },
          encoding: {
            x,
            color: nominal('rule', { scale: { domain: rules, range: [colors.b, colors.c] }, legend }),
            strokeDash: nominal('rule', { scale: { domain: rules, range: [[1, 0], [5, 3]] }, legend }),
          },
        },
      ],
    };
  });
}

// How many fits kept a term: what can be compared between terms whose units differ.
function stability(colors) {
  const fits = new Set();
  const kept = new Map();
  for (const row of data.coefficients.filter(isShown)) {
    fits.add(row.held_out);
    if (row.coefficient !== 0 && row.term !== '(Intercept)') {
      kept.set(row.term, (kept.get(row.term) ?? 0) + 1);
    }
  }
  if (fits.size < 2 || kept.size === 0) return null;
  const values = [...kept]
    .map(([term, count]) => ({ term, count }))
    .sort((a, b) => b.count - a.count || (a.term < b.term ? -1 : 1))
    .slice(0, 25);
  return {
    data: { values },
    width: 420,
    height: { step: 20 },
    mark: { type: 'bar', color: colors.a, height: 12 },
    encoding: {
      y: nominal('term', { sort: null }),
      x: numeric('count', `Fits of ${fits.size} that keep the term`, {
        scale: { domain: [0, fits.size] },
        axis: { tickMinStep: 1, format: 'd' },
      }),
    },
  };
}

const kFigures = { forest, dumbbell, roc, calibration, decision, cv: crossValidation, stability };

const loader = {
  load: () => Promise.reject(new Error('report.html loads nothing')),
  sanitize: () => Promise.reject(new Error('report.html links nothing')),
};
let views = [];

async function draw(dark) {
  for (const view of views) view.finalize();
  views = [];
  const colors = theme(dark);
  for (const [name, figure] of Object.entries(kFigures)) {
    const holder = document.querySelector(`[data-figure="${name}"]`);
    if (!holder) continue;
    const spec = figure(colors);
    if (spec === null) {
      holder.closest('figure').hidden = true;
      continue;
    }
    holder.replaceChildren();
    const { spec: vegaSpec } = compile({ ...spec, config: config(colors) });
    const view = new View(parse(vegaSpec, null, { ast: true }), {
      expr: expressionInterpreter,
      renderer: 'svg',
      container: holder,
      hover: false,
      loader,
      logLevel: Warn,
    });
    views.push(view);
    await view.runAsync();
  }
}

const prefersDark = window.matchMedia('(prefers-color-scheme: dark)');
prefersDark.addEventListener('change', (event) => draw(event.matches));
window.addEventListener('beforeprint', () => prefersDark.matches && draw(false));
window.addEventListener('afterprint', () => prefersDark.matches && draw(true));
draw(prefersDark.matches);
