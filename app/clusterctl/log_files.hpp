// Which log files belong to which instances: as the daemon says, or, where none runs, as the log
// directory shows.
#pragma once

#include <string>
#include <vector>

#include "clusterctl/session.hpp"
#include "clusterctl/view/words.hpp"

namespace cluster::clusterctl {

using Stream = LogName::Stream;

struct LogFile {
    std::string id;  // "api.0"
    Stream stream = Stream::out;
    std::string path;
};

struct LogFiles {
    std::vector<LogFile> files;  // by instance, out before err
    std::string directory;       // where new ones would appear
};

/// The logs of the selected instances; no selector: of all. Throws Failure when a selector matches
/// nothing.
[[nodiscard]] LogFiles find_log_files(const Session& session,
                                      const std::vector<std::string>& selectors);

/// The logs in a directory whose names match; groups are not known there.
[[nodiscard]] std::vector<LogFile> list_log_files(const std::string& directory,
                                                  const std::vector<std::string>& selectors);

/// The file of that name as a log, when its instance matches.
[[nodiscard]] bool matches_log(const std::string& file_name,
                               const std::vector<std::string>& selectors, LogFile& log);

}  // namespace cluster::clusterctl
