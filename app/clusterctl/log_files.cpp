#include "clusterctl/log_files.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <tuple>

#include "clusterctl/client.hpp"
#include "clusterctl/view/words.hpp"
#include "core/selector.hpp"
#include "ctl/documents.hpp"

namespace cluster::clusterctl {
namespace {

void add_worker(const ctl::WorkerStatus& worker, std::vector<LogFile>& files) {
    const bool is_merged = worker.out_log == worker.err_log;
    if (!worker.out_log.empty()) {
        files.push_back({worker.id, is_merged ? Stream::both : Stream::out, worker.out_log});
    }
    if (!worker.err_log.empty() && !is_merged) {
        files.push_back({worker.id, Stream::err, worker.err_log});
    }
}

/// None: the daemon knows no such worker (any more). Requires: connected.
std::optional<LogFiles> ask_daemon(Client& client, const std::vector<std::string>& selectors) {
    LogFiles found;
    try {
        const ctl::StatusAnswer status = client.status(selectors, {"id", "out_log", "err_log"});
        found.directory = status.daemon.log_dir;
        for (const ctl::WorkerStatus& worker : status.workers) add_worker(worker, found.files);
    } catch (const Failure& failure) {
        if (failure.code != ctl::error_code_name(ctl::ErrorCode::no_match)) throw;
        return std::nullopt;
    }
    if (found.files.empty() && !selectors.empty()) return std::nullopt;
    return found;
}

}  // namespace

bool matches_log(const std::string& file_name, const std::vector<std::string>& selectors,
                 LogFile& log) {
    const std::optional<LogName> name = parse_log_name(file_name);
    if (!name) return false;
    const bool is_selected =
        selectors.empty() ||
        std::any_of(selectors.begin(), selectors.end(), [&name](const std::string& selector) {
            return core::selects(selector, name->worker, name->instance, "");
        });
    if (!is_selected) return false;
    log.id = core::instance_id(name->worker, name->instance);
    log.stream = name->stream;
    return true;
}

std::vector<LogFile> list_log_files(const std::string& directory,
                                    const std::vector<std::string>& selectors) {
    struct Found {
        LogName name;
        LogFile file;
    };
    std::vector<Found> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
        const std::string file_name = entry.path().filename().string();
        LogFile log;
        if (!matches_log(file_name, selectors, log)) continue;
        log.path = entry.path().string();
        found.push_back({*parse_log_name(file_name), std::move(log)});
    }
    std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
        return std::tie(a.name.worker, a.name.instance, a.name.stream) <
               std::tie(b.name.worker, b.name.instance, b.name.stream);
    });
    std::vector<LogFile> files;
    for (Found& each : found) files.push_back(std::move(each.file));
    return files;
}

LogFiles find_log_files(const Session& session, const std::vector<std::string>& selectors) {
    Client client(session.directories());
    const bool has_daemon = client.try_connect();
    if (has_daemon) {
        if (std::optional<LogFiles> found = ask_daemon(client, selectors)) {
            return std::move(*found);
        }
    }
    LogFiles found;
    found.directory = session.directories().log;
    found.files = list_log_files(found.directory, selectors);
    if (!found.files.empty()) return found;
    if (!has_daemon) client.connect();  // says that none runs, and what to do
    throw Failure(
        kFailed, "no_match",
        selectors.empty()
            ? "there are no logs in " + found.directory
            : "nothing matches, neither in the daemon nor among the logs in " + found.directory,
        "see what there is: clusterctl status");
}

}  // namespace cluster::clusterctl
