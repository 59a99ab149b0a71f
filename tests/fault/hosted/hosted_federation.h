// The coordinator's host and every site's agent of one study, with messages carried in memory.
//
// All parts are the real ones, store and disks included; only gRPC is not there. Each message is
// encoded and decoded as on the wire. Parts can be killed between any two messages: what they held
// in memory is gone, what they wrote is there.
#pragma once

#include <consilium/v1/consilium.pb.h>
#include <gtest/gtest.h>

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/study_host.h"
#include "federation/log.h"
#include "site_agent/study_agent.h"
#include "tests/support/small_study.h"

namespace consilium::testing {

// What outlives a study: the coordinator's store, each hospital's keys, data, ledger and gate, and
// the time.
class HostedWorld {
 public:
  // Keys are drawn from `seed`.
  HostedWorld(std::uint64_t seed, const std::vector<SmallHospital>& hospitals,
              const std::filesystem::path& folder)
      : store_file_((folder / "store.db").string()) {
    for (const SmallHospital& one : hospitals) {
      Hospital& hospital = hospitals_[one.name];
      hospital.identity =
          std::make_unique<site_agent::SiteIdentity>(site_agent::IdentityFromSeed(one.name, seed));
      hospital.csv = SmallCsv(one.cases);
      RestartSite(one.name);
    }
    std::filesystem::create_directories(folder);
    auto store = coordinator::Store::Create(store_file_);
    EXPECT_TRUE(store.has_value()) << store.error().message;
    store_ = std::move(*store);
  }

  // Of a ledger: records wait until they are flushed.
  struct Disk : site_agent::LedgerSink {
    Bytes bytes, waiting;
    Result<void> Append(std::span<const std::uint8_t> record) override {
      waiting.insert(waiting.end(), record.begin(), record.end());
      return {};
    }
    [[nodiscard]] Result<void> Read(const TakePiece& take) const override {
      CONSILIUM_TRY(take(bytes));
      return take(waiting);
    }
    void Flush() {
      bytes.insert(bytes.end(), waiting.begin(), waiting.end());
      waiting.clear();
    }
  };
  struct Hospital {
    std::unique_ptr<site_agent::SiteIdentity> identity;
    std::string csv;
    Disk disk;
    std::unique_ptr<site_agent::Ledger> ledger;
    std::unique_ptr<site_agent::Gate> gate;
  };

  void RestartStore() {
    store_.reset();
    auto store = coordinator::Store::Open(store_file_);
    ASSERT_TRUE(store.has_value()) << store.error().message;
    store_ = std::move(*store);
  }
  // Nobody may hold the gate. What the ledger had not flushed is gone.
  void RestartSite(const std::string& name) {
    Hospital& hospital = hospitals_.at(name);
    hospital.disk.waiting.clear();
    auto ledger = site_agent::Ledger::Open(name, hospital.disk);
    ASSERT_TRUE(ledger.has_value()) << ledger.error().message;
    hospital.gate.reset();
    hospital.ledger = std::make_unique<site_agent::Ledger>(std::move(*ledger));
    site_agent::SiteSettings settings;
    settings.allow_public_data = true;
    hospital.gate = std::make_unique<site_agent::Gate>(settings, *hospital.ledger);
  }

  [[nodiscard]] coordinator::Store& store() { return *store_; }
  [[nodiscard]] std::map<std::string, Hospital>& hospitals() { return hospitals_; }
  std::int64_t now_ms = 1'000'000;

 private:
  std::string store_file_;
  std::unique_ptr<coordinator::Store> store_;
  std::map<std::string, Hospital> hospitals_;
};

class HostedFederation : public coordinator::Outbox {
 public:
  // In a world of its own.
  HostedFederation(const std::string& study_yaml, const std::vector<SmallHospital>& hospitals,
                   const std::filesystem::path& folder)
      : own_(std::make_unique<HostedWorld>(study::ParseStudy(study_yaml, "study.yaml")->seed,
                                           hospitals, folder)),
        world_(*own_) {
    Submit(study_yaml);
  }
  // The next study of `world`.
  HostedFederation(const std::string& study_yaml, HostedWorld& world) : world_(world) {
    Submit(study_yaml);
  }

  // ---- coordinator::Outbox
  void Send(const std::string& site, wire::ToSite message) override {
    v1::ToSite proto;
    wire::Encode(message, proto);
    to_sites_.push_back({site, proto.SerializeAsString()});
  }
  void SendRecord(const std::string& site, const Digest& study, std::uint32_t attempt,
                  std::uint64_t index, std::shared_ptr<const Bytes> record) override {
    // Two parts, as a long record travels.
    const std::size_t half = record->size() / 2;
    Send(site, wire::RecordPart{
                   study, attempt, index, record->size(), 0,
                   Bytes(record->begin(), record->begin() + static_cast<std::ptrdiff_t>(half))});
    Send(site, wire::RecordPart{
                   study, attempt, index, record->size(), half,
                   Bytes(record->begin() + static_cast<std::ptrdiff_t>(half), record->end())});
  }

  // Delivers one message or, when none travels, lets a second pass. False: nothing can happen.
  bool Step() {
    ++steps_;
    if (!to_sites_.empty()) {
      const auto [site, bytes] = to_sites_.front();
      to_sites_.pop_front();
      v1::ToSite proto;
      EXPECT_TRUE(proto.ParseFromString(bytes));
      const auto message = wire::Decode(proto);
      EXPECT_TRUE(message.has_value()) << message.error().message;
      if (message && !silent_.contains(site)) Deliver(site, *message);
      return true;
    }
    world_.now_ms += 1000;
    Tick();
    ++idle_;
    return idle_ < 100'000 && !(host_->ended() && to_sites_.empty());
  }

  void RunToEnd() {
    while (!host_->ended()) {
      if (!Step()) break;
    }
    while (!to_sites_.empty()) Step();
  }

  void KillCoordinator() {
    host_.reset();
    to_sites_.clear();  // connections are gone
    world_.RestartStore();
    OpenHost();
    for (auto& [name, site] : sites_) Connect(name);
  }

  void KillSite(const std::string& name) {
    Site& site = sites_.at(name);
    site.agent.reset();
    site.parts.clear();
    Disconnect(name);
    world_.RestartSite(name);
    Connect(name);
  }

  void Leave(const std::string& name, std::string_view why) {
    silent_.insert(name);
    host_->Left(name, why, world_.now_ms, world_.now_ms);
    Tick();
  }

  // Its connection breaks, until ComeBack.
  void Silence(const std::string& name) {
    silent_.insert(name);
    Disconnect(name);
    Tick();
  }

  void ComeBack(const std::string& name) {
    silent_.erase(name);
    Connect(name);
  }
  // Everything that was delivered to a site.
  [[nodiscard]] const std::vector<wire::ToSite>& told(const std::string& name) {
    return told_[name];
  }

  [[nodiscard]] coordinator::HostStatus Status() const { return host_->Status(world_.now_ms); }
  [[nodiscard]] coordinator::StudyHost& host() { return *host_; }
  [[nodiscard]] coordinator::Store& store() { return world_.store(); }
  [[nodiscard]] const Digest& id() const { return id_; }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  [[nodiscard]] std::string Artifact(const std::string& name) {
    const auto bytes = store().ReadArtifact(id_, name);
    if (!bytes) return "no " + name + ": " + bytes.error().message;
    return {bytes->begin(), bytes->end()};
  }
  [[nodiscard]] const std::vector<std::string>& refusals() const { return refusals_; }
  // What agents and host said in full when they refused.
  [[nodiscard]] const std::vector<std::string>& errors() const { return errors_; }
  [[nodiscard]] const site_agent::Ledger& ledger(const std::string& name) const {
    return *world_.hospitals().at(name).ledger;
  }
  [[nodiscard]] site_agent::StudyAgent& agent(const std::string& name) {
    return *sites_.at(name).agent;
  }
  // A coordinator that lies: changes a record before `site` takes it; the shares that it passes on
  // to `site`. A site that lies: the shares that it sends.
  std::function<void(const std::string& site, std::uint64_t index, Bytes& record)> forge;
  std::function<void(const std::string& site, std::map<std::string, federation::SumSeal>&)> pass_on;
  std::function<void(const std::string& site, std::map<std::string, federation::SumSeal>&)> reseal;
  // Changes the next answer of `site` on its way.
  std::function<void(wire::AnswerHead&, Bytes&)> tamper;
  std::string tampered_site;

 private:
  struct Site {
    bool has_offer = false;
    std::map<std::uint32_t, Bytes> logs;  // on disk
    std::unique_ptr<site_agent::StudyAgent> agent;
    Bytes parts;  // of a record that is arriving
  };

  void Submit(const std::string& study_yaml) {
    const auto study = study::ParseStudy(study_yaml, "study.yaml");
    ASSERT_TRUE(study.has_value()) << study.error().message;
    federation::Roster members;
    for (const auto& [name, hospital] : world_.hospitals()) {
      members[name] = hospital.identity->public_keys();
      sites_[name];
    }
    federation::KeyBytes seed{};
    seed.fill(9);
    submission_ =
        study::SignSubmission(study_yaml, members, "lead", federation::SigningKey::FromSeed(seed));
    id_ = study::DigestOf(submission_);
    const auto added = store().AddStudy(
        {id_, study->name, "lead", study_yaml, study::EncodeSubmission(submission_)}, 1);
    ASSERT_TRUE(added.has_value()) << added.error().message;
    OpenHost();
    for (auto& [name, site] : sites_) Connect(name);
  }

  void Disconnect(const std::string& name) {
    std::erase_if(to_sites_, [&](const auto& message) { return message.first == name; });
    host_->Disconnected(name, world_.now_ms);
  }

  void OpenHost() {
    auto host = coordinator::StudyHost::Open(id_, store(), *this, engine_, world_.now_ms);
    ASSERT_TRUE(host.has_value()) << host.error().message;
    host_ = std::move(*host);
  }
  void Tick() { host_->Tick(world_.now_ms, world_.now_ms); }

  void Hear(const std::string& name, const wire::FromSite& message) {
    v1::FromSite proto;
    wire::Encode(message, proto);
    const auto again = wire::Decode(proto);
    ASSERT_TRUE(again.has_value()) << again.error().message;
    if (const auto* word = std::get_if<wire::StudyWord>(&*again))
      host_->Heard(name, *word, world_.now_ms, world_.now_ms);
    if (const auto* held = std::get_if<wire::TotalHeld>(&*again))
      host_->Held(name, held->position, world_.now_ms);
    if (const auto* refused = std::get_if<wire::Refused>(&*again)) {
      refusals_.push_back(name + ": " + refused->outward);
      host_->Refused(name, *refused, world_.now_ms, world_.now_ms);
    }
    Tick();
  }

  void OpenAgent(const std::string& name) {
    Site& site = sites_.at(name);
    HostedWorld::Hospital& hospital = world_.hospitals().at(name);
    site_agent::StudyPlace place;
    place.identity = hospital.identity.get();
    place.engine = &engine_;
    place.gate = hospital.gate.get();
    const auto study = study::StudyOf(submission_);
    place.approval = site_agent::AcceptAll(*study, submission_.members);
    place.build_cohort = [&hospital, name](const study::Study& resolved) {
      const auto file = site_agent::ParseCohortFile(SmallCohortYaml(name), name + ".yaml");
      return site_agent::BuildCohort(*file, resolved, hospital.csv, std::nullopt,
                                     hospital.identity->secret);
    };
    place.append_record = [&site](std::uint32_t attempt, std::span<const std::uint8_t> record) {
      Bytes& log = site.logs[attempt];
      log.insert(log.end(), record.begin(), record.end());
      return Result<void>();
    };
    place.sync_ledger = [&hospital] {
      hospital.disk.Flush();
      return Result<void>();
    };
    auto agent = site_agent::StudyAgent::Open(submission_, std::move(place));
    ASSERT_TRUE(agent.has_value()) << agent.error().message;
    site.agent = std::move(*agent);
    if (!site.logs.empty()) {
      const auto& [attempt, log] = *site.logs.rbegin();
      const auto loaded =
          site.agent->Load(attempt, [&bytes = log](const auto& take) -> Result<void> {
            std::span<const std::uint8_t> left = bytes;
            while (!left.empty()) {
              const auto record = federation::NextRecord(left);
              CONSILIUM_TRY(record);
              CONSILIUM_TRY(take(left.first(record->size)));
              left = left.subspan(record->size);
            }
            return {};
          });
      ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    }
  }

  void Connect(const std::string& name) {
    Site& site = sites_.at(name);
    if (silent_.contains(name)) return;
    if (site.has_offer && !site.agent) OpenAgent(name);
    site.parts.clear();
    std::optional<wire::Position> position;
    if (site.agent) position = site.agent->position();
    host_->Connected(name, position, world_.now_ms, world_.now_ms);
    if (site.agent) SayApproved(name);
    Tick();
  }

  void SayApproved(const std::string& name) {
    wire::StudyWord word{id_, wire::Word::kApproved, 0, {}, {}};
    const auto seals = sites_.at(name).agent->Seals();
    ASSERT_TRUE(seals.has_value()) << seals.error().message;
    word.seals = *seals;
    if (reseal) reseal(name, word.seals);
    const auto file = site_agent::ParseCohortFile(SmallCohortYaml(name), name + ".yaml");
    const auto header = site_agent::RadiomicsHeader(*file, world_.hospitals().at(name).csv);
    word.columns = *header;
    Hear(name, word);
  }

  void Deliver(const std::string& name, const wire::ToSite& message) {
    told_[name].push_back(message);
    Site& site = sites_.at(name);
    if (const auto* offer = std::get_if<wire::Offer>(&message)) {
      EXPECT_EQ(offer->submission, study::EncodeSubmission(submission_));
      site.has_offer = true;
      if (!site.agent) OpenAgent(name);
      SayApproved(name);
    } else if (const auto* part = std::get_if<wire::RecordPart>(&message)) {
      if (part->offset == 0) site.parts.clear();
      ASSERT_EQ(part->offset, site.parts.size());
      site.parts.insert(site.parts.end(), part->data.begin(), part->data.end());
      if (site.parts.size() < part->size) return;
      if (forge) forge(name, part->index, site.parts);
      const auto taken = site.agent->Take(part->attempt, part->index, site.parts);
      if (!taken) {
        // As the agent's program says it.
        const std::string outward = site_agent::OutwardText(taken.error());
        errors_.push_back(taken.error().message);
        if (part->index == 0) {
          Hear(name, wire::StudyWord{id_, wire::Word::kFailed, part->attempt, {}, outward});
        } else {
          Hear(name, wire::Refused{id_, part->attempt, part->index - 1, outward});
        }
        return;
      }
      if (*taken) {
        if (part->index == 0) Hear(name, wire::StudyWord{id_, wire::Word::kJoined, 0, {}, {}});
        Hear(name, wire::TotalHeld{site.agent->position()});
        const auto advanced = site.agent->Advance();
        ASSERT_TRUE(advanced.has_value()) << advanced.error().message;
      }
    } else if (const auto* seals = std::get_if<wire::Seals>(&message)) {
      wire::Seals passed = *seals;
      if (pass_on) pass_on(name, passed.seals);
      const auto opened = site.agent->TakeSeals(passed.seals);
      if (!opened) {
        errors_.push_back(opened.error().message);
        Hear(name, wire::StudyWord{
                       id_, wire::Word::kFailed, 0, {}, site_agent::OutwardText(opened.error())});
      }
    } else if (const auto* ask = std::get_if<wire::Ask>(&message)) {
      auto answer = site.agent->Answer(*ask);
      if (!answer) {
        Hear(name, wire::Refused{id_, ask->binding.attempt, ask->binding.round,
                                 site_agent::OutwardText(answer.error())});
        return;
      }
      Bytes words = *answer->words;
      if (tamper && name == tampered_site) {
        tamper(answer->head, words);
        tamper = nullptr;
      }
      v1::AnswerHead proto;
      wire::Encode(answer->head, proto);
      const auto head = wire::Decode(proto);
      ASSERT_TRUE(head.has_value()) << head.error().message;
      const auto answered =
          host_->Answered(name, *head, words, Sha256(words), world_.now_ms, world_.now_ms);
      if (!answered) refusals_.push_back(answered.error().message);
      Tick();
    } else if (const auto* ended = std::get_if<wire::Ended>(&message)) {
      if (site.agent) {
        ASSERT_TRUE(site.agent->End(ended->state, world_.now_ms).has_value());
      }
    } else if (const auto* restarted = std::get_if<wire::Restarted>(&message)) {
      const auto restart = site.agent->Restart(restarted->attempt, restarted->why);
      ASSERT_TRUE(restart.has_value()) << restart.error().message;
    }
  }

  std::unique_ptr<HostedWorld> own_;
  HostedWorld& world_;
  study::Engine engine_ = study::MakeEngine();
  study::Submission submission_;
  Digest id_;
  std::unique_ptr<coordinator::StudyHost> host_;
  std::map<std::string, Site> sites_;
  std::set<std::string> silent_;
  std::deque<std::pair<std::string, std::string>> to_sites_;
  std::vector<std::string> refusals_;
  std::vector<std::string> errors_;
  std::map<std::string, std::vector<wire::ToSite>> told_;
  std::uint64_t steps_ = 0;
  std::uint64_t idle_ = 0;
};

}  // namespace consilium::testing
