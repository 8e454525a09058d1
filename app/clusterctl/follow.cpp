#include "clusterctl/follow.hpp"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <set>
#include <string_view>

#include "clusterctl/failure.hpp"
#include "clusterctl/unpack.hpp"

namespace cluster::clusterctl {
namespace {

/// A rotation renames the file away and creates a new one; IN_MODIFY alone would miss an empty new
/// file.
constexpr std::uint32_t kEvents = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_ONLYDIR;

}  // namespace

LogWatch::LogWatch(const std::vector<LogFile>& files, const std::string& directory)
    : directory_(directory), inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    std::set<std::string> directories = {directory};
    for (const LogFile& file : files) {
        directories.insert(std::filesystem::path(file.path).parent_path().string());
    }
    for (const std::string& each : directories) {
        const int id = ::inotify_add_watch(inotify_.get(), each.c_str(), kEvents);
        if (id < 0) {
            throw Failure(kFailed, "failed", "watch " + each + ": " + std::strerror(errno),
                          "without -f the last lines can still be shown");
        }
        watched_.push_back({id, each});
    }
}

void LogWatch::follow(LogFile file, std::uint64_t offset, std::uint64_t inode) {
    capture::Follower follower(file.path, offset, inode, &unpack);
    followed_.push_back({std::move(file), std::move(follower)});
}

void LogWatch::run(const std::vector<std::string>& selectors, const ShowLine& show) {
    while (true) {
        show_changed(show);
        if (std::fflush(stdout) != 0) return;
        // stdout is watched for its reader's end: `logs -f | head` ends without waiting for another
        // line.
        std::array<pollfd, 2> entries{pollfd{inotify_.get(), POLLIN, 0},
                                      pollfd{STDOUT_FILENO, 0, 0}};
        if (::poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) return;
        if ((entries[1].revents & (POLLERR | POLLHUP)) != 0) return;
        take_events(selectors);
    }
}

void LogWatch::take_events(const std::vector<std::string>& selectors) {
    alignas(inotify_event) std::array<char, 16 * 1024> buffer;
    while (true) {
        const ssize_t size = ::read(inotify_.get(), buffer.data(), buffer.size());
        if (size <= 0) return;
        for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
            inotify_event event{};
            std::memcpy(&event, buffer.data() + at, sizeof event);
            const char* name = buffer.data() + at + sizeof event;
            at += sizeof event + event.len;
            if ((event.mask & IN_Q_OVERFLOW) != 0) {
                for (Followed& each : followed_) each.has_changed = true;
                continue;
            }
            for (const Watched& watched : watched_) {
                if (watched.id == event.wd && event.len > 0) {
                    note(watched.directory, name, selectors);
                }
            }
        }
    }
}

void LogWatch::note(const std::string& directory, const std::string& file_name,
                    const std::vector<std::string>& selectors) {
    const std::string path = directory + "/" + file_name;
    const auto found =
        std::find_if(followed_.begin(), followed_.end(),
                     [&path](const Followed& each) { return each.file.path == path; });
    if (found != followed_.end()) {
        found->has_changed = true;
        return;
    }
    LogFile log;
    if (directory != directory_ || !matches_log(file_name, selectors, log)) return;
    log.path = path;
    follow(std::move(log), 0, 0);
}

void LogWatch::show_changed(const ShowLine& show) {
    for (Followed& each : followed_) {
        while (each.has_changed) {
            const auto lines = each.follower.read_new_lines();
            // What cannot be read now is tried again when the kernel reports the next change.
            each.has_changed = lines && !lines->empty();
            if (!lines) continue;
            for (const std::string& line : *lines) show(each.file, line);
        }
    }
}

}  // namespace cluster::clusterctl
