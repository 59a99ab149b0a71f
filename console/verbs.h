// The console's commands that talk to a coordinator; main.cpp adds those that need none.
//
// Each Add... hangs its commands under `app`; the one that the command line names runs while it is
// parsed and leaves its exit code in the session. A verb prints its result, or one error.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "console/remote.h"
#include "console/screen.h"

namespace CLI {
class App;
}  // namespace CLI

namespace consilium::console {

// One run of the program.
struct Session {
  Screen screen;
  std::string profile;  // --profile; empty: the only one
  int code = kOk;
};

// The folder of the session's profile by this process's environment. Errors: ProfileFolder's.
[[nodiscard]] Result<std::filesystem::path> FolderOf(const Session& session);
// CONSILIUM_PASSPHRASE, or nothing.
[[nodiscard]] std::string Passphrase();
// The coordinator of the session's profile; notes a certificate that ends soon. `command`: for
// errors. Errors: Remote::Open's.
[[nodiscard]] Result<Remote> OpenRemote(const Session& session, std::string command);
// The wall clock. Unix milliseconds.

void AddKeyVerbs(CLI::App& app, Session& session);      // key new|enroll|show|renew
void AddSiteVerbs(CLI::App& app, Session& session);     // site invite|list|revoke
void AddStudyVerbs(CLI::App& study, Session& session);  // study submit|list|show|watch|cancel
void AddAuditVerbs(CLI::App& audit, Session& session);  // audit fetch
void AddCompletion(CLI::App& app, Session& session);    // completion; after all others

// `consilium report ID`: fetches the study's report into `out` (empty: ./report-NAME) and prints
// its summary. The exit code.
[[nodiscard]] int FetchReport(const Session& session, const std::string& id,
                              const std::filesystem::path& out);

}  // namespace consilium::console
