#include "supervisor/logs.hpp"

#include <fmt/core.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "place/directories.hpp"
#include "supervisor/log.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"

namespace cluster::supervisor {
namespace {

/// Above this, giving the file's blocks back takes longer than a turn may.
constexpr std::uint64_t kMostRemovedAtOnce = std::uint64_t{64} << 20U;
/// How much a log grows before a rotation that failed is tried again.
constexpr std::uint64_t kGrowthBeforeRetry = std::uint64_t{1} << 20U;

std::string directory_of(const std::string& path) {
    return path.substr(0, path.rfind('/') + 1);
}

std::string name_of(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

capture::Archives::Limits limits_of(const core::LogSpec& spec) {
    return {.keep = spec.keep, .max_total = spec.max_total_size, .packs = spec.compress};
}

}  // namespace

LogPaths log_paths(const std::string& log_dir, const core::WorkerSpec& spec,
                   std::uint32_t instance) {
    if (spec.log.merge) {
        const std::string path = place::merged_log(log_dir, spec.name, instance);
        return {path, path};
    }
    return {place::output_log(log_dir, spec.name, instance),
            place::error_log(log_dir, spec.name, instance)};
}

Result<std::shared_ptr<capture::LogFile>> Logs::open(const std::string& path,
                                                     const core::LogSpec& spec) {
    Log& log = entry_of(path, spec).second;
    auto file = log.file.lock();
    if (!file) {
        auto opened = capture::LogFile::open(path);
        if (!opened) return tl::unexpected(opened.error());
        file = std::make_shared<capture::LogFile>(std::move(*opened));
        log.file = file;
    }
    file->set_limit(spec.max_size);
    return file;
}

/// Of a log that gets its first one.
capture::Archives& Logs::archives_of(Entry& entry) {
    auto& [path, log] = entry;
    if (!log.archives) log.archives = std::make_unique<capture::Archives>(name_of(path));
    return *log.archives;
}

Logs::Entry& Logs::entry_of(const std::string& path, const core::LogSpec& spec) {
    const auto [position, is_new] = logs_.try_emplace(path);
    position->second.spec = spec;
    has_new_ = has_new_ || is_new;
    return *position;
}

void Logs::update(const std::string& path, const core::LogSpec& spec) {
    const auto found = logs_.find(path);
    if (found == logs_.end() || found->second.spec == spec) return;
    found->second.spec = spec;
    if (const auto file = found->second.file.lock()) file->set_limit(spec.max_size);
    // A smaller number of archives holds at once.
    if (found->second.is_known) tidy(*found);
}

void Logs::rotate_full(const std::string& path) {
    const auto found = logs_.find(path);
    if (found == logs_.end()) return;
    if (const auto file = found->second.file.lock()) static_cast<void>(make_archive(*found, *file));
}

bool Logs::rotate(const std::string& path, const core::LogSpec& spec) {
    const auto found = logs_.find(path);
    const auto open_file = found == logs_.end() ? nullptr : found->second.file.lock();
    if (open_file && !open_file->has_its_name()) {
        if (auto reopened = open_file->reopen(); !reopened) {
            log::warn(fmt::format("{}: {}", path, std::strerror(reopened.error().code)));
        }
        return false;
    }
    const auto named = sys::file_info(path);
    if (!named || named->size == 0) return false;
    const auto file = open(path, spec);
    return file && make_archive(entry_of(path, spec), **file);
}

bool Logs::make_archive(Entry& entry, capture::LogFile& file) {
    auto& [path, log] = entry;
    read_directories();
    const auto size = file.size();
    const std::uint64_t bytes = size.value_or(0);
    capture::Archives& archives = archives_of(entry);
    capture::ArchiveName name = archives.next(sys::wall_ms());
    auto rotated = file.rotate(directory_of(path) + name.text());
    if (!rotated && rotated.error().code == EEXIST) {
        archives.note(name, 0);  // somebody put a file there: go on above it
        name = archives.next(sys::wall_ms());
        rotated = file.rotate(directory_of(path) + name.text());
    }
    if (!rotated) {
        file.set_limit(std::max(bytes, log.spec.max_size) + kGrowthBeforeRetry);
        if (!std::exchange(log.has_complained, true)) {
            log::warn(fmt::format("{}: cannot be rotated: {}: {}; it grows on", path,
                                  op_name(rotated.error().op),
                                  std::strerror(rotated.error().code)));
        }
        return false;
    }
    log.has_complained = false;
    file.set_limit(log.spec.max_size);
    if (*rotated == capture::LogFile::Rotated::reopened) {
        // A link or a device in the log's place is as large as before, and stays so.
        if (file.size().value_or(0) >= file.limit()) file.set_limit(capture::LogFile::kNoLimit);
        return false;
    }
    archives.add(name, bytes);
    tidy(entry);
    return true;
}

void Logs::on_time() {
    read_directories();
}

void Logs::read_directories() {
    if (!std::exchange(has_new_, false)) return;
    std::set<std::string> directories;
    for (const auto& [path, log] : logs_) {
        if (!log.is_known) directories.insert(directory_of(path));
    }
    for (const std::string& directory : directories) read_directory(directory);
    for (Entry& entry : logs_) {
        if (!std::exchange(entry.second.is_known, true)) tidy(entry);
    }
}

void Logs::read_directory(const std::string& directory) {
    const auto names = sys::list_directory(directory);
    if (!names) return;
    for (const std::string& file : *names) {
        const auto name = capture::parse_archive_name(file);
        if (!name) continue;
        const auto found = logs_.find(directory + name->log);
        if (found == logs_.end() || found->second.is_known) continue;
        const auto info = sys::file_info(directory + file);
        archives_of(*found).note(*name, info ? info->size : 0);
    }
}

void Logs::tidy(Entry& entry) {
    auto& [path, log] = entry;
    if (!log.archives) return;
    const auto file = log.file.lock();
    const std::uint64_t bytes = file ? file->size().value_or(0) : 0;
    remove(directory_of(path), log.archives->take_excess(limits_of(log.spec), bytes));
    pack(entry);
}

void Logs::remove(const std::string& directory, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
        const std::string path = directory + name;
        const auto info = sys::file_info(path);
        if (!info) continue;
        if (info->size > kMostRemovedAtOnce) {
            jobs_.start({"rm", "-f", "--", path}, [path](const std::string& failure) {
                if (!failure.empty()) log::warn(fmt::format("{}: rm: {}", path, failure));
            });
        } else if (const auto removed = sys::remove_file(path); !removed) {
            log::warn(fmt::format("{}: {}", path, std::strerror(removed.error().code)));
        }
    }
}

void Logs::pack(Entry& entry) {
    auto& [path, log] = entry;
    while (log.archives && packing_ < Jobs::kMaxRunning) {
        const auto plain = log.archives->take_to_pack(limits_of(log.spec));
        if (!plain) return;
        ++packing_;
        // -f: over what an interrupted predecessor left. The archive itself is removed when its
        // packed twin is on the disk, and not before.
        jobs_.start({"gzip", "-f", "--synchronous", "--", directory_of(path) + *plain},
                    [this, log_path = path, name = *plain](const std::string& failure) {
                        on_packed(log_path, name, failure);
                    });
    }
}

void Logs::on_packed(const std::string& path, const std::string& plain,
                     const std::string& failure) {
    --packing_;
    const auto found = logs_.find(path);
    if (found != logs_.end()) {
        const std::string directory = directory_of(path);
        const auto packed = sys::file_info(directory + plain + ".gz");
        std::optional<std::uint64_t> bytes;
        if (failure.empty() && packed) bytes = packed->size;
        if (!bytes && !cannot_pack_) {
            log::warn(fmt::format("{}{}: not compressed: gzip: {}", directory, plain, failure));
        }
        cannot_pack_ = !bytes;
        remove(directory, archives_of(*found).on_packed(plain, bytes));
        pack(*found);
    }
    for (Entry& entry : logs_) {
        if (packing_ >= Jobs::kMaxRunning) return;
        pack(entry);
    }
}

bool Logs::forget_unused() {
    if (packing_ > 0) return false;
    std::erase_if(logs_, [](const Entry& entry) { return entry.second.file.expired(); });
    return true;
}

}  // namespace cluster::supervisor
