// Following log files: nothing is done until the kernel says that one has changed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "capture/tail.hpp"
#include "clusterctl/log_files.hpp"
#include "sys/fd.hpp"

namespace cluster::clusterctl {

/// Watches whole directories, so that a rotated file and the log of a new instance are noticed too.
class LogWatch {
public:
    /// Watches the directories of these files and `directory`. Begin watching, then read the last
    /// lines, then follow: nothing that is written in between is lost. Throws Failure.
    LogWatch(const std::vector<LogFile>& files, const std::string& directory);

    /// From `offset` of the file with that inode on, which may be an archive by now; 0: the log
    /// that is there.
    void follow(LogFile file, std::uint64_t offset, std::uint64_t inode);

    using ShowLine = std::function<void(const LogFile&, const std::string&)>;
    /// Shows lines as they come, for ever; returns when stdout's reader is gone. New logs in
    /// `directory` that match the selectors are followed from their beginning.
    void run(const std::vector<std::string>& selectors, const ShowLine& show);

private:
    struct Followed {
        LogFile file;
        capture::Follower follower;
        bool has_changed = true;
    };
    /// Takes what the kernel has to say: marks what changed, adds what is new.
    void take_events(const std::vector<std::string>& selectors);
    void note(const std::string& directory, const std::string& file_name,
              const std::vector<std::string>& selectors);
    void show_changed(const ShowLine& show);

    struct Watched {
        int id;
        std::string directory;
    };
    std::string directory_;
    sys::UniqueFd inotify_;
    std::vector<Watched> watched_;
    std::vector<Followed> followed_;
};

}  // namespace cluster::clusterctl
