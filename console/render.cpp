#include "console/render.h"

#include <consilium/v1/consilium.pb.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <span>

#include "base/strict_yaml.h"
#include "federation/receipt.h"
#include "identity/certificate.h"
#include "site_agent/ledger.h"
#include "site_agent/site.h"

namespace consilium::console {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kSecond = 1000, kMinute = 60 * kSecond, kHour = 60 * kMinute,
                       kDay = 24 * kHour;
constexpr int kTypicalLambdaCount = 100;  // the console does not see the study's own
constexpr std::size_t kIdDigits = 12, kIdDigitsMin = 4, kKeyDigits = 16;

std::string OneLine(std::string_view text) { return site_agent::PlainText(text); }

std::string HexOf(std::string_view bytes) {
  return Hex(std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool BeginsCodePoint(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

std::size_t Columns(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), BeginsCodePoint));
}

// The first `columns` code points; a cut is shown.
std::string Cut(std::string_view text, std::size_t columns) {
  if (Columns(text) <= columns) return std::string(text);
  std::size_t at = 0, seen = 0;
  for (; at < text.size(); ++at) {
    if (BeginsCodePoint(text[at]) && ++seen > columns - std::min<std::size_t>(columns, 3)) break;
  }
  return std::string(text.substr(0, at)) + std::string(std::min<std::size_t>(columns, 3), '.');
}

// Columns as wide as their widest cell, two blanks apart; nothing behind the last.
std::string Table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Columns(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      line.append(widths[i] - Columns(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string MinuteText(std::int64_t unix_ms) {  // "2026-03-01 14:05"
  return unix_ms <= 0 ? "-" : identity::UtcText(unix_ms / 1000).substr(0, 16);
}
std::string DateText(std::int64_t unix_s) { return identity::UtcText(unix_s).substr(0, 10); }

std::int64_t SecondsLeft(const wire::Member& member, std::int64_t now_unix_ms) {
  return member.not_after_unix_s - now_unix_ms / 1000;
}
bool HasCertificate(const wire::Member& member) {
  return member.not_after_unix_s > 0 && member.state == "active";
}
std::int64_t DaysLeft(const wire::Member& member, std::int64_t now_unix_ms) {
  return SecondsLeft(member, now_unix_ms) / 86'400;
}

std::string CertificateText(const wire::Member& member, std::int64_t now_unix_ms) {
  if (!HasCertificate(member)) return "-";
  const std::string date = DateText(member.not_after_unix_s);
  if (SecondsLeft(member, now_unix_ms) < 0) return date + " EXPIRED";
  const std::int64_t days = DaysLeft(member, now_unix_ms);
  if (days >= kExpiryWarningDays) return date;
  return fmt::format("{} {} day{} left", date, days, days == 1 ? "" : "s");
}

std::string SeenText(const wire::Member& member, std::int64_t now_unix_ms) {
  if (member.connected) return "connected";
  if (member.role != "site") return "-";  // people connect for a call and go
  if (member.seen_unix_ms <= 0) return "never";
  return AgoText(now_unix_ms - member.seen_unix_ms);
}

std::int64_t Magnitude(std::int64_t value) { return value < 0 ? -value : value; }

bool ClockIsOff(const wire::Member& member) {
  return member.connected && Magnitude(member.clock_skew_ms) > kClockSkewShownMs;
}

// What somebody has to do about this member; empty: nothing.
std::vector<std::string> ThingsToDo(const wire::Member& member, std::int64_t now_unix_ms) {
  std::vector<std::string> things;
  const std::string name = OneLine(member.name);
  const bool site = member.role == "site";
  if (HasCertificate(member) && SecondsLeft(member, now_unix_ms) < 0) {
    things.push_back(fmt::format(
        "{}: its certificate ended on {}; `consilium site invite {}{}` makes a token to enrol anew",
        name, DateText(member.not_after_unix_s), name,
        site ? "" : " --role " + OneLine(member.role)));
  } else if (HasCertificate(member) && DaysLeft(member, now_unix_ms) < kExpiryWarningDays) {
    things.push_back(fmt::format("{}: its certificate ends in {} day{}; {}", name,
                                 DaysLeft(member, now_unix_ms),
                                 DaysLeft(member, now_unix_ms) == 1 ? "" : "s",
                                 site ? "its agent renews it by itself when it is connected: does "
                                        "it run (consilium-site check)?"
                                      : "its owner renews it with `consilium key renew`"));
  }
  if (ClockIsOff(member)) {
    things.push_back(
        fmt::format("{}: its clock is {} s {}; set it (NTP) before certificates and "
                    "deadlines are misread",
                    name, Magnitude(member.clock_skew_ms) / kSecond,
                    member.clock_skew_ms > 0 ? "ahead" : "behind"));
  }
  return things;
}

std::string StateText(const v1::StudyLine& study) {
  return study.why().empty() ? OneLine(study.state())
                             : fmt::format("{}: {}", OneLine(study.state()), OneLine(study.why()));
}

Json LineJson(const v1::StudyLine& study, std::string_view event) {
  return Json{{"event", event},
              {"study", HexOf(study.study())},
              {"name", study.name()},
              {"lead", study.lead()},
              {"state", study.state()},
              {"why", study.why()},
              {"submitted_unix_ms", study.submitted_unix_ms()},
              {"ended_unix_ms", study.ended_unix_ms()},
              {"rounds", study.rounds()}};
}

std::int64_t ElapsedMs(const v1::StudyStatus& status, std::int64_t now_unix_ms) {
  if (status.started_unix_ms() <= 0) return 0;
  const std::int64_t end =
      status.line().ended_unix_ms() > 0 ? status.line().ended_unix_ms() : now_unix_ms;
  return std::max<std::int64_t>(0, end - status.started_unix_ms());
}

// A site as long as no round is open: who has approved, who has not.
std::string SiteText(const v1::SiteStatus& site) {
  const std::string sentence = OneLine(site.sentence());
  return fmt::format("{}: {}{}{}", OneLine(site.site()), OneLine(site.state()),
                     sentence.empty() ? "" : ", ", sentence);
}

bool IsRunning(const v1::StudyStatus& status) { return status.line().state() == "running"; }

// Once rounds run the waits say it all; before that, the sites.
std::vector<std::string> Details(const v1::StudyStatus& status) {
  std::vector<std::string> lines;
  for (const auto& wait : status.waits()) lines.push_back(WaitText(wait));
  if (!lines.empty() || IsRunning(status) || HasEnded(status.line())) return lines;
  for (const auto& site : status.sites()) lines.push_back(SiteText(site));
  return lines;
}

}  // namespace

// ---- pieces -------------------------------------------------------------------------------------

std::string Megabytes(std::uint64_t bytes) {
  const double megabytes = static_cast<double>(bytes) / 1e6;
  return megabytes < 10 ? fmt::format("{:.1f} MB", megabytes) : fmt::format("{:.0f} MB", megabytes);
}

std::string AgoText(std::int64_t ms) {
  ms = std::max<std::int64_t>(0, ms);
  if (ms < 2 * kMinute) return fmt::format("{} s ago", ms / kSecond);
  if (ms < 2 * kHour) return fmt::format("{} min ago", ms / kMinute);
  if (ms < 2 * kDay) return fmt::format("{} h ago", ms / kHour);
  return fmt::format("{} days ago", ms / kDay);
}

std::string Shown(std::string_view text) {
  std::string shown;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (begin > 0) shown += '\n';
    shown += OneLine(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return shown;
}

std::string ShortId(std::string_view digest_bytes) {
  return HexOf(digest_bytes).substr(0, kIdDigits);
}

double ProgressShare(std::uint64_t round, int lambda_count) {
  const double typical = 14 + 0.55 * lambda_count;
  const auto done = static_cast<double>(round);
  return std::min(0.97, (done + 1) / std::max(typical, 1.25 * (done + 3)));
}

// ---- members ------------------------------------------------------------------------------------

Digest MemberFingerprint(const wire::Member& member) {
  if (!member.agreement_key) return member.signing_key.fingerprint();
  return site_agent::FingerprintOf({member.signing_key, *member.agreement_key});
}

std::string MemberTable(const std::vector<wire::Member>& members, std::int64_t now_unix_ms,
                        bool whole_keys) {
  std::vector<const wire::Member*> sorted;
  for (const wire::Member& member : members) sorted.push_back(&member);
  const auto rank = [](const wire::Member& member) {
    return member.role == "site" ? 0 : member.role == "lead" ? 1 : 2;
  };
  std::sort(sorted.begin(), sorted.end(), [&](const wire::Member* a, const wire::Member* b) {
    return std::pair(rank(*a), a->name) < std::pair(rank(*b), b->name);
  });
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "ROLE", "STATE", "SEEN", "CERTIFICATE UNTIL", "CLOCK", "ENGINE", "KEY"}};
  std::string notes;
  for (const wire::Member* member : sorted) {
    const std::string key = Hex(MemberFingerprint(*member));
    rows.push_back(
        {OneLine(member->name), OneLine(member->role), OneLine(member->state),
         SeenText(*member, now_unix_ms), CertificateText(*member, now_unix_ms),
         ClockIsOff(*member) ? fmt::format("{:+} s", member->clock_skew_ms / kSecond) : "-",
         member->engine.empty() ? "-" : OneLine(member->engine),
         whole_keys ? key : key.substr(0, kKeyDigits)});
    for (const std::string& thing : ThingsToDo(*member, now_unix_ms)) notes += "! " + thing + "\n";
  }
  return Table(rows) + notes;
}

std::string MemberJson(const wire::Member& member, std::int64_t now_unix_ms) {
  return Dump(Json{{"event", "member"},
                   {"name", member.name},
                   {"role", member.role},
                   {"state", member.state},
                   {"connected", member.connected},
                   {"seen_unix_ms", member.seen_unix_ms},
                   {"certificate_until_unix_s", member.not_after_unix_s},
                   {"clock_skew_ms", member.clock_skew_ms},
                   {"engine", member.engine},
                   {"key", Hex(MemberFingerprint(member))},
                   {"warnings", ThingsToDo(member, now_unix_ms)}});
}

namespace {

std::vector<std::string> CoordinatorWarnings(std::int64_t server_until_s,
                                             std::int64_t authority_until_s,
                                             std::int64_t now_unix_ms) {
  const auto ends = [&](std::string_view what, std::int64_t until_s) {
    const std::int64_t left_s = until_s - now_unix_ms / 1000;
    const std::int64_t days = left_s / 86'400;
    return left_s < 0 ? fmt::format("the coordinator's {} ended on {}", what, DateText(until_s))
                      : fmt::format("the coordinator's {} ends in {} day{}", what, days,
                                    days == 1 ? "" : "s");
  };
  const auto soon = [&](std::int64_t until_s, int days) {
    return until_s > 0 && until_s - now_unix_ms / 1000 < std::int64_t{86'400} * days;
  };
  std::vector<std::string> told;
  if (soon(server_until_s, kExpiryWarningDays) && server_until_s != authority_until_s) {
    told.push_back(ends("certificate", server_until_s) +
                   "; it should have renewed it by itself: its operator finds why in its log");
  }
  if (soon(authority_until_s, kAuthorityWarningDays)) {
    told.push_back(ends("authority", authority_until_s) +
                   ", and every certificate with it; its operator must make a new one, and every "
                   "member enrols anew");
  }
  return told;
}

}  // namespace

std::string CoordinatorText(std::int64_t server_until_s, std::int64_t authority_until_s,
                            std::int64_t now_unix_ms) {
  if (server_until_s <= 0 && authority_until_s <= 0) return "";
  const auto date = [](std::int64_t until_s) { return until_s > 0 ? DateText(until_s) : "-"; };
  std::string text = fmt::format(
      "The coordinator's certificate is good until {}, its authority "
      "until {}.\n",
      date(server_until_s), date(authority_until_s));
  for (const auto& one : CoordinatorWarnings(server_until_s, authority_until_s, now_unix_ms))
    text += "! " + one + "\n";
  return text;
}

std::string CoordinatorJson(std::int64_t server_until_s, std::int64_t authority_until_s,
                            std::int64_t now_unix_ms) {
  return Dump(
      Json{{"event", "coordinator"},
           {"certificate_until_unix_s", server_until_s},
           {"authority_until_unix_s", authority_until_s},
           {"warnings", CoordinatorWarnings(server_until_s, authority_until_s, now_unix_ms)}});
}

// ---- studies ------------------------------------------------------------------------------------

std::string StudyTable(const std::vector<v1::StudyLine>& studies) {
  std::vector<const v1::StudyLine*> sorted;
  for (const v1::StudyLine& study : studies) sorted.push_back(&study);
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    return a->submitted_unix_ms() > b->submitted_unix_ms();
  });
  std::vector<std::vector<std::string>> rows = {
      {"ID", "NAME", "LEAD", "SUBMITTED (UTC)", "ENDED (UTC)", "ROUNDS", "STATE"}};
  for (const v1::StudyLine* study : sorted) {
    rows.push_back({ShortId(study->study()), OneLine(study->name()), OneLine(study->lead()),
                    MinuteText(study->submitted_unix_ms()), MinuteText(study->ended_unix_ms()),
                    std::to_string(study->rounds()), StateText(*study)});
  }
  return Table(rows);
}

std::string StudyJson(const v1::StudyLine& study) { return Dump(LineJson(study, "study")); }

bool HasEnded(const v1::StudyLine& study) {
  return study.state() == "finished" || study.state() == "failed" || study.state() == "cancelled";
}

Result<v1::StudyLine> FindStudy(const std::vector<v1::StudyLine>& studies, std::string_view text) {
  std::string digits(text);
  std::transform(digits.begin(), digits.end(), digits.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool is_hex =
      !digits.empty() && digits.find_first_not_of("0123456789abcdef") == std::string::npos;
  std::vector<const v1::StudyLine*> meant;
  bool too_short = false;
  std::vector<std::string> names;
  for (const v1::StudyLine& study : studies) {
    const bool begins = is_hex && HexOf(study.study()).starts_with(digits);
    too_short = too_short || (begins && digits.size() < kIdDigitsMin);
    if (study.name() == text || (begins && digits.size() >= kIdDigitsMin)) meant.push_back(&study);
    names.push_back(study.name());
  }
  if (meant.size() == 1) return *meant.front();
  if (meant.size() > 1) {
    std::vector<v1::StudyLine> list;
    for (const v1::StudyLine* study : meant) list.push_back(*study);
    return Fail(ErrorCode::kAlreadyExists,
                fmt::format("study '{}': {} studies are called so or begin so; name one by its "
                            "digits:\n{}",
                            OneLine(text), meant.size(), StudyTable(list)));
  }
  if (too_short) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("study '{}': give its name, or at least {} digits of its id (consilium "
                            "study list)",
                            OneLine(text), kIdDigitsMin));
  }
  return Fail(ErrorCode::kNotFound,
              fmt::format("study '{}': this coordinator has none with this name or id{}; see "
                          "consilium study list",
                          OneLine(text), Shown(DidYouMean(text, names))));
}

std::string StudyText(const v1::StudyStatus& status, std::int64_t now_unix_ms) {
  const v1::StudyLine& line = status.line();
  std::string text = fmt::format("{}\n", OneLine(line.name()));
  const auto add = [&](std::string_view name, std::string_view value) {
    text += fmt::format("  {:<10} {}\n", name, value);
  };
  add("id", HexOf(line.study()));
  add("state", StateText(line));
  add("lead", OneLine(line.lead()));
  add("submitted", MinuteText(line.submitted_unix_ms()) + " UTC");
  if (status.started_unix_ms() > 0) add("started", MinuteText(status.started_unix_ms()) + " UTC");
  if (line.ended_unix_ms() > 0) add("ended", MinuteText(line.ended_unix_ms()) + " UTC");
  if (status.attempt() > 0) {
    add("attempt",
        fmt::format("{}: it started over without sites that left", status.attempt() + 1));
  }
  if (HasEnded(line)) {
    add("rounds", std::to_string(line.rounds()));
  } else if (status.started_unix_ms() > 0) {
    add("progress", ProgressText(status, now_unix_ms));
  }
  if (status.sites_size() > 0) text += "sites\n";
  std::vector<std::vector<std::string>> rows;
  for (const auto& site : status.sites())
    rows.push_back({"  " + OneLine(site.site()), OneLine(site.state()), OneLine(site.sentence())});
  text += Table(rows);
  if (status.waits_size() > 0) text += "waits\n";
  for (const auto& wait : status.waits()) text += "  " + WaitText(wait) + "\n";
  return text;
}

std::string StudyStatusJson(const v1::StudyStatus& status, std::string_view event) {
  Json json = LineJson(status.line(), event);
  json["attempt"] = status.attempt();
  json["round"] = status.round();
  json["doing"] = status.doing();
  json["queries"] = status.queries();
  json["fits"] = status.fits();
  json["bytes_up"] = status.bytes_up();
  json["started_unix_ms"] = status.started_unix_ms();
  json["sites"] = Json::array();
  for (const auto& site : status.sites()) {
    json["sites"].push_back(
        Json{{"site", site.site()}, {"state", site.state()}, {"sentence", site.sentence()}});
  }
  json["waits"] = Json::array();
  for (const auto& wait : status.waits()) {
    Json one{{"owner", wait.owner()}, {"reason", wait.reason()}, {"waited_ms", wait.waited_ms()}};
    one["seen_ms_ago"] = wait.seen_ms_ago() < 0 ? Json() : Json(wait.seen_ms_ago());
    one["left_ms"] = wait.left_ms() < 0 ? Json() : Json(wait.left_ms());
    one["then"] = wait.then();
    json["waits"].push_back(std::move(one));
  }
  return Dump(json);
}

// ---- watching -----------------------------------------------------------------------------------

std::string WaitText(const v1::WaitLine& wait) {
  std::string text =
      fmt::format("waiting for {}: {}", OneLine(wait.owner()), OneLine(wait.reason()));
  const bool is_site = wait.owner() != "coordinator disk";
  if (wait.seen_ms_ago() >= 0) {
    text += ", seen " + AgoText(wait.seen_ms_ago());
  } else if (is_site) {
    text += ", not seen yet";
  }
  if (wait.left_ms() >= 0) {
    text += fmt::format(", {} left", CountdownText(wait.left_ms()));
  } else if (is_site) {
    text += ", without a time limit";
  }
  // "nothing: the contract says wait" is no event that follows.
  constexpr std::string_view kNothing = "nothing: ";
  const std::string then = OneLine(wait.then());
  if (then.starts_with(kNothing)) return text + ": " + then.substr(kNothing.size());
  return then.empty() ? text : text + ", then " + then;
}

std::string ProgressText(const v1::StudyStatus& status, std::int64_t now_unix_ms) {
  const std::int64_t elapsed = ElapsedMs(status, now_unix_ms);
  std::string text = fmt::format(
      "round {:>3}  {:<26} {:>4} fits  {:>8} sent per hospital  {} elapsed", status.round() + 1,
      OneLine(status.doing()), status.fits(), Megabytes(status.bytes_up()), CountdownText(elapsed));
  if (status.attempt() == 0) {
    const double share = ProgressShare(status.round(), kTypicalLambdaCount);
    // A coordinator may say that a study began in any millennium.
    constexpr double kLongestMs = 1e15;
    const double left = std::min(static_cast<double>(elapsed) * (1 - share) / share, kLongestMs);
    text += fmt::format(", about {} left", CountdownText(static_cast<std::int64_t>(left)));
  }
  return text;
}

std::string WatchBlock(const v1::StudyStatus& status, const WatchView& view) {
  constexpr int kBar = 20;
  const v1::StudyLine& line = status.line();
  const std::size_t columns = std::max<std::size_t>(view.columns, 20);
  std::string text =
      Cut(fmt::format("{}  {}  {}{}", OneLine(line.name()), ShortId(line.study()), StateText(line),
                      status.attempt() == 0 ? std::string()
                                            : fmt::format("  attempt {}", status.attempt() + 1)),
          columns) +
      "\n";
  std::size_t used = 1;
  if (IsRunning(status)) {
    // Colours have no width: the bar is coloured after the line is cut.
    const std::string bar = Bar(ProgressShare(status.round(), kTypicalLambdaCount), kBar);
    const std::string rest = Cut(ProgressText(status, view.now_unix_ms),
                                 columns - std::min<std::size_t>(columns, kBar + 1));
    text += view.colours ? "\033[36m" + bar + "\033[0m" : bar;
    text += rest.empty() ? "\n" : " " + rest + "\n";
    ++used;
  }
  const std::vector<std::string> details = Details(status);
  // One row stays for the cursor.
  const std::size_t room = view.rows > used + 2 ? view.rows - used - 1 : 1;
  const std::size_t shown = details.size() <= room ? details.size() : room - 1;
  for (std::size_t i = 0; i < shown; ++i) text += Cut("  " + details[i], columns) + "\n";
  if (shown < details.size())
    text += Cut(fmt::format("  and {} more", details.size() - shown), columns) + "\n";
  return text;
}

std::string WatchLine(const v1::StudyStatus& status, std::int64_t now_unix_ms) {
  constexpr std::size_t kDetails = 3;
  std::string text = fmt::format("{} {}", OneLine(status.line().name()), StateText(status.line()));
  if (IsRunning(status)) {
    if (status.attempt() > 0) text += fmt::format(", attempt {}", status.attempt() + 1);
    text += fmt::format(", round {}", status.round() + 1);
    if (!status.doing().empty()) text += ", " + OneLine(status.doing());
    text += fmt::format(", {} sent per hospital, {} elapsed", Megabytes(status.bytes_up()),
                        CountdownText(ElapsedMs(status, now_unix_ms)));
  }
  const std::vector<std::string> details = Details(status);
  for (std::size_t i = 0; i < std::min(details.size(), kDetails); ++i) text += "; " + details[i];
  if (details.size() > kDetails) text += fmt::format("; and {} more", details.size() - kDetails);
  return text;
}

bool ChangeFilter::IsNews(const v1::StudyStatus& status, std::int64_t now_ms) {
  std::string large =
      fmt::format("{}\n{}\n{}\n", status.line().state(), status.line().why(), status.attempt());
  std::string small = fmt::format("{}\n{}\n", status.round(), status.doing());
  for (const auto& site : status.sites()) {
    large += site.site() + " " + site.state() + "\n";
    if (!IsRunning(status)) small += site.sentence() + "\n";
  }
  for (const auto& wait : status.waits())
    small += fmt::format("{}: {}: {}\n", wait.owner(), wait.reason(), wait.then());
  const bool news = large != large_ || (small != small_ && now_ms - told_ms_ >= round_ms_);
  if (!news) return false;
  large_ = std::move(large);
  small_ = std::move(small);
  told_ms_ = now_ms;
  return true;
}

}  // namespace consilium::console
