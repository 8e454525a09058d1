// A log and its archives on the disk, as those see them who only read.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "capture/archive.hpp"
#include "sys/fd.hpp"

namespace cluster::capture {

struct ArchiveFile {
    ArchiveName name;
    std::string path;
};
/// The archives of a log, oldest first; of a plain one and its packed twin the plain one. Errors:
/// those of opening and reading the directory.
[[nodiscard]] Result<std::vector<ArchiveFile>> list_archives(const std::string& log_path);

/// The bytes of a packed file, as a file that can be read at any place.
using Unpack = std::function<Result<sys::UniqueFd>(const std::string& path)>;

/// Opens an archive for reading; one that was packed meanwhile too. Errors: those of open and of
/// `unpack`; {open, ENOENT} it was removed.
[[nodiscard]] Result<sys::UniqueFd> open_archive(const ArchiveFile& archive, const Unpack& unpack);

}  // namespace cluster::capture
