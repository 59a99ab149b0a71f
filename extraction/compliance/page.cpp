// compliance.html. All text of tables passes EscapeHtml; the content security policy allows nothing
// but the page's own style and script.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/clean_text.h"
#include "engine/version.h"
#include "extraction/compliance/report.h"

namespace consilium::compliance {
namespace {

constexpr std::string_view kHead = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>Compliance of the radiomics engine</title>
<style>
:root{color-scheme:light dark;--paper:#fff;--panel:#f5f7fa;--ink:#1c2430;--soft:#5b6675;--line:#d9dfe6;--good:#1e6b3c;--bad:#a4262c;--open:#8a5a00}
@media (prefers-color-scheme:dark){:root{--paper:#12161c;--panel:#1b212a;--ink:#e6e9ef;--soft:#9aa4b2;--line:#313a47;--good:#8fd6a8;--bad:#ff9a9a;--open:#ffd27a}}
html{font:16px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;color:var(--ink);background:var(--paper)}
body{margin:0 auto;max-width:76rem;padding:1.5rem 1.25rem 4rem}
h1{font-size:1.6rem;margin:0 0 .3rem}
h2{font-size:1.2rem;margin:2rem 0 .4rem}
p,li{max-width:54rem}
.soft{color:var(--soft)}
.good{color:var(--good)}.bad{color:var(--bad);font-weight:600}.open{color:var(--open)}
code{font-size:.82rem;overflow-wrap:anywhere}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.2rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
thead th{background:var(--panel);white-space:nowrap}
.n{text-align:right}
summary{cursor:pointer;font-weight:600;padding:.4rem 0}
#filter{position:sticky;top:0;background:var(--paper);padding:.6rem 0;border-bottom:1px solid var(--line);display:flex;flex-wrap:wrap;gap:.6rem;align-items:center}
input,select{font:inherit;padding:.25rem .5rem;color:inherit;background:var(--panel);border:1px solid var(--line);border-radius:.25rem}
input{min-width:18rem}
</style>
</head>
<body>
)html";

constexpr std::string_view kScript = R"html(<script>
const filter = document.getElementById('filter');
const [words, verdict, shown] = ['words', 'verdict', 'shown'].map(id => document.getElementById(id));
const sets = [...document.querySelectorAll('details')].map(
    set => ({set, count: set.querySelector('.count'), rows: [...set.querySelectorAll('tbody tr')].map(
        row => ({row, text: row.textContent.toLowerCase(), verdict: row.lastElementChild.firstChild.textContent}))}));
function show() {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const filtering = wanted.length > 0 || verdict.value !== '';
  let all = 0;
  for (const {set, count, rows} of sets) {
    let here = 0;
    for (const one of rows) {
      const fits = (verdict.value === '' || one.verdict === verdict.value) && wanted.every(word => one.text.includes(word));
      one.row.hidden = !fits;
      if (fits) ++here;
    }
    all += here;
    count.textContent = filtering ? `${here} of ${rows.length} rows shown` : `${rows.length} rows`;
    if (filtering) set.open = here > 0;
  }
  shown.textContent = `${all} rows`;
}
let waiting;
words.addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(show, 150); });
verdict.addEventListener('change', show);
filter.hidden = false;
show();
</script>
)html";

std::string_view Style(Verdict verdict) {
  if (IsFailure(verdict)) return "bad";
  return verdict == Verdict::kHolds ? "good" : "open";
}

std::string Number(double value, int digits) {
  return std::isnan(value) ? "" : fmt::format("{:.{}g}", value, digits);
}

void AddSummary(const Report& report, std::string& page) {
  page +=
      "<div class=\"scroll\"><table><thead><tr><th>Reference set</th><th class=\"n\">Compared</th>"
      "<th class=\"n\">Hold</th><th class=\"n\">Explained</th><th class=\"n\">Do not hold</th>"
      "<th class=\"n\">Not compared</th></tr></thead><tbody>\n";
  for (const SetReport& set : report.sets) {
    const std::size_t holds = set.Count(Verdict::kHolds),
                      explained = set.Count(Verdict::kExplained),
                      failed = set.compared() - holds - explained;
    page += fmt::format(
        "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n good\">{}</td><td class=\"n\">{}</td>"
        "<td class=\"n{}\">{}</td><td class=\"n\">{}</td></tr>\n",
        EscapeHtml(set.name), set.compared(), holds, explained, failed > 0 ? " bad" : "", failed,
        set.Count(Verdict::kNotCompared));
  }
  page += "</tbody></table></div>\n";
}

void AddExceptions(const Report& report, std::string& page) {
  constexpr std::size_t kNamedMax = 20;
  page += "<h2>How values are held, and what is not</h2>\n";
  for (const SetReport& set : report.sets) {
    page += fmt::format("<h3>{}</h3>\n<p>{}</p>\n", EscapeHtml(set.name), EscapeHtml(set.rule));
    if (!set.table_sha256.empty())
      page +=
          fmt::format("<p class=\"soft\">SHA-256 of the reference's table: <code>{}</code></p>\n",
                      set.table_sha256);
    page += "<ul>\n";
    for (const Exceptions& one : ExceptionsOf(set)) {
      page += fmt::format("<li><span class=\"{}\">{}</span>{}{}", Style(one.verdict), one.Title(),
                          one.cause.empty() ? "" : ": ", EscapeHtml(one.cause));
      // Those that a reader would look for.
      if (IsFailure(one.verdict) || one.verdict == Verdict::kExplained) {
        for (std::size_t i = 0; i < std::min(one.rows.size(), kNamedMax); ++i)
          page += (i == 0 ? ": " : "; ") + EscapeHtml(NameOf(*one.rows[i]));
        if (one.rows.size() > kNamedMax) page += "; and more, below";
      }
      page += ".</li>\n";
    }
    for (const std::string& sentence : set.left_out)
      page +=
          fmt::format("<li><span class=\"open\">Not run</span>: {}.</li>\n", EscapeHtml(sentence));
    page += "</ul>\n";
  }
}

void AddTable(const SetReport& set, std::string& page) {
  page += fmt::format(
      "<details><summary>{} <span class=\"soft count\">{} rows</span></summary>\n"
      "<div class=\"scroll\"><table><thead><tr><th>Configuration</th><th>Family</th>"
      "<th>Aggregation</th><th>Feature</th><th>IBSI code</th><th class=\"n\">Reference</th>"
      "<th class=\"n\">Tolerance</th><th "
      "class=\"n\">Ours</th><th>Verdict</th></tr></thead><tbody>\n",
      EscapeHtml(set.name), set.compared());
  for (const Comparison& row : set.rows) {
    if (row.verdict == Verdict::kNotCompared) continue;
    page += "<tr>";
    for (const std::string* text :
         {&row.configuration, &row.family, &row.aggregation, &row.feature, &row.ibsi_code})
      page += fmt::format("<td>{}</td>", EscapeHtml(*text));
    page += fmt::format(
        "<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td><span "
        "class=\"{}\">{}</span></td></tr>\n",
        Number(row.reference, 10), Number(row.tolerance, 3), Number(row.ours, 10),
        Style(row.verdict), Name(row.verdict));
  }
  page += "</tbody></table></div></details>\n";
}

}  // namespace

std::string HtmlOf(const Report& report) {
  std::string page(kHead);
  page += fmt::format(
      "<h1>Compliance of the radiomics engine</h1>\n<p class=\"soft\">{}. Every "
      "published value beside ours; compliance.csv has the same rows, and those that were not "
      "compared.</p>\n<p class=\"{}\">{}</p>\n",
      EscapeHtml(engine::kVersion), report.Holds() ? "good" : "bad",
      report.Holds() ? "All compared values hold, but for those that are explained."
                     : "Some values do not hold.");
  AddSummary(report, page);
  AddExceptions(report, page);
  page +=
      "<h2>Every value</h2>\n<div id=\"filter\" hidden><input id=\"words\" type=\"search\" "
      "placeholder=\"glcm 3D:avg brain1 ...\" aria-label=\"Rows that have all these words\">"
      "<select id=\"verdict\" aria-label=\"Verdict\"><option value=\"\">every verdict</option>";
  for (const Verdict verdict : {Verdict::kHolds, Verdict::kExplained, Verdict::kDiffers,
                                Verdict::kMissing, Verdict::kUnknown})
    page += fmt::format("<option>{}</option>", Name(verdict));
  page += "</select><span id=\"shown\" class=\"soft\"></span></div>\n";
  for (const SetReport& set : report.sets) AddTable(set, page);
  page += kScript;
  page += "</body>\n</html>\n";
  return page;
}

}  // namespace consilium::compliance
