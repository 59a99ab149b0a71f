// consilium study submit|list|show|watch|cancel.
#include <consilium/v1/consilium.pb.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/strict_yaml.h"
#include "console/files.h"
#include "console/load.h"
#include "console/pins.h"
#include "console/render.h"
#include "console/summary.h"
#include "console/verbs.h"
#include "program/program.h"
#include "study/submission.h"

namespace consilium::console {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uintmax_t kPinsFileBytesMax = 1 << 20;

struct Arguments {
  std::string study_file, id, reason, pins_file;
  std::vector<std::string> pins;
  bool yes = false;
};

int Told(const Session& session, const Error& error) {
  return session.screen.Report(error, CodeOfCall(error));
}

// ---- submit -------------------------------------------------------------------------------------

Result<Pins> ReadPins(const Arguments& arguments, const std::vector<std::string>& sites) {
  Pins pins;
  if (!arguments.pins_file.empty()) {
    const auto text = ReadFile(arguments.pins_file, kPinsFileBytesMax);
    CONSILIUM_TRY(text);
    CONSILIUM_TRY(AddPinsFile(arguments.pins_file, *text, pins));
  }
  for (const std::string& pin : arguments.pins) {
    Pins one;
    CONSILIUM_TRY(AddPin("--pin", pin, one));
    // A consortium's file may name every hospital; what is typed is meant for this study.
    if (std::find(sites.begin(), sites.end(), one.begin()->first) == sites.end()) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("--pin: the study has no site {}{}; it names {}", one.begin()->first,
                              DidYouMean(one.begin()->first, sites), fmt::join(sites, ", ")));
    }
    CONSILIUM_TRY(AddPin("--pin", pin, pins));
  }
  return pins;
}

// The study's sites with the keys that the coordinator shows. All problems are told at once.
Result<federation::Roster> RosterOf(const std::vector<std::string>& sites,
                                    const std::vector<wire::Member>& members) {
  federation::Roster roster;
  Problems problems;
  std::vector<std::string> names;
  for (const wire::Member& member : members) {
    if (member.role == "site") names.push_back(member.name);
  }
  for (const std::string& site : sites) {
    const auto found =
        std::find_if(members.begin(), members.end(),
                     [&](const wire::Member& member) { return member.name == site; });
    if (found == members.end()) {
      problems.push_back(
          fmt::format("site {} is not enrolled there{}; a token for it: consilium site invite {}",
                      site, Shown(DidYouMean(site, names)), site));
    } else if (found->role != "site" || !found->agreement_key) {
      problems.push_back(
          fmt::format("{} is enrolled there as {}, not as a site", site, Shown(found->role)));
    } else if (found->state != "active") {
      problems.push_back(
          fmt::format("site {} is {} there; to let it in again: consilium site invite {}", site,
                      Shown(found->state), site));
    } else {
      roster[site] = {found->signing_key, *found->agreement_key};
    }
  }
  if (problems.empty()) return roster;
  return tl::unexpected<Error>(Combine(problems, ErrorCode::kFailedPrecondition));
}

// Which sites' keys somebody has compared. Errors: CheckPin's, of all sites together.
Result<std::set<std::string>> CheckPins(const std::vector<std::string>& sites,
                                        const std::map<std::string, Digest>& fingerprints,
                                        const Pins& pins) {
  std::set<std::string> compared;
  Problems problems;
  for (const std::string& site : sites) {
    const auto pin = pins.find(site);
    if (pin == pins.end()) continue;
    if (const auto same = CheckPin(site, pin->second, fingerprints.at(site)); same) {
      compared.insert(site);
    } else {
      problems.push_back(same.error().message);
    }
  }
  if (problems.empty()) return compared;
  return tl::unexpected<Error>(Combine(problems, ErrorCode::kPermissionDenied));
}

bool Asked(std::string_view question) {
  fmt::print(stderr, "{} [y/N] ", question);
  std::fflush(stderr);
  std::string answer;
  return std::getline(std::cin, answer) && (answer == "y" || answer == "Y" || answer == "yes");
}

int Submit(const Session& session, const Arguments& arguments) {
  const Screen& screen = session.screen;
  const auto loaded = Load(arguments.study_file, {}, ".");
  if (!loaded) return screen.Report(loaded.error());
  const study::Study& study = loaded->study;
  const auto pins = ReadPins(arguments, study.sites);
  if (!pins) return screen.Report(pins.error());
  if (!arguments.yes && (screen.json || ::isatty(STDIN_FILENO) == 0)) {
    return screen.Report(
        {ErrorCode::kInvalidArgument,
         "study submit: nobody is here to be asked, so nothing was submitted; give "
         "--yes"},
        kUsage);
  }
  auto remote = OpenRemote(session, "study submit");
  if (!remote) return screen.Report(remote.error());
  const std::string coordinator = Shown(remote->enrolment().stored.coordinator);
  const auto found = remote->ListMembers();
  if (!found) return Told(session, found.error());
  const std::vector<wire::Member>& members = found->members;
  const auto roster = RosterOf(study.sites, members);
  if (!roster) {
    return screen.Report(Within(
        fmt::format("{}: coordinator {}", arguments.study_file, coordinator), roster.error()));
  }
  std::map<std::string, Digest> fingerprints;
  for (const wire::Member& member : members) fingerprints[member.name] = MemberFingerprint(member);
  const auto compared = CheckPins(study.sites, fingerprints, *pins);
  if (!compared) {
    return screen.Report(Within(fmt::format("coordinator {}", coordinator), compared.error()));
  }
  const bool all_compared = compared->size() == study.sites.size();
  if (!screen.json) {
    fmt::print("{}: {}\n", study.name, study.title.empty() ? "in order" : study.title);
    for (const std::string& site : study.sites) {
      fmt::print("  {:<20} {}{}\n", site, Hex(fingerprints.at(site)),
                 compared->contains(site) ? "  as pinned" : "");
    }
    if (!all_compared) {
      fmt::print(
          "The coordinator says that these are the sites' keys. Compare each with what "
          "`consilium-site enroll` printed there, by telephone: a key that is not the "
          "site's would let its owner in among the sums. (--pin SITE=FINGERPRINT or --pins "
          "FILE does it from then on.)\n");
    }
    std::fflush(stdout);
  }
  if (!arguments.yes && !Asked(fmt::format("Sign the study as {} and submit it to {}?",
                                           remote->enrolment().stored.site, coordinator))) {
    fmt::print("Nothing was submitted.\n");
    return kStudyRefused;
  }
  const study::Submission submission = study::SignSubmission(
      loaded->text, *roster, remote->enrolment().stored.site, remote->keys().signing);
  const auto submitted = remote->Submit(study::EncodeSubmission(submission));
  if (!submitted) return Told(session, submitted.error());
  const Digest id = study::DigestOf(submission);
  if (submitted->study != id) {
    return screen.Report({ErrorCode::kDataLoss,
                          fmt::format("coordinator {}: consilium study submit: it names another "
                                      "study, {}, than the one that was signed, {}; cancel it and "
                                      "ask its operator",
                                      coordinator, Hex(submitted->study), Hex(id))});
  }
  if (screen.json) {
    Json json{{"event", "submitted"},
              {"study", Hex(id)},
              {"name", study.name},
              {"already", submitted->already},
              {"sites", Json::array()}};
    for (const std::string& site : study.sites) {
      json["sites"].push_back(Json{{"site", site},
                                   {"key", Hex(fingerprints.at(site))},
                                   {"pinned", compared->contains(site)}});
    }
    std::cout << json.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
    return kOk;
  }
  fmt::print("{}: {}\n{} Follow it with:\n  consilium study watch {}\n",
             submitted->already ? "It was there already" : "Submitted", Hex(id),
             submitted->already ? "Nothing was changed."
                                : "Each site approves it now (consilium-site studies, approve).",
             Hex(id).substr(0, 12));
  return kOk;
}

// ---- list, show, cancel -------------------------------------------------------------------------

int List(const Session& session) {
  auto remote = OpenRemote(session, "study list");
  if (!remote) return session.screen.Report(remote.error());
  const auto studies = remote->ListStudies();
  if (!studies) return Told(session, studies.error());
  if (session.screen.json) {
    for (const v1::StudyLine& study : *studies) std::cout << StudyJson(study) << "\n";
  } else if (studies->empty()) {
    fmt::print("No study was submitted to {} yet: consilium study submit STUDY.yaml\n",
               Shown(remote->enrolment().stored.coordinator));
  } else {
    std::cout << StudyTable(*studies);
  }
  return kOk;
}

int Show(const Session& session, const Arguments& arguments) {
  auto remote = OpenRemote(session, "study show");
  if (!remote) return session.screen.Report(remote.error());
  const auto found = remote->FindStudy(arguments.id);
  if (!found) return Told(session, found.error());
  v1::StudyStatus status;
  const auto seen = remote->Watch(IdOf(*found), [&](const v1::StudyStatus& one) {
    status = one;
    return false;
  });
  if (!seen) return Told(session, seen.error());
  if (!status.has_line()) *status.mutable_line() = *found;
  std::cout << (session.screen.json ? StudyStatusJson(status, "status") + "\n"
                                    : StudyText(status, program::UnixMs()));
  const std::string& operated_by = remote->enrolment().stored.operated_by;
  if (!session.screen.json && !operated_by.empty() && status.line().lead() == operated_by)
    std::cout << "the lead also operates the coordinator, by its own word\n";
  return kOk;
}

int Cancel(const Session& session, const Arguments& arguments) {
  auto remote = OpenRemote(session, "study cancel");
  if (!remote) return session.screen.Report(remote.error());
  const auto found = remote->FindStudy(arguments.id);
  if (!found) return Told(session, found.error());
  if (HasEnded(*found)) {
    return session.screen.Report(
        {ErrorCode::kFailedPrecondition,
         fmt::format("study {} ({}) cannot be cancelled: it is {}", Shown(found->name()),
                     ShortId(found->study()), Shown(found->state()))});
  }
  const auto cancelled = remote->Cancel(IdOf(*found), arguments.reason);
  if (!cancelled) return Told(session, cancelled.error());
  if (session.screen.json) {
    std::cout << Json{{"event", "cancelled"}, {"study", Hex(IdOf(*found))}}.dump() << "\n";
  } else {
    fmt::print("{} ({}) is cancelled; the sites are told, and its log stays.\n",
               Shown(found->name()), ShortId(found->study()));
  }
  return kOk;
}

// ---- watch --------------------------------------------------------------------------------------

std::int64_t NowMonotonicMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Where a watched study is told: a block that is drawn over, lines, or JSON.
class WatchScreen {
 public:
  explicit WatchScreen(const Screen& screen) : screen_(screen) {}

  void Show(const v1::StudyStatus& status) {
    // After "connection lost" the first word is news, also if nothing has changed.
    if (std::exchange(broken_, false)) filter_ = ChangeFilter();
    if (!screen_.json && screen_.terminal) {
      Draw(WatchBlock(status, View()));
      return;
    }
    if (!filter_.IsNews(status, NowMonotonicMs())) return;
    if (screen_.json) {
      std::cout << StudyStatusJson(status, "status") << "\n" << std::flush;
    } else {
      fmt::print(stderr, "{}\n", WatchLine(status, program::UnixMs()));
    }
  }
  // Once for each time that the connection is lost.
  void Broke(const Error& error) {
    if (std::exchange(broken_, true)) return;
    if (screen_.json) {
      std::cout << Json{{"event", "disconnected"}, {"message", error.message}}.dump(
                       -1, ' ', false, Json::error_handler_t::replace)
                << "\n"
                << std::flush;
      return;
    }
    Clear();
    fmt::print(stderr,
               "{}\nTrying again until the study ends; the study goes on without this "
               "watcher (Ctrl-C ends watching only).\n",
               error.message);
  }
  void Clear() {
    if (drawn_ > 0) fmt::print(stderr, "\033[{}A\r\033[J", drawn_);
    drawn_ = 0;
    std::fflush(stderr);
  }

 private:
  void Draw(const std::string& block) {
    std::string text = drawn_ > 0 ? fmt::format("\033[{}A\r\033[J", drawn_) : std::string();
    text += block;
    std::fwrite(text.data(), 1, text.size(), stderr);  // at once, so that it does not flicker
    std::fflush(stderr);
    drawn_ = std::count(block.begin(), block.end(), '\n');
  }
  static WatchView View() {
    WatchView view;
    view.now_unix_ms = program::UnixMs();
    view.colours = true;
    winsize size{};
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
      view.columns = size.ws_col;
      view.rows = size.ws_row;
    }
    return view;
  }
  const Screen& screen_;
  ChangeFilter filter_;
  bool broken_ = false;
  std::ptrdiff_t drawn_ = 0;
};

// Between attempts to reach a coordinator that was lost.
class Pauses {
 public:
  void Reset() { next_ms_ = kFirstMs; }
  void Wait() {
    std::this_thread::sleep_for(std::chrono::milliseconds(next_ms_));
    next_ms_ = std::min(2 * next_ms_, kMostMs);
  }

 private:
  static constexpr std::int64_t kFirstMs = 250, kMostMs = 10'000;
  std::int64_t next_ms_ = kFirstMs;
};

// The verdict of a study that finished, from its report; a coordinator that is lost meanwhile is
// waited for.
Result<ReportSummary> VerdictOf(Remote& remote, const Digest& study, WatchScreen& screen) {
  for (Pauses pauses;;) {
    const auto report = remote.FetchReportJson(study);
    if (report) return Summarize(*report);
    if (report.error().code != ErrorCode::kUnavailable)
      return tl::unexpected<Error>(report.error());
    screen.Broke(report.error());
    pauses.Wait();
  }
}

int Ended(const Session& session, Remote& remote, const Digest& study, const v1::StudyLine& line,
          WatchScreen& screen) {
  const bool finished = line.state() == "finished";
  const int code = finished ? kOk : kStudyRefused;
  std::string word, sentence;
  if (finished) {
    if (const auto verdict = VerdictOf(remote, study, screen); verdict) {
      word = verdict->word;
      sentence = verdict->sentence;
    } else {
      session.screen.Note(verdict.error().message);
    }
  }
  if (session.screen.json) {
    Json json{{"event", "ended"},
              {"study", Hex(study)},
              {"state", line.state()},
              {"why", line.why()},
              {"rounds", line.rounds()}};
    if (!word.empty()) json["verdict"] = word;
    std::cout << json.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
    return code;
  }
  const std::string id = ShortId(line.study());
  // The reason of a study that finished is its verdict, which follows.
  const bool why = !line.why().empty() && word.empty();
  fmt::print("{} {} after {} rounds{}{}\n", Shown(line.name()), Shown(line.state()), line.rounds(),
             why ? ": " : "", why ? Shown(line.why()) : "");
  if (!word.empty()) fmt::print("\n{}\n{}\n\n", word, sentence);
  fmt::print("{}\n", finished ? "The report: consilium report " + id
                              : "Its log: consilium audit fetch " + id + " --out DIR");
  return code;
}

int Watch(const Session& session, const Arguments& arguments) {
  auto remote = OpenRemote(session, "study watch");
  if (!remote) return session.screen.Report(remote.error());
  const auto found = remote->FindStudy(arguments.id);
  if (!found) return Told(session, found.error());
  WatchScreen screen(session.screen);
  v1::StudyLine line = *found;
  for (Pauses pauses;;) {
    const auto watched = remote->Watch(IdOf(*found), [&](const v1::StudyStatus& status) {
      line = status.line();
      screen.Show(status);
      pauses.Reset();
      return !HasEnded(line);
    });
    if (HasEnded(line)) break;
    if (!watched && watched.error().code != ErrorCode::kUnavailable) {
      screen.Clear();
      return Told(session, watched.error());
    }
    // Also a stream that ended in peace before its study did: the coordinator was stopped.
    screen.Broke(watched ? Error{ErrorCode::kUnavailable, "The coordinator closed the connection."}
                         : watched.error());
    pauses.Wait();
  }
  screen.Clear();
  return Ended(session, *remote, IdOf(*found), line, screen);
}

}  // namespace

void AddStudyVerbs(CLI::App& study, Session& session) {
  const auto arguments = std::make_shared<Arguments>();
  const auto add_id = [&](CLI::App* verb) {
    verb->add_option("ID", arguments->id, "Its name, or 4 or more digits of its id")->required();
  };
  auto* submit = study.add_subcommand(
      "submit", "Sign a study and submit it, for every site to approve (lead)");
  submit->add_option("STUDY", arguments->study_file, "The study file")->required();
  submit
      ->add_option("--pin", arguments->pins,
                   "SITE=FINGERPRINT, as the site read it to you; refused if it is another")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  submit->add_option("--pins", arguments->pins_file, "A file of such lines");
  submit->add_flag("--yes", arguments->yes, "Do not ask");
  submit->callback([&session, arguments] { session.code = Submit(session, *arguments); });
  study.add_subcommand("list", "Every study of the coordinator, newest first")
      ->callback([&session] { session.code = List(session); });
  auto* show = study.add_subcommand("show", "One study: its sites, and who is waited for");
  add_id(show);
  show->callback([&session, arguments] { session.code = Show(session, *arguments); });
  auto* watch = study.add_subcommand(
      "watch", "Follow a study until it ends; exit code 0 if it finished, 1 if not");
  add_id(watch);
  watch->callback([&session, arguments] { session.code = Watch(session, *arguments); });
  auto* cancel = study.add_subcommand("cancel", "End a study for good (lead)");
  add_id(cancel);
  cancel->add_option("--reason", arguments->reason, "Told to every site")->required();
  cancel->callback([&session, arguments] { session.code = Cancel(session, *arguments); });
}

}  // namespace consilium::console
