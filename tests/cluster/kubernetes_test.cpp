// deploy/kubernetes/extract-job.yaml, without a cluster: what it asks of one is read from the file,
// and its containers' own commands are run here with the environment that Kubernetes would give,
// volumes being folders. Whether a cluster accepts the file is not shown by this.
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/extraction/extract_program.h"

namespace consilium::extraction {
namespace {

constexpr int kCases = 10;

void ReplaceAll(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

std::string Quoted(std::string text) {
  ReplaceAll(text, "'", "'\\''");
  return "'" + text + "'";
}

class KubernetesJob : public ::testing::Test {
 protected:
  KubernetesJob() {
    for (const YAML::Node& document :
         YAML::LoadAllFromFile(CONSILIUM_SOURCE_DIR "/deploy/kubernetes/extract-job.yaml")) {
      documents_.push_back(document);
      const auto name = document["metadata"]["name"].as<std::string>();
      if (document["kind"].as<std::string>() == "Job") jobs_[name] = document["spec"];
    }
  }
  static YAML::Node Pod(const YAML::Node& job) { return job["template"]["spec"]; }
  static YAML::Node Container(const YAML::Node& job) { return Pod(job)["containers"][0]; }
  static std::string Shards(const YAML::Node& job) {
    for (const YAML::Node& one : Container(job)["env"]) {
      if (one["name"].as<std::string>() == "SHARDS") return one["value"].as<std::string>();
    }
    return "none";
  }

  // What the kubelet would say: whole processors, and memory in units of `divisor`.
  static std::string Resource(const YAML::Node& container, const YAML::Node& reference) {
    const auto name = reference["resource"].as<std::string>();
    const YAML::Node limits = container["resources"]["limits"];
    if (name == "limits.cpu") return limits["cpu"].as<std::string>();
    EXPECT_EQ(name, "limits.memory");
    EXPECT_EQ(reference["divisor"].as<std::string>(), "1Mi");
    const auto memory = limits["memory"].as<std::string>();
    EXPECT_TRUE(memory.ends_with("Gi")) << memory;
    return std::to_string(std::stoi(memory) * 1024);
  }

  // The command of the job's container with its volumes as folders below the scratch folder.
  Ended Run(const YAML::Node& job, const std::string& index = "") {
    const YAML::Node container = Container(job);
    std::string command = "env PATH=";
    command += std::filesystem::path(CONSILIUM_EXTRACT_BINARY).parent_path().string();
    command += ":/usr/bin:/bin ";
    if (!index.empty()) command += "JOB_COMPLETION_INDEX=" + index + " ";
    for (const YAML::Node& one : container["env"]) {
      const YAML::Node from = one["valueFrom"];
      command +=
          one["name"].as<std::string>() + "=" +
          (from ? Resource(container, from["resourceFieldRef"]) : one["value"].as<std::string>()) +
          " ";
    }
    for (const std::string list : {"command", "args"}) {
      for (const YAML::Node& word : container[list]) {
        auto text = word.as<std::string>();
        for (const YAML::Node& mount : container["volumeMounts"]) {
          const auto path = mount["mountPath"].as<std::string>();
          ReplaceAll(text, path + "/", folder_.path().string() + path + "/");
          ReplaceAll(text, " " + path + " ", " " + folder_.path().string() + path + " ");
        }
        command += Quoted(text) + " ";
      }
    }
    return Shell(folder_, command);
  }

  testing_support::ScratchFolder folder_;
  std::vector<YAML::Node> documents_;
  std::map<std::string, YAML::Node> jobs_;
};

TEST_F(KubernetesJob, AsksForNoNetworkNoRootAndNoMoreThanItSays) {
  ASSERT_EQ(jobs_.size(), 2U);
  for (const auto& [name, job] : jobs_) {
    SCOPED_TRACE(name);
    const YAML::Node pod = Pod(job), container = Container(job);
    ASSERT_EQ(pod["containers"].size(), 1U);
    EXPECT_FALSE(pod["automountServiceAccountToken"].as<bool>());
    EXPECT_FALSE(pod["hostNetwork"]);
    EXPECT_TRUE(pod["securityContext"]["runAsNonRoot"].as<bool>());
    EXPECT_GT(pod["securityContext"]["runAsUser"].as<int>(), 0);
    EXPECT_EQ(pod["securityContext"]["seccompProfile"]["type"].as<std::string>(), "RuntimeDefault");
    const YAML::Node rules = container["securityContext"];
    EXPECT_FALSE(rules["allowPrivilegeEscalation"].as<bool>());
    EXPECT_TRUE(rules["readOnlyRootFilesystem"].as<bool>());
    EXPECT_EQ(rules["capabilities"]["drop"][0].as<std::string>(), "ALL");
    for (const std::string resource : {"cpu", "memory"})
      EXPECT_TRUE(container["resources"]["limits"][resource]) << resource;
    std::set<std::string> volumes;
    for (const YAML::Node& volume : pod["volumes"])
      volumes.insert(volume["name"].as<std::string>());
    for (const YAML::Node& mount : container["volumeMounts"]) {
      EXPECT_TRUE(volumes.contains(mount["name"].as<std::string>()));
      if (mount["name"].as<std::string>() == "images") {
        EXPECT_TRUE(mount["readOnly"].as<bool>());
      }
    }
  }
  const YAML::Node policy = documents_.at(0);
  ASSERT_EQ(policy["kind"].as<std::string>(), "NetworkPolicy");
  EXPECT_EQ(policy["spec"]["policyTypes"].size(), 2U);
  EXPECT_FALSE(policy["spec"]["ingress"] ||
               policy["spec"]["egress"]);  // no rule lets anything pass
  for (const auto& [name, job] : jobs_)
    EXPECT_EQ(job["template"]["metadata"]["labels"]["app"].as<std::string>(),
              policy["spec"]["podSelector"]["matchLabels"]["app"].as<std::string>());
}

TEST_F(KubernetesJob, ItsCommandsGiveTheBytesOfOneRun) {
  const YAML::Node extract = jobs_.at("consilium-extract"), merge = jobs_.at("consilium-merge");
  const int completions = extract["completions"].as<int>();
  EXPECT_EQ(extract["completionMode"].as<std::string>(), "Indexed");
  EXPECT_EQ(Shards(extract), std::to_string(completions));
  EXPECT_EQ(Shards(merge), std::to_string(completions));
  EXPECT_TRUE(merge["suspend"].as<bool>());

  WriteCases(folder_, {{12, 12, 12}, {1.5, 1, 2}}, kCases, kGone);
  folder_.Write("settings.yaml", "setting: {binWidth: 10}\n");
  std::filesystem::create_directory(folder_.path() / "images");
  std::filesystem::create_directory(folder_.path() / "results");
  ASSERT_EQ(Shell(folder_, "mv *.nrrd cases.csv settings.yaml images").exit_code, 0);
  ASSERT_EQ(Shell(folder_, "chmod -R a-w images").exit_code, 0);
  for (int index = 0; index < completions; ++index) {
    EXPECT_NE(Run(merge).exit_code, 0);  // not before all are there
    const Ended told = Run(extract, std::to_string(index));
    EXPECT_EQ(told.exit_code, 0) << told.said;  // the case that fails does not fail the pod
  }
  EXPECT_EQ(Run(extract, "3").exit_code, 0);  // a pod that is started again
  const Ended merged = Run(merge);
  EXPECT_EQ(merged.exit_code, 0) << merged.said;
  EXPECT_EQ(Shell(folder_, "chmod -R u+w images").exit_code, 0);  // so that it can be removed

  EXPECT_EQ(
      Extract(folder_, {"images/cases.csv", "--settings", "images/settings.yaml", "--out", "whole"})
          .exit_code,
      1);
  for (const std::string table : {"/features.csv", "/problems.csv"})
    EXPECT_EQ(folder_.Read("results" + table), folder_.Read("whole" + table));
}

TEST_F(KubernetesJob, FailsThePodWhenTheListIsNotThere) {
  std::filesystem::create_directory(folder_.path() / "images");
  std::filesystem::create_directory(folder_.path() / "results");
  const Ended told = Run(jobs_.at("consilium-extract"), "0");
  EXPECT_NE(told.exit_code, 0);
  EXPECT_NE(told.said.find("images/"), std::string::npos) << told.said;
}

}  // namespace
}  // namespace consilium::extraction
