#include "site_agent/folds.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "base/rng.h"

namespace consilium::site_agent {
namespace {

struct Patients {
  std::vector<std::string> ids;
  std::vector<int> patient;
  std::vector<double> outcome;
};

Patients RandomPatients(std::uint64_t seed, std::size_t patient_count, std::size_t rows_max) {
  Rng rng(seed, "patients");
  Patients patients;
  for (std::size_t i = 0; i < patient_count; ++i) {
    patients.ids.push_back("P" + std::to_string(i));
    for (std::size_t k = 1 + rng.Below(rows_max); k > 0; --k) {
      patients.patient.push_back(static_cast<int>(i));
      patients.outcome.push_back(rng.Chance(0.3) ? 1 : 0);
    }
  }
  return patients;
}

std::vector<int> Folds(const Patients& patients, int count, const Bytes& key = Bytes(32, 7),
                       const Digest& study = Sha256("study")) {
  const auto folds =
      KeyedFolds(key, study, {patients.patient, patients.ids, patients.outcome}, count);
  EXPECT_TRUE(folds.has_value()) << folds.error().message;
  return folds.value_or(std::vector<int>());
}

// Class of a patient: 1 if any row is an event.
std::vector<int> Classes(const Patients& patients) {
  std::vector<int> classes(patients.ids.size(), 0);
  for (std::size_t i = 0; i < patients.patient.size(); ++i) {
    if (patients.outcome[i] > 0.5) classes[static_cast<std::size_t>(patients.patient[i])] = 1;
  }
  return classes;
}

TEST(KeyedFolds, KeepPatientsTogetherAndBalanceEachClassWithinOne) {
  EXPECT_TRUE(rc::check([] {
    const auto seed = *rc::gen::arbitrary<std::uint32_t>();
    const auto count = *rc::gen::inRange(1, 12);
    const Patients patients = RandomPatients(seed, *rc::gen::inRange<std::size_t>(1, 60), 3);
    const std::vector<int> folds = Folds(patients, count);
    const std::vector<int> classes = Classes(patients);
    std::vector<int> fold_of(patients.ids.size(), 0);
    for (std::size_t i = 0; i < folds.size(); ++i) {
      RC_ASSERT(folds[i] >= 1 && folds[i] <= count);
      int& fold = fold_of[static_cast<std::size_t>(patients.patient[i])];
      RC_ASSERT(fold == 0 || fold == folds[i]);
      fold = folds[i];
    }
    for (int event = 0; event < 2; ++event) {
      std::vector<int> in_fold(static_cast<std::size_t>(count), 0);
      for (std::size_t p = 0; p < classes.size(); ++p) {
        if (classes[p] == event) ++in_fold[static_cast<std::size_t>(fold_of[p] - 1)];
      }
      RC_ASSERT(*std::max_element(in_fold.begin(), in_fold.end()) -
                    *std::min_element(in_fold.begin(), in_fold.end()) <=
                1);
    }
  }));
}

TEST(KeyedFolds, DoNotDependOnTheOrderOfRowsOrPatients) {
  EXPECT_TRUE(rc::check([] {
    const auto seed = *rc::gen::arbitrary<std::uint32_t>();
    const Patients patients = RandomPatients(seed, 30, 3);
    const std::vector<int> folds = Folds(patients, 5);
    std::vector<std::size_t> rows(patients.patient.size());
    std::iota(rows.begin(), rows.end(), std::size_t{0});
    std::vector<std::size_t> ids(patients.ids.size());
    std::iota(ids.begin(), ids.end(), std::size_t{0});
    Rng rng(seed, "order");
    rng.Shuffle(rows);
    rng.Shuffle(ids);
    std::vector<int> new_index(ids.size());
    Patients shuffled;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      shuffled.ids.push_back(patients.ids[ids[i]]);
      new_index[ids[i]] = static_cast<int>(i);
    }
    for (const std::size_t row : rows) {
      shuffled.patient.push_back(new_index[static_cast<std::size_t>(patients.patient[row])]);
      shuffled.outcome.push_back(patients.outcome[row]);
    }
    const std::vector<int> again = Folds(shuffled, 5);
    for (std::size_t i = 0; i < rows.size(); ++i) RC_ASSERT(again[i] == folds[rows[i]]);
  }));
}

TEST(KeyedFolds, ChangeWithTheKeyAndWithTheStudy) {
  const Patients patients = RandomPatients(1, 60, 1);
  const std::vector<int> folds = Folds(patients, 10);
  EXPECT_EQ(folds, Folds(patients, 10));
  EXPECT_NE(folds, Folds(patients, 10, Bytes(32, 8)));
  EXPECT_NE(folds, Folds(patients, 10, Bytes(32, 7), Sha256("another study")));
}

// With 11 patients of one class and 10 folds, the eleventh would always be in fold 1 without the
// offset.
TEST(KeyedFolds, TheOffsetSpreadsTheRemainderOverTheFolds) {
  Patients patients;
  for (int i = 0; i < 11; ++i) {
    patients.ids.push_back("P" + std::to_string(i));
    patients.patient.push_back(i);
    patients.outcome.push_back(0);
  }
  std::set<int> fuller;
  for (std::uint8_t key = 0; key < 60; ++key) {
    std::map<int, int> count;
    for (const int fold : Folds(patients, 10, Bytes(32, key))) ++count[fold];
    for (const auto& [fold, n] : count) {
      if (n == 2) fuller.insert(fold);
    }
  }
  EXPECT_GE(fuller.size(), 8U);
}

TEST(KeyedFolds, RefuseAShortKeyAndRepeatedIdentifiers) {
  Patients patients = RandomPatients(1, 5, 1);
  const auto with_key = [&](std::size_t length) {
    return KeyedFolds(Bytes(length, 1), Digest{},
                      {patients.patient, patients.ids, patients.outcome}, 5);
  };
  EXPECT_TRUE(with_key(16).has_value());
  ASSERT_FALSE(with_key(15).has_value());
  EXPECT_EQ(with_key(15).error().code, ErrorCode::kFailedPrecondition);
  patients.ids[1] = patients.ids[0];
  patients.outcome[1] = 1 - patients.outcome[0];  // also across classes
  ASSERT_FALSE(with_key(16).has_value());
  EXPECT_NE(with_key(16).error().message.find("two patients have the same identifier"),
            std::string::npos);
}

TEST(FoldsByIndex, AreThePlaceOfThePatientModuloTheCountPlusOne) {
  const std::vector<int> patient = {0, 1, 1, 2, 0, 3};
  EXPECT_EQ(FoldsByIndex(patient, 3), (std::vector<int>{1, 2, 2, 3, 1, 1}));
}

}  // namespace
}  // namespace consilium::site_agent
