#include "simulation/faulty_federation.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "federation/fixed_point.h"
#include "federation/round.h"
#include "federation/site_rounds.h"

namespace consilium::simulation {
namespace {

using federation::Action;
using federation::Binding;
using federation::BlockLayout;
using federation::Receipt;
using federation::Roster;
using federation::Round;
using federation::SiteRounds;

constexpr std::string_view kCoordinator = "coordinator";
constexpr std::int64_t kTickMs = 1'000;
constexpr std::int64_t kHelloMs = 3'000;
constexpr std::int64_t kRemindMs = 4'000;

const std::vector<BlockLayout>& Layout() {
  static const std::vector<BlockLayout> kLayout = {
      {"gradient", 3, 1, {64, 38}}, {"counts", 1, 3, {32, 0}}, {"moments", 1, 1, {128, 70}}};
  return kLayout;
}

std::string SiteName(int index) { return fmt::format("S{}", index); }

Digest StudyDigest() { return Sha256("the simulated study"); }

// Stands for the coordinator half: the next query from the roster and the totals so far.
Digest QueryAfter(const std::set<std::string>& roster, const std::vector<Bytes>& totals) {
  ByteWriter writer;
  writer.U64(totals.size());
  for (const std::string& site : roster) writer.Text(site);
  for (const Bytes& total : totals) writer.Blob(total);
  return Sha256(writer.bytes());
}

// Stands for the site half: small values that depend on the site and the query only.
Bytes PlainWords(const std::string& site, const Digest& query, int site_count) {
  std::uint64_t seed = 0;
  for (int i = 0; i < 8; ++i) seed = seed << 8 | query.bytes[static_cast<std::size_t>(i)];
  Rng rng(seed, site);
  federation::Answer answer;
  for (const BlockLayout& block : Layout()) {
    Eigen::MatrixXd values(block.rows, block.cols);
    for (Eigen::Index i = 0; i < values.size(); ++i) values.data()[i] = 200 * rng.Uniform() - 100;
    answer.blocks.push_back({block.name, std::move(values)});
  }
  const auto words = federation::EncodeWords(answer, Layout(), site_count);
  CONSILIUM_CHECK(words.has_value(), "values below 100 fit");
  return *words;
}

// What a lying site adds to its answer.
Bytes LiesDelta() {
  Bytes delta = federation::ZeroWords(Layout());
  delta[0] = 1;
  delta[30] = 7;
  return delta;
}

enum class Kind : std::uint8_t { kAsk = 1, kAnswer, kAck, kReject, kTotal, kHello };

struct Message {
  Kind kind = Kind::kHello;
  Binding binding;                                 // kAsk, kTotal
  std::set<std::string> sites;                     // kAsk
  Receipt receipt;                                 // kAnswer
  Bytes words;                                     // kAnswer, kTotal
  std::map<std::string, federation::SumTag> tags;  // kTotal: of the receipts, by site
  std::string reason;                              // kReject
  std::uint32_t attempt = 0;                       // kHello: where the site stands
  std::uint64_t next_round = 0;                    // kHello
};

// Behind all but answers stands a digest: what TLS does for a real connection. Answers go without,
// on purpose: their receipt must notice a byte that was changed on the way.
Bytes Encode(const Message& message) {
  ByteWriter writer;
  writer.U8(static_cast<std::uint8_t>(message.kind));
  switch (message.kind) {
    case Kind::kAsk:
      federation::Encode(message.binding, writer);
      writer.U32(static_cast<std::uint32_t>(message.sites.size()));
      for (const std::string& site : message.sites) writer.Text(site);
      break;
    case Kind::kAnswer:
      federation::Encode(message.receipt, writer);
      writer.Blob(message.words);
      break;
    case Kind::kTotal:
      federation::Encode(message.binding, writer);
      writer.Blob(message.words);
      writer.U32(static_cast<std::uint32_t>(message.tags.size()));
      for (const auto& [site, tag] : message.tags) {
        writer.Text(site);
        writer.Raw(tag);
      }
      break;
    case Kind::kHello:
      writer.U32(message.attempt);
      writer.U64(message.next_round);
      break;
    case Kind::kReject:
      writer.Text(message.reason);
      break;
    case Kind::kAck:
      break;
  }
  if (message.kind == Kind::kAnswer) return writer.Take();
  ByteWriter sealed;
  sealed.Raw(writer.bytes());
  sealed.Raw(Sha256(writer.bytes()).bytes);
  return sealed.Take();
}

std::optional<Message> Decode(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return std::nullopt;
  if (bytes[0] != static_cast<std::uint8_t>(Kind::kAnswer)) {
    if (bytes.size() < 33) return std::nullopt;
    const auto body = bytes.first(bytes.size() - 32);
    const Digest seal = Sha256(body);
    if (!std::equal(seal.bytes.begin(), seal.bytes.end(), bytes.end() - 32)) return std::nullopt;
    bytes = body;
  }
  ByteReader reader(bytes);
  Message message;
  message.kind = static_cast<Kind>(reader.U8());
  const auto read_words = [&] {
    const auto words = reader.Blob(1 << 20);
    message.words.assign(words.begin(), words.end());
  };
  switch (message.kind) {
    case Kind::kAsk: {
      message.binding = federation::DecodeBinding(reader);
      const std::uint32_t count = std::min<std::uint32_t>(reader.U32(), KeyRing::kSitesMax + 1);
      for (std::uint32_t i = 0; i < count; ++i) {
        message.sites.insert(reader.Text(federation::kSiteNameBytesMax));
      }
      break;
    }
    case Kind::kAnswer:
      message.receipt = federation::DecodeReceipt(reader);
      read_words();
      break;
    case Kind::kTotal: {
      message.binding = federation::DecodeBinding(reader);
      read_words();
      const std::uint32_t count = std::min<std::uint32_t>(reader.U32(), KeyRing::kSitesMax + 1);
      for (std::uint32_t i = 0; i < count; ++i) {
        federation::SumTag& tag = message.tags[reader.Text(federation::kSiteNameBytesMax)];
        const auto raw = reader.Raw(tag.size());
        if (raw.size() == tag.size()) std::copy(raw.begin(), raw.end(), tag.begin());
      }
      break;
    }
    case Kind::kHello:
      message.attempt = reader.U32();
      message.next_round = reader.U64();
      break;
    case Kind::kReject:
      message.reason = reader.Text(4096);
      break;
    case Kind::kAck:
      break;
    default:
      return std::nullopt;
  }
  if (!reader.Finish("message")) return std::nullopt;
  return message;
}

// One run. Processes are structs whose `log` survives a crash and whose other members do not.
class Federation {
 public:
  Federation(const Scenario& scenario, std::uint64_t seed, const KeyRing& keys)
      : scenario_(scenario), keys_(keys), rng_(seed, "faults"), network_(scenario.network, rng_) {
    for (int i = 0; i < scenario.site_count; ++i) all_.insert(SiteName(i));
  }

  FederationReport Run();

 private:
  struct CoordinatorEntry {  // a total, or the end of an attempt
    bool is_total = true;
    Binding binding;
    std::set<std::string> roster;
    std::map<std::string, Receipt> receipts;
    Bytes total;
    std::set<std::string> survivors;
    std::string why;
  };
  struct SiteEntry {  // an answer, or a total
    bool is_total = false;
    federation::Asked asked;
    Receipt receipt;
    Bytes words;
  };
  // A process: up or down, and the write that its disk has not finished.
  struct Process {
    bool up = true;
    bool gone = false;
    std::uint64_t epoch = 0;
    std::function<void()> persist;  // what the disk will hold; empty: it is idle
  };
  struct Coordinator : Process {
    std::vector<CoordinatorEntry> log;
    std::set<std::string> left;  // withdrawals that people entered: durable
    std::optional<Round> round;
    Binding binding;
    std::set<std::string> roster;
    std::map<std::string, Bytes> words;
    std::int64_t clock_offset_ms = 0;
    bool stopped = false;
  };
  struct Site : Process {
    std::string name;
    std::vector<SiteEntry> log;
    std::optional<SiteRounds> rounds;
  };

  void After(std::int64_t delay_ms, std::function<void()> what) {
    local_.emplace(std::pair(now_ms_ + delay_ms, scheduled_++), std::move(what));
  }
  void Note(std::string_view what) { trace_.Text(fmt::format("{} {}", now_ms_, what)); }
  void Violate(std::string what) { report_.violations.push_back(std::move(what)); }
  void Send(std::string_view from, std::string_view to, const Message& message) {
    ++report_.messages;
    network_.Send(now_ms_, std::string(from), std::string(to), Encode(message));
  }
  std::int64_t Below(std::int64_t bound) {
    return static_cast<std::int64_t>(rng_.Below(static_cast<std::uint64_t>(bound)));
  }

  // Writes durably: `persist` when the disk has it, `then` right after, unless the process crashed
  // in between; then the entry is there or not, by chance.
  template <typename P>
  void Write(P& process, std::function<void()> persist, std::function<void()> then) {
    CONSILIUM_CHECK(!process.persist, "one write at a time");
    process.persist = std::move(persist);
    After(1 + Below(scenario_.disk_ms_max), [&process, epoch = process.epoch, then] {
      if (process.epoch != epoch) return;
      const auto done = std::move(process.persist);
      process.persist = nullptr;
      done();
      then();
    });
  }
  void Crash(Process& process, std::string_view name, std::function<void()> restart);
  void ScheduleCrashes();

  void StartCoordinator();
  void OpenNextRound();
  void Feed(const federation::Event& event);
  void Carry(const Action& action);
  void CarryTotal(const federation::AppendTotal& append);
  [[nodiscard]] static Message TotalOf(const CoordinatorEntry& entry);
  void Publish();
  void CoordinatorTick();
  void ToCoordinator(const std::string& from, const Message& message);
  void TakeAnswer(const std::string& from, const Message& message);
  void AskFalsely();

  void StartSite(Site& site);
  void SiteTick(Site& site);
  void ToSite(Site& site, const Message& message);
  void Answer(Site& site, const federation::Asked& asked);
  void SendAnswer(Site& site, const SiteEntry& entry);
  [[nodiscard]] Result<void> CheckSum(const Site& site, const Message& total) const;
  std::vector<Bytes> TotalsOf(const Site& site, std::uint32_t attempt) const;

  [[nodiscard]] std::int64_t ClockMs() const { return now_ms_ + coordinator_.clock_offset_ms; }
  [[nodiscard]] Bytes ExpectedTotal(const CoordinatorEntry& entry) const;
  [[nodiscard]] bool Finished() const;
  void Conclude();

  const Scenario& scenario_;
  const KeyRing& keys_;
  Rng rng_;
  FaultyNetwork network_;
  std::map<std::pair<std::int64_t, std::uint64_t>, std::function<void()>> local_;
  std::uint64_t scheduled_ = 0;
  std::int64_t now_ms_ = 0;
  std::set<std::string> all_;
  Coordinator coordinator_;
  std::map<std::string, Site> sites_;
  std::set<Binding> honest_;  // what the honest coordinator opened
  std::map<std::pair<std::uint32_t, std::uint64_t>, Digest> published_;
  ByteWriter trace_;
  FederationReport report_;
};

void Federation::Crash(Process& process, std::string_view name, std::function<void()> restart) {
  if (!process.up || process.gone) return;
  Note(fmt::format("{} crashes", name));
  ++report_.crashes;
  process.up = false;
  ++process.epoch;
  if (process.persist && rng_.Chance(0.5)) process.persist();
  process.persist = nullptr;
  After(1 + Below(scenario_.down_ms_max), [&process, restart] {
    if (process.gone) return;
    process.up = true;
    restart();
  });
}

void Federation::ScheduleCrashes() {
  const double chance =
      scenario_.crashes_per_minute * static_cast<double>(kTickMs) / 60'000;  // a second, a process
  const double steps = scenario_.clock_steps_per_minute * static_cast<double>(kTickMs) / 60'000;
  if (rng_.Chance(chance)) Crash(coordinator_, kCoordinator, [this] { StartCoordinator(); });
  for (auto& [name, site] : sites_) {
    if (rng_.Chance(chance)) Crash(site, name, [this, &site = site] { StartSite(site); });
  }
  if (rng_.Chance(steps)) {
    ++report_.clock_steps;
    coordinator_.clock_offset_ms += Below(7'200'000) - 3'600'000;
    if (coordinator_.up) Feed(federation::ClockStepped{ClockMs()});
  }
  if (scenario_.lie == Lie::kCoordinatorAsksAnew && rng_.Chance(0.5)) AskFalsely();
  if (now_ms_ < scenario_.network.heals_ms) After(kTickMs, [this] { ScheduleCrashes(); });
}

// --- The coordinator's edge.

void Federation::StartCoordinator() {
  coordinator_.round.reset();
  OpenNextRound();
  CoordinatorTick();
}

// From the log alone: which attempt, which roster, which totals, hence which query.
void Federation::OpenNextRound() {
  std::uint32_t attempt = 0;
  std::set<std::string> roster = all_;
  std::vector<Bytes> totals;
  for (const CoordinatorEntry& entry : coordinator_.log) {
    if (entry.is_total) {
      totals.push_back(entry.total);
      continue;
    }
    ++attempt;
    roster = entry.survivors;
    totals.clear();
  }
  coordinator_.stopped = roster.empty();
  coordinator_.roster = roster;
  coordinator_.words.clear();
  coordinator_.round.reset();
  report_.attempt = attempt;
  if (coordinator_.stopped || static_cast<int>(totals.size()) == scenario_.round_count) return;
  coordinator_.binding = {StudyDigest(), totals.size(), attempt, QueryAfter(roster, totals),
                          DigestOf(keys_.RosterOf(roster))};
  honest_.insert(coordinator_.binding);
  Note(fmt::format("opens attempt {} round {}", attempt, totals.size()));
  coordinator_.round.emplace(scenario_.quorum, kRemindMs);
  federation::Opened opened;
  opened.binding = coordinator_.binding;
  opened.training = roster;
  opened.sum_bytes = federation::ByteCount(Layout());
  opened.training_count = all_.size();
  opened.now_ms = ClockMs();
  Feed(opened);
  for (const std::string& site : coordinator_.left) {
    Feed(federation::SiteLeft{site, "withdrew", ClockMs()});
  }
}

void Federation::Feed(const federation::Event& event) {
  if (!coordinator_.round) return;
  for (const Action& action : coordinator_.round->On(event)) Carry(action);
}

void Federation::Carry(const Action& action) {
  if (const auto* remind = std::get_if<federation::Remind>(&action)) {
    Message ask;
    ask.kind = Kind::kAsk;
    ask.binding = coordinator_.binding;
    ask.sites = coordinator_.roster;
    Send(kCoordinator, remind->site, ask);
  } else if (const auto* ack = std::get_if<federation::Acknowledge>(&action)) {
    Message message;
    message.kind = Kind::kAck;
    Send(kCoordinator, ack->site, message);
  } else if (const auto* reject = std::get_if<federation::Reject>(&action)) {
    report_.refusals.push_back(reject->reason);
    Message message;
    message.kind = Kind::kReject;
    message.reason = reject->reason;
    Send(kCoordinator, reject->site, message);
  } else if (const auto* append = std::get_if<federation::AppendTotal>(&action)) {
    CarryTotal(*append);
  } else if (std::holds_alternative<federation::Publish>(action)) {
    Publish();
  } else if (const auto* end = std::get_if<federation::EndAttempt>(&action)) {
    Note("ends attempt: " + end->why);
    CoordinatorEntry entry;
    entry.is_total = false;
    entry.binding = coordinator_.binding;
    entry.survivors = end->survivors;
    entry.why = end->why;
    Write(
        coordinator_, [this, entry] { coordinator_.log.push_back(entry); },
        [this] { Feed(federation::AttemptEndLogged{}); });
  } else if (const auto* restart = std::get_if<federation::Restart>(&action)) {
    // The machine that said so is replaced by the next attempt's: not from inside its own call.
    After(0, [this, attempt = restart->attempt, epoch = coordinator_.epoch] {
      if (coordinator_.epoch != epoch) return;
      OpenNextRound();
      if (report_.attempt != attempt) Violate("the log and the machine disagree about the attempt");
    });
  } else if (std::holds_alternative<federation::Stop>(action)) {
    coordinator_.stopped = true;
  }
}

void Federation::CarryTotal(const federation::AppendTotal& append) {
  if (append.summed != coordinator_.roster) Violate("a total of a part of the roster");
  CoordinatorEntry entry;
  entry.binding = coordinator_.binding;
  entry.roster = append.summed;
  entry.receipts = coordinator_.round->receipts();
  entry.total = federation::ZeroWords(Layout());
  for (const std::string& site : append.summed) {
    federation::AddWords(Layout(), coordinator_.words.at(site), entry.total);
  }
  if (scenario_.lie == Lie::kCoordinatorForges && entry.binding.round == 1) entry.total[2] ^= 1;
  Write(
      coordinator_, [this, entry] { coordinator_.log.push_back(entry); },
      [this] { Feed(federation::TotalLogged{}); });
}

Message Federation::TotalOf(const CoordinatorEntry& entry) {
  Message total;
  total.kind = Kind::kTotal;
  total.binding = entry.binding;
  total.words = entry.total;
  for (const auto& [site, receipt] : entry.receipts) total.tags[site] = receipt.tag;
  return total;
}

void Federation::Publish() {
  const Binding binding = coordinator_.binding;
  if (coordinator_.log.empty() || !coordinator_.log.back().is_total ||
      coordinator_.log.back().binding != binding) {
    Violate(fmt::format("round {} is published, but its total is not logged", binding.round));
    return;
  }
  const Digest digest = Sha256(coordinator_.log.back().total);
  Note("publishes " + Hex(digest));
  const auto [at, fresh] = published_.try_emplace({binding.attempt, binding.round}, digest);
  if (!fresh && at->second != digest) Violate("two totals for one round");
  for (const std::string& site : coordinator_.roster) {
    Message total = TotalOf(coordinator_.log.back());
    if (scenario_.lie == Lie::kCoordinatorEquivocates && binding.round == 0 && site == "S1") {
      total.words[0] ^= 1;
    }
    Send(kCoordinator, site, total);
  }
  After(0, [this, epoch = coordinator_.epoch] {
    if (coordinator_.epoch == epoch) OpenNextRound();
  });
}

void Federation::CoordinatorTick() {
  Feed(federation::Tick{ClockMs()});
  After(kTickMs, [this, epoch = coordinator_.epoch] {
    if (coordinator_.epoch == epoch) CoordinatorTick();
  });
}

void Federation::TakeAnswer(const std::string& from, const Message& message) {
  if (!coordinator_.round) return;
  const auto reject = [&](const Error& error) {
    report_.refusals.push_back(error.message);
    Message answer;
    answer.kind = Kind::kReject;
    answer.reason = error.message;
    Send(kCoordinator, from, answer);
  };
  const Receipt& receipt = message.receipt;
  if (receipt.site != from) {
    return reject({ErrorCode::kPermissionDenied,
                   fmt::format("site '{}' sent an answer in the name of another", from)});
  }
  const auto held = coordinator_.round->receipts().find(receipt.site);
  const bool known = held != coordinator_.round->receipts().end() && held->second == receipt;
  if (!known && receipt.binding == coordinator_.binding) {
    if (const auto whole = CheckWords(receipt, message.words); !whole) return reject(whole.error());
    const Roster roster = keys_.RosterOf(coordinator_.roster);
    if (const auto valid = Verify(receipt, roster, DigestOf(roster)); !valid) {
      return reject(valid.error());
    }
  }
  // The words go in before the event, since the last answer makes the total at once.
  if (held == coordinator_.round->receipts().end() && receipt.binding == coordinator_.binding) {
    coordinator_.words.insert_or_assign(receipt.site, message.words);
  }
  Feed(federation::AnswerArrived{receipt, ClockMs()});
}

void Federation::ToCoordinator(const std::string& from, const Message& message) {
  if (message.kind == Kind::kAnswer) return TakeAnswer(from, message);
  if (message.kind == Kind::kReject) return;
  if (message.kind != Kind::kHello) return;
  Feed(federation::SiteSeen{from, "ready", ClockMs()});
  // Bring it up to date: the totals of its attempt that it lacks.
  for (const CoordinatorEntry& entry : coordinator_.log) {
    if (!entry.is_total || entry.binding.attempt != message.attempt ||
        entry.binding.round < message.next_round || !entry.roster.contains(from)) {
      continue;
    }
    Send(kCoordinator, from, TotalOf(entry));
  }
}

// Questions and totals that an honest coordinator would not send.
void Federation::AskFalsely() {
  if (!coordinator_.up || !coordinator_.round) return;
  ++report_.false_questions;
  const std::string site = SiteName(static_cast<int>(Below(scenario_.site_count)));
  Message message;
  message.kind = Kind::kAsk;
  message.binding = coordinator_.binding;
  message.sites = coordinator_.roster;
  switch (rng_.Below(4)) {
    case 0:  // the same question under a smaller roster, in the same attempt
      message.sites.erase(site == "S0" ? "S1" : "S0");
      message.binding.roster = DigestOf(keys_.RosterOf(message.sites));
      break;
    case 1:  // an altered question
      message.binding.query = Sha256("give me the row of patient 17");
      break;
    case 2:  // a new attempt of two sites
      message.binding.attempt += 1;
      message.binding.round = 0;
      message.sites = {site, site == "S0" ? "S1" : "S0"};
      message.binding.roster = DigestOf(keys_.RosterOf(message.sites));
      message.binding.query = QueryAfter(message.sites, {});
      break;
    default:  // another total for a round that has one
      if (coordinator_.log.empty() || !coordinator_.log.back().is_total) return;
      message = TotalOf(coordinator_.log.front());
      message.words[3] ^= 0x10;
      // A site that does not hold this total yet could not know better; see
      // kCoordinatorEquivocates.
      if (sites_.at(site).rounds->attempt() != message.binding.attempt ||
          sites_.at(site).rounds->next_round() == 0) {
        return;
      }
  }
  Send(kCoordinator, site, message);
}

// --- A site's edge.

void Federation::StartSite(Site& site) {
  site.rounds.emplace(federation::SiteRules{site.name, StudyDigest(), keys_.RosterOf(all_),
                                            scenario_.quorum, scenario_.min_sites});
  for (const SiteEntry& entry : site.log) {
    if (entry.is_total) {
      site.rounds->Accept(entry.asked.binding, Sha256(entry.words));
    } else {
      site.rounds->Record(entry.asked);
    }
  }
  SiteTick(site);
}

void Federation::SiteTick(Site& site) {
  Message hello;
  hello.kind = Kind::kHello;
  hello.attempt = site.rounds->attempt();
  hello.next_round = site.rounds->next_round();
  Send(site.name, kCoordinator, hello);
  After(kHelloMs, [this, &site, epoch = site.epoch] {
    if (site.epoch == epoch) SiteTick(site);
  });
}

std::vector<Bytes> Federation::TotalsOf(const Site& site, std::uint32_t attempt) const {
  std::vector<Bytes> totals;
  for (const SiteEntry& entry : site.log) {
    if (entry.is_total && entry.asked.binding.attempt == attempt) totals.push_back(entry.words);
  }
  return totals;
}

void Federation::ToSite(Site& site, const Message& message) {
  if (site.persist) return;  // busy: it will be asked or told again
  if (message.kind == Kind::kAsk) {
    const federation::Asked asked{
        message.binding, message.sites,
        QueryAfter(message.sites, TotalsOf(site, message.binding.attempt))};
    const auto reply = site.rounds->Check(asked);
    if (!reply) {
      report_.refusals.push_back(reply.error().message);
      Note(reply.error().message);
      return;
    }
    if (*reply == SiteRounds::Reply::kAnswer) return Answer(site, asked);
    for (const SiteEntry& entry : site.log) {
      if (!entry.is_total && entry.asked.binding == message.binding) SendAnswer(site, entry);
    }
  } else if (message.kind == Kind::kTotal) {
    const auto fresh = site.rounds->Check(message.binding, Sha256(message.words));
    if (!fresh) {
      report_.refusals.push_back(fresh.error().message);
      Note(fresh.error().message);
      return;
    }
    if (!*fresh) return;
    if (const auto sum = CheckSum(site, message); !sum) {
      const std::string refusal = fmt::format("site '{}', {}", site.name, sum.error().message);
      report_.refusals.push_back(refusal);
      Note(refusal);
      return;
    }
    SiteEntry entry;
    entry.is_total = true;
    entry.asked.binding = message.binding;
    entry.words = message.words;
    Write(
        site, [&site, entry] { site.log.push_back(entry); },
        [&site, entry] { site.rounds->Accept(entry.asked.binding, Sha256(entry.words)); });
  }
}

// By the tags of the roster that this site answered under.
Result<void> Federation::CheckSum(const Site& site, const Message& total) const {
  std::set<std::string> roster;
  for (const SiteEntry& entry : site.log) {
    if (!entry.is_total && entry.asked.binding == total.binding) roster = entry.asked.sites;
  }
  std::map<std::string, federation::SumTag> tags;
  for (const auto& [name, tag] : total.tags) {
    if (roster.contains(name)) tags[name] = tag;
  }
  return keys_.SumKeyOf(roster).Check(total.binding, tags, Layout(), total.words);
}

void Federation::Answer(Site& site, const federation::Asked& asked) {
  if (!honest_.contains(asked.binding)) {
    Violate(fmt::format("{} answers a question that no honest coordinator asked", site.name));
  }
  SiteEntry entry;
  entry.asked = asked;
  entry.words = PlainWords(site.name, asked.binding.query, static_cast<int>(asked.sites.size()));
  const std::vector<std::string> names(asked.sites.begin(), asked.sites.end());
  const auto masker = keys_.masker(site.name).For(names);
  const federation::SumTag tag =
      keys_.SumKeyOf(asked.sites).Tag(asked.binding, site.name, Layout(), entry.words);
  CONSILIUM_CHECK(masker && masker->Apply(asked.binding, Layout(), entry.words), "masks apply");
  entry.receipt =
      Sign(asked.binding, site.name, entry.words, {},
           federation::AddTags(tag, masker->TagMask(asked.binding)), keys_.signing(site.name));
  Write(
      site, [&site, entry] { site.log.push_back(entry); },
      [this, &site, entry] {
        site.rounds->Record(entry.asked);
        SendAnswer(site, entry);
      });
}

void Federation::SendAnswer(Site& site, const SiteEntry& entry) {
  Message message;
  message.kind = Kind::kAnswer;
  message.receipt = entry.receipt;
  message.words = entry.words;
  if (scenario_.lie == Lie::kSiteAnswersTwice && site.name == "S1") {
    Message other = message;
    federation::AddWords(Layout(), LiesDelta(), other.words);
    // Its tag fits the lie: a site owns up to what it signs, and its tags cannot show it.
    const federation::SumKey key = keys_.SumKeyOf(entry.asked.sites);
    const auto of = [&](const Bytes& words) {
      return key.Tag(entry.asked.binding, site.name, Layout(), words);
    };
    const federation::SumTag delta =
        federation::SubtractTags(of(LiesDelta()), of(federation::ZeroWords(Layout())));
    other.receipt = Sign(entry.asked.binding, site.name, other.words, {},
                         federation::AddTags(entry.receipt.tag, delta), keys_.signing(site.name));
    const bool lie_first = rng_.Chance(0.5);
    Send(site.name, kCoordinator, lie_first ? other : message);
    Send(site.name, kCoordinator, lie_first ? message : other);
    return;
  }
  Send(site.name, kCoordinator, message);
}

// --- What must hold.

// The sum of what honest sites computed, plus what the liar's signed receipt owns up to.
Bytes Federation::ExpectedTotal(const CoordinatorEntry& entry) const {
  Bytes total = federation::ZeroWords(Layout());
  for (const std::string& site : entry.roster) {
    federation::AddWords(
        Layout(), PlainWords(site, entry.binding.query, static_cast<int>(entry.roster.size())),
        total);
  }
  const auto liar = sites_.find("S1");
  if (scenario_.lie != Lie::kSiteAnswersTwice || !entry.roster.contains("S1")) return total;
  for (const SiteEntry& answer : liar->second.log) {
    if (answer.is_total || answer.asked.binding != entry.binding) continue;
    if (answer.receipt.answer != entry.receipts.at("S1").answer) {
      federation::AddWords(Layout(), LiesDelta(), total);
    }
  }
  return total;
}

bool Federation::Finished() const {
  if (coordinator_.stopped) return true;
  std::uint64_t totals = 0;
  for (const CoordinatorEntry& entry : coordinator_.log) {
    totals = entry.is_total ? totals + 1 : 0;
  }
  if (totals < static_cast<std::uint64_t>(scenario_.round_count)) return false;
  return std::all_of(coordinator_.roster.begin(), coordinator_.roster.end(),
                     [&](const std::string& name) {
                       const Site& site = sites_.at(name);
                       return site.gone || (site.up && site.rounds->attempt() == report_.attempt &&
                                            site.rounds->next_round() == totals);
                     });
}

void Federation::Conclude() {
  std::map<std::pair<std::uint32_t, std::uint64_t>, Bytes> totals;
  std::uint32_t attempt = 0;
  std::set<std::string> roster = all_;
  std::uint64_t round = 0;
  for (const CoordinatorEntry& entry : coordinator_.log) {
    if (!entry.is_total) {
      if (entry.binding.attempt != attempt) Violate("the end of another attempt is logged");
      if (!entry.survivors.empty() && !MayGoOn(scenario_.quorum, entry.survivors, all_.size())) {
        Violate("an attempt with a roster that the contract forbids");
      }
      ++attempt;
      roster = entry.survivors;
      round = 0;
      continue;
    }
    if (entry.binding.attempt != attempt || entry.binding.round != round) {
      Violate("the log has a total out of order, or twice");
    }
    if (entry.roster != roster || entry.receipts.size() != roster.size()) {
      Violate(fmt::format("round {} mixes rosters", entry.binding.round));
    }
    for (const auto& [site, receipt] :
         entry.receipts) {  // their signatures were checked on arrival
      if (receipt.binding != entry.binding || receipt.site != site || !roster.contains(site)) {
        Violate(fmt::format("round {} has a receipt of {} that is not its own", round, site));
      }
    }
    const bool forged = scenario_.lie == Lie::kCoordinatorForges && entry.binding.round == 1;
    if (!forged && entry.total != ExpectedTotal(entry)) {
      Violate(fmt::format("the total of round {} is not the sum of the answers", round));
    }
    totals[{attempt, round++}] = entry.total;
  }
  for (const auto& [name, site] : sites_) {
    std::map<std::pair<std::uint32_t, std::uint64_t>, Binding> answered;
    std::map<Digest, Digest> roster_of_query;
    for (const SiteEntry& entry : site.log) {
      const Binding& binding = entry.asked.binding;
      if (entry.is_total) {
        const auto logged = totals.find({binding.attempt, binding.round});
        const bool forged = scenario_.lie == Lie::kCoordinatorForges && binding.round == 1;
        if (forged || logged == totals.end() || logged->second != entry.words) {
          Violate(fmt::format("{} holds another total of round {}", name, binding.round));
        }
        continue;
      }
      if (!answered.emplace(std::pair(binding.attempt, binding.round), binding).second) {
        Violate(fmt::format("{} answers round {} twice", name, binding.round));
      }
      if (roster_of_query.emplace(binding.query, binding.roster).first->second != binding.roster) {
        Violate(fmt::format("{} answers one query under two rosters", name));
      }
    }
  }
  for (const auto& [key, digest] : published_) {
    if (!totals.contains(key) || Sha256(totals[key]) != digest) {
      Violate("a published total is not in the log");
    }
  }
  report_.roster = coordinator_.roster;
  report_.published = round;
  report_.ended_ms = now_ms_;
  if (coordinator_.round) {
    for (const auto& wait : coordinator_.round->Waits(ClockMs())) report_.waits.insert(wait.owner);
  }
  report_.trace = Sha256(trace_.bytes());
}

FederationReport Federation::Run() {
  for (const std::string& name : all_) sites_[name].name = name;
  for (auto& [name, site] : sites_) StartSite(site);
  StartCoordinator();
  ScheduleCrashes();
  if (scenario_.leaver) {
    After(scenario_.leaves_ms, [this] {
      Note("a site leaves for good");
      Site& site = sites_.at(*scenario_.leaver);
      site.up = false;
      site.gone = true;
      ++site.epoch;
      site.persist = nullptr;
    });
    if (scenario_.leave_is_announced) {
      After(scenario_.leaves_ms + 10'000, [this] {
        coordinator_.left.insert(*scenario_.leaver);
        if (coordinator_.up) {
          Feed(federation::SiteLeft{*scenario_.leaver, "withdrew", ClockMs()});
        }
      });
    }
  }
  // Long enough for a deadline in each round, had every site to be waited for.
  const std::int64_t patience_ms =
      scenario_.network.heals_ms + 120'000 +
      (scenario_.leaver && scenario_.quorum.then != federation::QuorumThen::kWait
           ? scenario_.leaves_ms + 2 * scenario_.quorum.deadline_ms
           : 0);
  while (now_ms_ < patience_ms && !(now_ms_ >= scenario_.network.heals_ms && Finished())) {
    const auto arrival = network_.next_ms();
    if (local_.empty() && !arrival) break;
    if (!arrival || (!local_.empty() && local_.begin()->first.first <= *arrival)) {
      now_ms_ = local_.begin()->first.first;
      const auto what = std::move(local_.begin()->second);
      local_.erase(local_.begin());
      what();
      continue;
    }
    now_ms_ = *arrival;
    const Delivery delivery = network_.Take();
    trace_.I64(now_ms_);
    trace_.Text(delivery.from);
    trace_.Text(delivery.to);
    trace_.Blob(delivery.message);
    const auto message = Decode(delivery.message);
    if (!message) continue;  // damaged: as good as lost
    if (delivery.to == kCoordinator) {
      if (coordinator_.up) ToCoordinator(delivery.from, *message);
    } else if (Site& site = sites_.at(delivery.to); site.up) {
      ToSite(site, *message);
    }
  }
  if (coordinator_.stopped) {
    report_.outcome = FederationReport::Outcome::kStopped;
  } else if (Finished()) {
    report_.outcome = FederationReport::Outcome::kPublished;
  }
  Conclude();
  return report_;
}

}  // namespace

KeyRing::KeyRing() {
  std::map<std::string, federation::AgreementKey> agreement;
  for (int i = 0; i < kSitesMax; ++i) {
    const std::string site = SiteName(i);
    auto signing = federation::SigningKey::FromSeed(Sha256("signing " + site).bytes);
    auto key = federation::AgreementKey::FromSecret(Sha256("agreement " + site).bytes);
    roster_[site] = {signing.verifying_key(), key.public_key()};
    signing_.emplace(site, std::move(signing));
    agreement.emplace(site, std::move(key));
  }
  for (const auto& [site, key] : agreement) {
    auto masker = federation::Masker::Create(site, key, roster_);
    CONSILIUM_CHECK(masker.has_value(), "the ring's keys are usable");
    maskers_.emplace(site, std::move(*masker));
    shares_.emplace(site, Sha256("share " + site).bytes);
  }
}

Roster KeyRing::RosterOf(const std::set<std::string>& sites) const {
  Roster roster;
  for (const std::string& site : sites) roster.emplace(site, roster_.at(site));
  return roster;
}

const federation::SigningKey& KeyRing::signing(const std::string& site) const {
  return signing_.at(site);
}

const federation::Masker& KeyRing::masker(const std::string& site) const {
  return maskers_.at(site);
}

federation::SumKey KeyRing::SumKeyOf(const std::set<std::string>& sites) const {
  std::map<std::string, federation::KeyBytes> shares;
  for (const std::string& site : sites) shares[site] = shares_.at(site);
  return federation::SumKey::Of(shares);
}

Scenario DrawScenario(std::uint64_t seed) {
  using federation::QuorumThen;
  Rng rng(seed, "scenario");
  Scenario scenario;
  scenario.site_count = 3 + static_cast<int>(rng.Below(4));
  scenario.round_count = 2 + static_cast<int>(rng.Below(3));
  scenario.network = {rng.Uniform() * 0.5,
                      rng.Uniform() * 0.4,
                      rng.Uniform() * 0.1,
                      1,
                      50 + static_cast<std::int64_t>(rng.Below(6'000)),
                      60'000};
  scenario.crashes_per_minute = rng.Chance(0.8) ? rng.Uniform() * 4 : 0;
  scenario.clock_steps_per_minute = rng.Chance(0.5) ? rng.Uniform() * 6 : 0;
  scenario.disk_ms_max = 1 + static_cast<std::int64_t>(rng.Below(1'500));
  const std::uint64_t then = rng.Below(3);
  scenario.quorum = {{}, 0, 5'000, 300'000, QuorumThen::kWait};
  if (then == 1) scenario.quorum.then = QuorumThen::kAbort;
  if (then == 2 && scenario.site_count > 3) {
    scenario.quorum.then = QuorumThen::kRestartWithout;
    scenario.quorum.minimum = scenario.site_count - 1;
    scenario.quorum.required = {"S0"};
  }
  const std::uint64_t trouble = rng.Below(6);
  if (trouble == 0) scenario.lie = Lie::kSiteAnswersTwice;
  if (trouble == 1) scenario.lie = Lie::kCoordinatorAsksAnew;
  if (trouble >= 2 && trouble <= 3) {
    scenario.leaver =
        SiteName(static_cast<int>(rng.Below(static_cast<std::uint64_t>(scenario.site_count))));
    scenario.leaves_ms = static_cast<std::int64_t>(rng.Below(50'000));
    scenario.leave_is_announced = rng.Chance(0.5);
  }
  return scenario;
}

FederationReport Simulate(const Scenario& scenario, std::uint64_t seed, const KeyRing& keys) {
  return Federation(scenario, seed, keys).Run();
}

std::string Judge(const Scenario& scenario, const FederationReport& report) {
  using Outcome = FederationReport::Outcome;
  using federation::QuorumThen;
  const auto count = static_cast<std::size_t>(scenario.site_count);
  if (!report.violations.empty()) return report.violations.front();
  if (report.outcome == Outcome::kPublished) {
    if (report.published != static_cast<std::uint64_t>(scenario.round_count)) {
      return "published, but not every round";
    }
    if (report.roster.size() == count) return report.attempt == 0 ? "" : "a restart with everybody";
    if (report.attempt != 1 || !scenario.leaver || report.roster.contains(*scenario.leaver) ||
        report.roster.size() + 1 != count) {
      return "somebody was left out who had not left";
    }
    return "";
  }
  if (!scenario.leaver) return "nobody left, and still the study was not published";
  if (report.outcome == Outcome::kWaiting) {
    if (scenario.quorum.then != QuorumThen::kWait) return "waits against the contract";
    return report.waits == std::set<std::string>{*scenario.leaver}
               ? ""
               : "waits for somebody who did not leave";
  }
  if (scenario.quorum.then == QuorumThen::kWait) return "stopped against the contract";
  const auto& required = scenario.quorum.required;
  if (scenario.quorum.then == QuorumThen::kRestartWithout &&
      std::find(required.begin(), required.end(), *scenario.leaver) == required.end()) {
    return "stopped, though the contract allows to go on without the leaver";
  }
  return "";
}

}  // namespace consilium::simulation
