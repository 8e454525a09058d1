#include "capture/chain.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sys/file.hpp"

namespace cluster::capture {

Result<std::vector<ArchiveFile>> list_archives(const std::string& log_path) {
    const std::size_t slash = log_path.rfind('/');
    const std::string directory = slash == std::string::npos ? "./" : log_path.substr(0, slash + 1);
    const std::string log = slash == std::string::npos ? log_path : log_path.substr(slash + 1);
    const auto names = sys::list_directory(directory);
    if (!names) return tl::unexpected(names.error());
    std::vector<ArchiveFile> archives;
    for (const std::string& file : *names) {
        // Most names of a directory belong to others.
        if (file.compare(0, log.size(), log) != 0) continue;
        auto name = parse_archive_name(file);
        if (name && name->log == log) archives.push_back({std::move(*name), directory + file});
    }
    std::sort(archives.begin(), archives.end(), [](const ArchiveFile& a, const ArchiveFile& b) {
        return std::pair(a.name.number, a.name.is_packed) <
               std::pair(b.name.number, b.name.is_packed);
    });
    const auto is_twin = [](const ArchiveFile& a, const ArchiveFile& b) {
        return a.name.number == b.name.number;
    };
    archives.erase(std::unique(archives.begin(), archives.end(), is_twin), archives.end());
    return archives;
}

Result<sys::UniqueFd> open_archive(const ArchiveFile& archive, const Unpack& unpack) {
    if (!archive.name.is_packed) {
        auto file = sys::open_file(archive.path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (file || file.error().code != ENOENT) return file;
    }
    if (!unpack) return fail(Op::open, ENOENT);
    const std::string packed = archive.name.is_packed ? archive.path : archive.path + ".gz";
    if (const auto info = sys::file_info(packed); !info) return fail(Op::open, info.error().code);
    return unpack(packed);
}

}  // namespace cluster::capture
